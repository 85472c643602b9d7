"""An OpenAI-compatible server on loopback, as llama-server or vLLM behave, that can be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class OpenAIServer:
    """Use it as a context manager; `endpoint` ends in `/v1`."""

    name: str = "qwen3"
    owned_by: str = "llamacpp"
    entry: dict[str, Any] = field(default_factory=dict)
    """What the model's entry in `/v1/models` says besides."""
    props: dict[str, Any] | None = None
    """llama-server's `/props`; other servers have none."""
    is_router: bool = False
    """Whether it is a llama-server that starts a process for each model, which has `entry` and `props`."""
    is_loaded: bool = False
    """Whether a router, or LM Studio, has the model in memory."""
    loads: bool = True
    """Whether a router can load the model."""
    loading: int = 0
    """As many looks at its models find a llama-server that still loads: no metadata, and else 503."""
    failing_props: int = 0
    """As many requests for `/props` are answered 500."""
    down: bool = False
    """Whether everything is answered 503, as a proxy does whose server is away."""
    is_lm_studio: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    """What LM Studio's own address says of the model besides."""
    renders: Callable[[dict[str, Any]], str] | None = None
    """What llama-server's `/apply-template` makes of the template's variables in a request."""
    counts_tokens: bool = False
    """Whether `/tokenize` answers; a word is a token."""
    key: str = ""
    """The key that every request must bring."""
    answers: deque[str] = field(default_factory=deque)
    default_answer: str = '{"answer": "yes"}'
    answer: Callable[[dict[str, Any]], str] | None = None
    """Makes an answer of a request, in place of those."""
    likely: Callable[[str], dict[str, float]] = lambda _begun: {}
    """Returns the probabilities of tokens after the beginning of an answer."""
    thought: str = ""
    tells_usage: bool = True
    """Whether a stream ends with its usage where that is asked for."""
    fault: str = ""
    """What goes wrong in streams: "cut" ends them, "error" tells of an error in them."""
    fault_after: int = 0
    """How many words of the answer come before that."""
    gate: threading.Semaphore | None = None
    """Each word of a stream waits for it."""
    broken: int = 0
    """As many chat requests are answered 500."""
    context_length: int | None = None
    """Longer prompts are answered 400."""
    refusal: dict[str, Any] | None = None
    """The body of the error with which it refuses everything that it is asked for."""
    refusal_status: int = 400
    seconds: float = 0.0
    """Waits before each answer."""
    chats: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.stopped = False
        self.is_loading = self.loading > 0
        self.running = 0
        self.most_at_once = 0
        """The most chat requests that were under way at the same time."""
        handler = type("Handler", (_Handler,), {"openai": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def stop(self) -> None:
        """Go away, also for clients that are connected; calling it twice is fine."""
        self.stopped = True
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a chat request until its answer begins: at its end its client may be a step ahead of us."""
        with self.lock:
            self.running += 1
            self.most_at_once = max(self.most_at_once, self.running)
        try:
            yield
        finally:
            with self.lock:
                self.running -= 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    openai: OpenAIServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.openai.paths.append(self.path)
        if not self.allowed():
            return
        path = urlsplit(self.path)
        if path.path == "/v1/models" and not self.openai.down:
            self.look()
            self.reply({"object": "list", "data": [self.entry()]})
        elif self.openai.is_loading or self.openai.down:
            self.reply({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, 503)
        elif path.path == "/props" and self.openai.failing_props:
            self.openai.failing_props -= 1
            self.reply({"error": {"code": 500, "message": "out of luck", "type": "server_error"}}, 500)
        elif path.path == "/props" and self.openai.is_router:
            self.router_props(parse_qs(path.query))
        elif path.path == "/props" and self.openai.props is not None:
            self.reply(self.openai.props)
        elif path.path == f"/api/v0/models/{self.openai.name}" and self.openai.is_lm_studio:
            loaded = {"state": "loaded", "loaded_context_length": 4096}
            state = loaded if self.openai.is_loaded else {"state": "not-loaded"}
            self.reply({**self.openai.details, **state})
        else:
            self.reply({"error": {"message": "not found"}}, 404)

    def look(self) -> None:
        self.openai.is_loading = self.openai.loading > 0
        self.openai.loading -= self.openai.is_loading

    def entry(self) -> dict[str, Any]:
        server = self.openai
        entry = {"id": server.name, "object": "model", "owned_by": server.owned_by}
        entry["created"] = int(time.time() * 1000)
        if not server.is_router:
            return entry | server.entry | ({"meta": None} if server.is_loading else {})
        status = {
            "value": "loaded" if server.is_loaded else "unloaded",
            "args": ["llama-server", "-c", "2048"],
            **({} if server.loads else {"failed": True, "exit_code": 1}),
        }
        return {**entry, "status": status, "aliases": ["alias"], **(server.entry if server.is_loaded else {})}

    def router_props(self, query: dict[str, list[str]]) -> None:
        """As `server-models.cpp` answers: a stand-in for itself, or what the model's own process says."""
        if "model" not in query:
            self.reply({"role": "router", "model_path": "none", "default_generation_settings": {"n_ctx": 0}})
            return
        wanted = query.get("autoload") != ["false"] and self.openai.loads
        self.openai.is_loaded = self.openai.is_loaded or wanted
        if self.openai.is_loaded:
            self.reply(self.openai.props or {})
        else:
            self.reply({"error": {"code": 400, "message": "model is not loaded"}}, 400)

    def do_POST(self) -> None:
        self.openai.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        if self.openai.is_loading or self.openai.down:
            self.reply({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, 503)
        elif self.openai.refusal:
            self.reply(self.openai.refusal, self.openai.refusal_status)
        elif self.path == "/v1/embeddings":
            rows = [{"index": n, "embedding": [1.0, float(n)]} for n in range(len(body["input"]))]
            self.reply({"data": rows})
        elif self.path == "/apply-template" and self.openai.renders:
            self.reply({"prompt": self.openai.renders(body["chat_template_kwargs"])})
        elif self.path == "/tokenize" and self.openai.counts_tokens:
            self.reply({"tokens": list(range(len(body["content"].split())))})
        elif self.path == "/v1/chat/completions":
            self.chat(body)
        else:
            self.reply({"error": {"message": "not found"}}, 404)

    def chat(self, body: dict[str, Any]) -> None:
        if self.openai.stopped:
            self.close_connection = True
            return
        with self.openai.lock:
            self.openai.is_loaded = True
            self.openai.chats.append(body)
            broken = self.openai.broken > 0
            self.openai.broken -= broken
            answers = self.openai.answers
            text = answers.popleft() if answers and not broken else self.openai.default_answer
        with self.openai.one_more():
            time.sleep(self.openai.seconds)
            text = self.openai.answer(body) if self.openai.answer else text
        prompt = sum(len(message["content"].split()) for message in body["messages"])
        if broken:
            self.reply({"error": {"message": "out of luck", "type": "server_error"}}, 500)
        elif self.openai.context_length and prompt > self.openai.context_length:
            reason = "the request exceeds the available context size, try increasing it"
            self.reply({"error": {"code": 400, "message": reason, "type": "exceed_context_size_error"}}, 400)
        elif body.get("logprobs"):
            self.reply({"choices": [{"index": 0, "logprobs": {"content": self.tokens(body)}}]})
        else:
            self.answer(body, text, prompt)

    def tokens(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        last = body["messages"][-1]
        likely = self.openai.likely(last["content"] if last["role"] == "assistant" else "")
        told = [
            {"token": token, "logprob": math.log(p), "bytes": list(token.encode())}
            for token, p in sorted(likely.items(), key=lambda pair: -pair[1])
        ]
        return [{**told[0], "top_logprobs": told[: body["top_logprobs"]]}]

    def answer(self, body: dict[str, Any], text: str, prompt: int) -> None:
        words = text.split(" ")
        cut = len(words) > body["max_tokens"]
        message = {"role": "assistant", "content": " ".join(words[: body["max_tokens"]])}
        if self.openai.thought:
            message["reasoning_content"] = self.openai.thought
        count = min(len(words), body["max_tokens"])
        usage = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
        choice = {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        if body.get("stream"):
            self.stream({**answer, "object": "chat.completion.chunk"}, body, message, choice, usage)
        else:
            self.reply({**answer, "choices": [choice], "usage": usage})

    def stream(
        self,
        answer: dict[str, Any],
        body: dict[str, Any],
        message: dict[str, Any],
        choice: dict[str, Any],
        usage: dict[str, int],
    ) -> None:
        """Send an answer word by word, as long as nothing is to go wrong."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        deltas = [{"role": "assistant", "content": None}]
        for key in ("reasoning_content", "content"):
            words = message.get(key, "").split(" ")
            deltas += [{key: word if i == 0 else f" {word}"} for i, word in enumerate(words) if word or i]
        for number, delta in enumerate(deltas):
            if self.openai.fault and number > self.openai.fault_after:
                break
            if number and self.openai.gate:
                self.openai.gate.acquire()
            self.send(answer | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if self.openai.fault == "error":
            self.send({"error": {"code": 500, "message": "out of memory", "type": "server_error"}})
        if self.openai.fault:
            return
        end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        self.send(answer | {"choices": [end]})
        if self.openai.tells_usage and (body.get("stream_options") or {}).get("include_usage"):
            self.send(answer | {"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def send(self, data: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):  # whoever listened may have gone
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

    def allowed(self) -> bool:
        given = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        self.openai.keys.append(given)
        if not self.openai.key or given == self.openai.key:
            return True
        self.reply(
            {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}, 401
        )
        return False

    def reply(self, data: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
