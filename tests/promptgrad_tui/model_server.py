"""An OpenAI-compatible server on loopback whose model is the scripted support desk."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine.testing import words
from tests.engine.desk import Desk
from tests.patience import PATIENCE_SECONDS


class DeskServer(ThreadingHTTPServer):
    """Answers `/v1/chat/completions` as the desk would; `calls` counts the answers it gave.

    While `is_down` is set it answers 503; it takes `seconds` for each answer. `name` is its model's. After as
    many answers as `answers` says it holds what it is asked until `release()`, and answers 503 to that.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, seconds: float = 0.0, name: str = "desk") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.desk = desk
        self.seconds = seconds
        self.name = name
        self.answers = math.inf
        self.is_down = False
        self.calls = 0
        self.lock = threading.Lock()
        self._released = threading.Event()

    def release(self) -> None:
        """Answer all that is asked from now on."""
        self.answers = math.inf
        self._released.set()

    def will_answer(self) -> bool:
        """Whether a call gets an answer; one that is held is told so once it is let go."""
        with self.lock:
            self.answers -= 1
            is_held = self.answers < 0
        if is_held:
            self._released.wait(PATIENCE_SECONDS)
        return not (is_held or self.is_down)

    @property
    def uri(self) -> str:
        return f"openai:http://127.0.0.1:{self.server_address[1]}/v1#{self.name}"


class _Handler(BaseHTTPRequestHandler):
    server: DeskServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send(
                200,
                {"object": "list", "data": [{"id": self.server.name, "object": "model", "owned_by": "test"}]},
            )
        else:
            self._send(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._send(404, {"error": {"message": "no such path"}})
            return
        if not self.server.will_answer():
            self._send(503, {"error": {"message": "the model is down"}})
            return
        time.sleep(self.server.seconds)
        with self.server.lock:
            self.server.calls += 1
        text = self.server.desk.answer(request["messages"])
        usage = {"prompt_tokens": words(request["messages"]), "completion_tokens": len(text.split())}
        if request.get("stream"):
            self._stream(text, usage)
        else:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send(200, {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})

    def _stream(self, text: str, usage: dict[str, int]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        delta = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        for chunk in ({"choices": [delta]}, {"choices": [end]}, {"choices": [], "usage": usage}):
            data = {"id": "1", "object": "chat.completion.chunk", **chunk}
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def desk_server(desk: Desk | None = None, seconds: float = 0.0, name: str = "desk") -> Iterator[DeskServer]:
    """Serve the desk on loopback for as long as the context lasts."""
    server = DeskServer(desk or Desk(), seconds, name)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
