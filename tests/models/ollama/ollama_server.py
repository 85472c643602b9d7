"""An Ollama server on loopback that speaks the documented protocol and can be told to misbehave.

It counts a word as a token, keeps every request that it got, and answers with what a test put into `answers`.
"""

from __future__ import annotations

import hashlib
import json
import math
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Answer = str | Callable[[dict[str, Any]], str]


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def count_tokens(messages: list[dict[str, Any]]) -> int:
    """A word is a token, and a template puts four around each message."""
    return sum(len(message["content"].split()) + 4 for message in messages)


def below(code: int, message: str, kind: str, **more: Any) -> str:
    """An error of the llama-server under Ollama, as it arrives: JSON in the JSON's text."""
    return json.dumps({"error": {"code": code, "message": message, "type": kind, **more}})


@dataclass
class FakeModel:
    """One model in the server's list."""

    name: str
    capabilities: tuple[str, ...] = ("completion",)
    context_length: int = 40_960
    template: str = "{{ .Prompt }}"
    parameters: str = 'stop                           "<|im_end|>"'
    weights: str = "weights"
    blob: Path | None = None
    """Where the weights lie, if a test brings real ones."""
    remote_model: str = ""
    writings: int = 0
    """How often the name was written: a server shows it as the manifest's time."""

    @property
    def digest(self) -> str:
        """Of the manifest: it covers weights, template and parameters."""
        return digest_of("\n".join((self.weights, self.template, self.parameters)))

    def listed(self) -> dict[str, Any]:
        details = {
            "format": "gguf",
            "family": "qwen3",
            "parameter_size": "4.0B",
            "quantization_level": "Q4_K_M",
            "context_length": self.context_length,
        }
        remote = {"remote_model": self.remote_model, "remote_host": "https://ollama.com"}
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": f"2026-11-01T12:00:00.{self.writings:09}Z",
            "size": 2_600_000_000,
            "digest": self.digest,
            "details": details,
            "capabilities": list(self.capabilities),
            **(remote if self.remote_model else {}),
        }

    def shown(self) -> dict[str, Any]:
        blob = self.blob or Path(f"/nowhere/models/blobs/sha256-{digest_of(self.weights)}")
        return {
            "modelfile": f"# Modelfile\nFROM {blob}\nTEMPLATE {self.template}\n",
            "parameters": self.parameters,
            "template": self.template,
            "capabilities": list(self.capabilities),
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": self.context_length},
            **({"remote_model": self.remote_model} if self.remote_model else {}),
        }


@dataclass
class Faults:
    """What goes wrong; each counter is used up by as many requests."""

    busy: int = 0
    """Requests answered 503: the queue is full."""
    cut_streams: int = 0
    """Answers whose connection breaks in the middle."""
    error_in_stream: int = 0
    """Answers that turn into an error line after their first piece."""
    broken: int = 0
    """Requests answered 500."""
    damaged: int = 0
    """Answers with a line that is no JSON."""
    truncates: bool = False
    """Cuts prompts that are too long, as old servers do whatever they are told."""
    seconds_per_piece: float = 0.0
    """Waits before each piece of an answer."""
    seconds_per_look: float = 0.0
    """Waits before it lists its models."""
    seconds_to_load: float = 0.0
    """What it says that it took to load the model, before each answer."""
    out_of_memory: bool = False
    """Refuses to load the model."""
    largest_context: int | None = None
    """Loads with at most this context."""


@dataclass
class OllamaServer:
    """Use it as a context manager; `address` is what goes into OLLAMA_HOST."""

    models: list[FakeModel] = field(default_factory=lambda: [FakeModel("qwen3:4b")])
    version: str = "0.13.5"
    slots: int = 1
    """How many answers it writes at a time, as OLLAMA_NUM_PARALLEL says."""
    answers: deque[Answer] = field(default_factory=deque)
    default_answer: Answer = '{"answer": "yes"}'
    faults: Faults = field(default_factory=Faults)
    chats: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all `/api/chat` requests with messages, in order."""
    loads: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all requests that only load a model."""
    paths: list[str] = field(default_factory=list)
    before_chat: Callable[[int], None] = lambda _number: None
    """Called with the number of each chat request, from 1, before its model is looked up."""
    likely: Callable[[str], dict[str, float]] | None = None
    """Returns the probabilities of tokens after the beginning of an answer; else its own answer is likely."""
    thought: str = "Let me see."
    """What a model thinks that is let to."""
    continues_answers: bool = True
    """Whether the model's template leaves an answer that has begun open."""
    renders: Callable[[list[dict[str, Any]]], str] | None = None
    """What its model reads of messages; else a stand-in for a template."""
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client leaves before its answer is complete."""

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.stopped = False
        self.running = 0
        self.most_at_once = 0
        """The most chat requests that were under way at the same time."""
        self.contexts: dict[str, int] = {}
        self.shifts: dict[str, bool] = {}
        """Whether a model was loaded to forget the beginning of what is too long."""
        self.reloads = 0
        """How often a request let it load a model again that was in memory with other options."""
        self.free = threading.Semaphore(self.slots)
        handler = type("Handler", (_Handler,), {"ollama": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def model(self, name: str) -> FakeModel | None:
        return next((model for model in self.models if model.name == name), None)

    def move_tag(self, name: str, *, weights: str = "other weights") -> None:
        """Let the name mean other weights, as after `ollama pull` of a newer version."""
        model = self.model(name)
        assert model
        model.weights = weights
        model.writings += 1

    def use_up(self, fault: str) -> bool:
        with self.lock:
            left: int = getattr(self.faults, fault)
            if left:
                setattr(self.faults, fault, left - 1)
            return left > 0

    def next_answer(self, body: dict[str, Any]) -> str:
        with self.lock:
            answer = self.answers.popleft() if self.answers else self.default_answer
        return answer if isinstance(answer, str) else answer(body)

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

    def stop(self) -> None:
        """Go away, also for clients that are connected; calling it twice is fine."""
        self.stopped = True
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ollama: OllamaServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.ollama.paths.append(self.path)
        if self.path == "/api/version":
            self.reply({"version": self.ollama.version})
        elif self.path == "/api/tags":
            time.sleep(self.ollama.faults.seconds_per_look)
            self.reply({"models": [model.listed() for model in self.ollama.models]})
        elif self.path == "/api/ps":
            running = [
                {**model.listed(), "context_length": self.ollama.contexts[model.name]}
                for model in self.ollama.models
                if model.name in self.ollama.contexts
            ]
            self.reply({"models": running})
        else:
            self.reply({"error": "not found"}, 404)

    def do_POST(self) -> None:
        if self.ollama.stopped:
            self.close_connection = True
            return
        self.ollama.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/pull":
            self.pull(body["model"])
            return
        if self.path == "/api/copy":
            self.copy(body["source"], body["destination"])
            return
        if self.path == "/api/chat" and body["messages"] and not body.get("_debug_render_only"):
            with self.ollama.lock:
                self.ollama.chats.append(body)
                self.ollama.before_chat(len(self.ollama.chats))
                weights = next((m.weights for m in self.ollama.models if m.name == body["model"]), "")
            body = {**body, "weights": weights}  # an answer is that of the weights at its request
        model = self.ollama.model(body["model"])
        if model is None:
            self.reply({"error": f"model '{body['model']}' not found"}, 404)
        elif self.path == "/api/show":
            self.reply(model.shown())
        elif self.path == "/api/chat" and not body["messages"]:
            self.load(model, body)
        elif self.path == "/api/chat":
            self.chat(model, body)
        else:
            self.reply({"error": "not found"}, 404)

    def load(self, model: FakeModel, body: dict[str, Any]) -> None:
        self.ollama.loads.append(body)
        if body.get("keep_alive") == 0:
            self.ollama.contexts.pop(model.name, None)
            message = {"role": "assistant", "content": ""}
            self.reply({"model": model.name, "message": message, "done": True, "done_reason": "unload"})
            return
        if self.ollama.faults.out_of_memory:
            reason = "model requires more system memory (9.1 GiB) than is available (3.2 GiB)"
            self.reply({"error": reason}, 500)
            return
        self.set_context(model, body)
        self.reply(
            {"model": model.name, "message": {"role": "assistant"}, "done": True, "done_reason": "load"}
        )

    def set_context(self, model: FakeModel, body: dict[str, Any]) -> int:
        asked = max(body.get("options", {}).get("num_ctx", 4096), 256)
        context = min(asked, model.context_length, self.ollama.faults.largest_context or asked)
        shift = bool(body.get("shift", True))
        with self.ollama.lock:
            before = self.ollama.contexts.get(model.name), self.ollama.shifts.get(model.name)
            self.ollama.reloads += before[0] is not None and before != (context, shift)
            self.ollama.contexts[model.name], self.ollama.shifts[model.name] = context, shift
        return context

    def read(self, body: dict[str, Any], context: int) -> list[dict[str, Any]]:
        """Return the messages that fit into the context; all of them if nothing may be cut."""
        messages = list(body["messages"])
        while body.get("truncate", True) and len(messages) > 1 and count_tokens(messages) >= context:
            del messages[0]
        return messages

    def chat(self, model: FakeModel, body: dict[str, Any]) -> None:
        if self.ollama.use_up("busy"):
            reason = "server busy, please try again.  maximum pending requests exceeded"
            self.reply({"error": reason}, 503)
        elif self.ollama.use_up("broken"):
            self.reply({"error": "llama runner process has terminated: exit status 2"}, 500)
        elif refusal := self.refusal(model, body):
            self.reply({"error": refusal[1]}, refusal[0])
        else:
            self.answer(model, body)

    def refusal(self, model: FakeModel, body: dict[str, Any]) -> tuple[int, str] | None:
        """Return the status and the words with which the real one refuses a request."""
        options, keep_alive = body.get("options") or {}, str(body.get("keep_alive", "5m"))
        if not isinstance(options.get("num_predict", 0), int):
            return 500, 'option "num_predict" must be of type integer'
        if isinstance(body.get("keep_alive"), str) and keep_alive.lstrip("-").isdigit():
            return 400, f'time: missing unit in duration "{keep_alive}"'
        if body.get("think") and "thinking" not in model.capabilities:
            return 400, f'"{model.name}" does not support thinking'
        if body.get("top_logprobs", 0) > 20:
            return 400, "top_logprobs must be between 0 and 20"
        schema = body.get("format")
        if isinstance(schema, dict) and schema.get("type") == "objct":
            return 400, below(
                400, "JSON schema conversion failed:\nUnrecognized schema", "invalid_request_error"
            )
        return None

    def answer(self, model: FakeModel, body: dict[str, Any]) -> None:
        context = self.set_context(model, body)
        messages = self.read(body, context)
        if body.get("_debug_render_only"):
            self.reply({"message": {"content": ""}, "done": False, "_debug_info": self.rendered(messages)})
            return
        prompt = count_tokens(messages)
        if prompt >= context:
            if not self.ollama.faults.truncates:
                said = f"request ({prompt} tokens) exceeds the available context size ({context} tokens), "
                numbers = {"n_prompt_tokens": prompt, "n_ctx": context}
                kind = "exceed_context_size_error"
                self.reply({"error": below(400, f"{said}try increasing it", kind, **numbers)}, 400)
                return
            prompt = context // 2
        if body.get("logprobs"):
            self.reply(self.tokens(model, body, prompt))
            return
        came = time.monotonic()
        with self.ollama.free:
            begun = time.monotonic()
            with self.ollama.one_more():
                pieces = self.pieces(model, body)
            asked = body["options"].get("num_predict", -1)
            limit = context - prompt if asked < 0 else min(max(asked, 1), context - prompt)
            end = {
                "done_reason": "length" if len(pieces) > limit else "stop",
                "load_duration": int(self.ollama.faults.seconds_to_load * 1e9) + 1_000_000,
                "prompt_eval_count": prompt,
                "eval_count": min(len(pieces), limit),
            }
            try:
                self.stream(model, pieces[:limit], end, (came, begun), streams=body.get("stream", True))
            except (BrokenPipeError, ConnectionResetError):
                self.ollama.hung_up.set()

    def rendered(self, messages: list[dict[str, Any]]) -> dict[str, str]:
        if self.ollama.renders is not None:
            return {"rendered_template": self.ollama.renders(messages)}
        text = "".join(f"<{message['role']}>{message['content']}" for message in messages)
        begun = messages[-1]["role"] == "assistant" and self.ollama.continues_answers
        return {"rendered_template": text if begun else f"{text}<end>"}

    def tokens(self, model: FakeModel, body: dict[str, Any], prompt: int) -> dict[str, Any]:
        last = body["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        likely = self.ollama.likely(begun) if self.ollama.likely else self.own_answer(body, begun)
        told = [
            {"token": token, "logprob": math.log(p), "bytes": list(token.encode())}
            for token, p in sorted(likely.items(), key=lambda pair: -pair[1])
        ][: body["top_logprobs"]]
        metrics = {"prompt_eval_count": prompt, "eval_count": 1, "done": True, "done_reason": "length"}
        message = {"role": "assistant", "content": told[0]["token"]}
        return {
            "model": model.name,
            "message": message,
            **metrics,
            "logprobs": [{**told[0], "top_logprobs": told}],
        }

    def own_answer(self, body: dict[str, Any], begun: str) -> dict[str, float]:
        """Return the next letters of the answer that it would give, if it begins like that but for blanks."""
        answer = self.ollama.default_answer
        asked = body["messages"][:-1] if begun else body["messages"]
        text = answer if isinstance(answer, str) else answer({**body, "messages": asked})
        while begun:
            if begun[0].isspace():
                begun = begun[1:]
            elif text[:1].isspace():
                text = text[1:]
            elif text[:1] == begun[0]:
                begun, text = begun[1:], text[1:]
            else:
                break
        return {"<end>": 1.0} if begun or not text else {text[:4]: 0.9, "<end>": 0.1}

    def pieces(self, model: FakeModel, body: dict[str, Any]) -> list[dict[str, str]]:
        """Return an answer word by word, after a thought where the model thinks; a begun one is continued."""
        text = self.ollama.next_answer(body)
        last = body["messages"][-1]
        text = last["content"] + text if last["role"] == "assistant" else text
        words = [word + " " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        thinks = "thinking" in model.capabilities and body.get("think", True)
        thought = [{"content": "", "thinking": self.ollama.thought}] if thinks else []
        return [*thought, *({"content": word} for word in words)]

    def stream(
        self,
        model: FakeModel,
        pieces: list[dict[str, str]],
        end: dict[str, Any],
        since: tuple[float, float],
        *,
        streams: bool,
    ) -> None:
        if not streams:
            content = "".join(piece["content"] for piece in pieces)
            self.reply({"message": {"role": "assistant", "content": content}, **self.last(model, end, since)})
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cut, fails = self.ollama.use_up("cut_streams"), self.ollama.use_up("error_in_stream")
        damaged = self.ollama.use_up("damaged")
        for number, piece in enumerate(pieces):
            self.pause(self.ollama.faults.seconds_per_piece)
            line = {"model": model.name, "message": {"role": "assistant", **piece}, "done": False}
            self.chunk(json.dumps(line))
            if number == 0 and cut:
                self.close_connection = True
                return
            if number == 0 and fails:
                self.chunk(json.dumps({"error": "an error was encountered while running the model"}))
                break
            if number == 0 and damaged:
                self.chunk("{half")
        else:
            last = {"message": {"role": "assistant", "content": ""}, **self.last(model, end, since)}
            self.chunk(json.dumps(last))
        self.wfile.write(b"0\r\n\r\n")

    def pause(self, seconds: float) -> None:
        """Wait, unless the client leaves: then its place in the queue is free at once."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.05))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise BrokenPipeError

    def last(self, model: FakeModel, end: dict[str, Any], since: tuple[float, float]) -> dict[str, Any]:
        came, begun = since
        now = time.monotonic()
        times = {"total_duration": now - came, "prompt_eval_duration": 0.2 * (now - begun)}
        times |= {"eval_duration": 0.8 * (now - begun)}
        told = {name: int(seconds * 1e9) + 1 for name, seconds in times.items()}
        return {"model": model.name, "created_at": datetime.now(UTC).isoformat(), "done": True, **told, **end}

    def copy(self, source: str, destination: str) -> None:
        model = self.ollama.model(source)
        if model is None:
            self.reply({"error": f'model "{source}" not found'}, 404)
            return
        old = self.ollama.model(destination)
        writings = old.writings if old else 0
        if old:
            self.ollama.models.remove(old)
        self.ollama.models.append(replace(model, name=destination, writings=writings + 1))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.ollama.model(body["model"])
        if model:
            self.ollama.models.remove(model)
        self.reply({} if model else {"error": f"model '{body['model']}' not found"}, 200 if model else 404)

    def pull(self, name: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        lines: list[dict[str, Any]] = [{"status": "pulling manifest"}]
        if "missing" in name:
            lines.append({"error": "pull model manifest: file does not exist"})
        else:
            digest = f"sha256:{digest_of(name)}"
            status = f"pulling {digest[7:19]}"
            lines += [
                {"status": status, "digest": digest, "total": 100, "completed": done}
                for done in (25, 50, 100)
            ]
            lines += [{"status": "verifying sha256 digest"}, {"status": "writing manifest"}]
            if not self.ollama.use_up("cut_streams"):
                lines.append({"status": "success"})
                self.ollama.models.append(FakeModel(name))
        for line in lines:
            self.chunk(json.dumps(line))
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, line: str) -> None:
        data = line.encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def reply(self, data: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
