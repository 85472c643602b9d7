"""Vectors of texts from a GGUF file in this process and from servers on loopback."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gguf
import pytest

from models.embedding.opening import open_embedder
from models.errors import ModelError, RevisionMovedError, ServerError
from tests.models.gguf.tiny_model import write_tiny_model


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


@pytest.fixture
def embedding_gguf(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "embed.gguf", context=64, pooling=gguf.PoolingType.MEAN)


def test_a_file_in_this_process_gives_the_same_text_the_same_vector(embedding_gguf: Path) -> None:
    with open_embedder(f"gguf:{embedding_gguf}") as embedder:
        first, other, again = embedder.embed(
            ["My parcel is late.", "Two kilos of plums", "My parcel is late."]
        )
        assert cosine(first, again) == pytest.approx(1.0, abs=1e-6)
        assert cosine(first, other) < 0.99
        assert len(first) == 64
        assert len(embedder.embed([""])[0]) == 64
        assert embedder.revision.digest == f"sha256:{sha256(embedding_gguf.read_bytes()).hexdigest()}"
        with pytest.raises(ModelError, match="reads 64") as caught:
            embedder.embed(["late " * 200])
        assert "longer context" in caught.value.hint
    embedder.close()


def test_a_model_that_writes_text_has_no_embeddings(tmp_path: Path) -> None:
    writes = write_tiny_model(tmp_path / "writes.gguf")
    for uri in (f"gguf:{writes}", "demo"):
        with pytest.raises(ModelError, match="has no embeddings") as caught:
            open_embedder(uri)
        assert "[model] embedding" in caught.value.hint


class Server(ThreadingHTTPServer):
    """Both protocols: texts become vectors by their letters; `digest` and `refuses` can be changed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.digest = "a" * 64
        self.writings = 0
        self.before_answer: Callable[[], None] = lambda: None
        self.refuses = False
        self.is_down = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = {"name": "embed:latest", "model": "embed:latest", "digest": self.server.digest}
        name["modified_at"] = str(self.server.writings)
        known = {
            "/api/version": {"version": "0.12.6"},
            "/api/tags": {"models": [name]},
            "/v1/models": {"data": [{"id": "embed", "object": "model"}]},
        }
        self.reply(known.get(self.path, {}), 200 if self.path in known else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.before_answer()
        if self.server.is_down:
            self.reply({"error": "busy"}, 503)
        elif self.server.refuses:
            self.reply({"error": "this model does not support embeddings"}, 400)
        else:
            vectors = [[1.0, float(text.count("a")), float(text.count("b"))] for text in body["input"]]
            rows = [{"index": number, "embedding": one} for number, one in enumerate(vectors)]
            self.reply({"embeddings": vectors} if self.path == "/api/embed" else {"data": rows})

    def reply(self, data: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as running:
        monkeypatch.setenv("OLLAMA_HOST", running.address)
        yield running


def uris(server: Server) -> list[str]:
    return ["ollama:embed", f"openai:{server.address}/v1#embed"]


def test_servers_are_asked_by_their_own_protocol(server: Server) -> None:
    for uri in uris(server):
        with open_embedder(uri) as embedder:
            assert embedder.embed(["aab", "b"]) == [[1.0, 2.0, 1.0], [1.0, 0.0, 1.0]]


def test_a_server_whose_model_has_no_embeddings_says_so(server: Server) -> None:
    server.refuses = True
    for uri in uris(server):
        with open_embedder(uri) as embedder, pytest.raises(ModelError, match="has no embeddings") as caught:
            embedder.embed(["a"])
        assert "does not support embeddings" in caught.value.message
        assert "[model] embedding" in caught.value.hint


def test_a_server_that_fails_is_no_model_without_embeddings(server: Server) -> None:
    server.is_down = True
    for uri in uris(server):
        with open_embedder(uri) as embedder, pytest.raises(ServerError):
            embedder.embed(["a"])


def test_a_tag_that_moves_ends_it(server: Server) -> None:
    with open_embedder("ollama:embed") as embedder:
        embedder.embed(["a"])
        server.digest = "b" * 64
        with pytest.raises(RevisionMovedError):
            embedder.embed(["a"])


def test_a_tag_that_moves_there_and_back_during_an_answer_is_asked_again(server: Server) -> None:
    asked: list[int] = []

    def move_at_first() -> None:
        asked.append(1)
        server.writings += 2 * (len(asked) == 1)  # to other weights, and back before anybody looks

    server.before_answer = move_at_first
    with open_embedder("ollama:embed") as embedder:
        assert embedder.embed(["a"]) == [[1.0, 1.0, 0.0]]
        assert embedder.embed(["b"]) == [[1.0, 0.0, 1.0]]
    assert len(asked) == 3


def test_a_tag_that_is_written_during_every_answer_gives_no_vectors(server: Server) -> None:
    def write() -> None:
        server.writings += 1

    server.before_answer = write
    with open_embedder("ollama:embed") as embedder, pytest.raises(ServerError, match="written again"):
        embedder.embed(["a"])
