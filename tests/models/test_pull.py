"""Downloads, against an Ollama server and a hub on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest

from models.errors import ModelFileError, ModelNotFoundError, ModelUriError, ServerError
from models.gguf_header import read_header
from models.pull import pull_model
from tests.models.gguf_files import write_model
from tests.models.ollama_server import OllamaServer

COMMIT = "c" * 40


@dataclass
class Hub:
    """As much of the hub as a download of one file needs."""

    files: dict[str, bytes] = field(default_factory=dict)
    damage: bool = False
    cut_after: int | None = None
    """Breaks the connection after so many bytes, once."""
    ranges: list[str] = field(default_factory=list)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub({"team/repo/tiny.gguf": write_model(tmp_path / "tiny.gguf", body=300_000).read_bytes()})
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield hub
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        repository, _, name = self.path.lstrip("/").partition("/resolve/main/")
        data = self.hub.files.get(f"{repository}/{name}")
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound" if "team" not in repository else "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        digest = hashlib.sha256(data).hexdigest()
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if with_body:
            self.hub.ranges.append(self.headers.get("Range") or "")
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            body = data[:-1] + b"\1" if self.hub.damage else data
            cut, self.hub.cut_after = self.hub.cut_after, None
            self.wfile.write(body[start:cut])


def test_a_file_of_the_hub_arrives_with_progress(hub: Hub) -> None:
    heard: list[tuple[str, float]] = []
    uri = pull_model("hf:team/repo/tiny.gguf", on_progress=lambda *said: heard.append(said))
    path = Path(uri.removeprefix("gguf:"))
    assert path.read_bytes() == hub.files["team/repo/tiny.gguf"]
    assert read_header(path).architecture == "qwen3"
    assert heard[0] == ("Downloading tiny.gguf from huggingface.co", 0.0)
    assert ("Downloading tiny.gguf", 1.0) in heard


def test_a_file_that_is_here_is_not_fetched_again(hub: Hub) -> None:
    assert pull_model("hf:team/repo/tiny.gguf") == pull_model("hf:team/repo/tiny.gguf")
    assert len(hub.ranges) == 1


def test_a_broken_download_goes_on_where_it_ended(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.cut_after = 100_000
    path = Path(pull_model("hf:team/repo/tiny.gguf").removeprefix("gguf:"))
    assert path.read_bytes() == hub.files["team/repo/tiny.gguf"]
    assert hub.ranges == ["", "bytes=100000-"]


def test_a_file_that_arrives_damaged_is_removed(hub: Hub) -> None:
    hub.damage = True
    with pytest.raises(ModelFileError, match="arrived damaged"):
        pull_model("hf:team/repo/tiny.gguf")
    hub.damage = False
    assert pull_model("hf:team/repo/tiny.gguf")


def test_all_shards_are_fetched(hub: Hub) -> None:
    for i in (1, 2):
        hub.files[f"team/repo/sub/big-{i:05d}-of-00002.gguf"] = hub.files["team/repo/tiny.gguf"] + bytes([i])
    uri = pull_model("hf:team/repo/sub/big-00002-of-00002.gguf")
    assert uri.endswith("big-00001-of-00002.gguf")
    assert len(hub.ranges) == 2


def test_what_the_hub_does_not_have_is_said(hub: Hub) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no other\.gguf in team/repo"):
        pull_model("hf:team/repo/other.gguf")
    with pytest.raises(ModelNotFoundError, match="nobody/repo"):
        pull_model("hf:nobody/repo/tiny.gguf")


def test_a_hub_that_cannot_be_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ServerError, match="can't be reached"):
        pull_model("hf:team/repo/tiny.gguf")


def test_ollama_fetches_its_own_with_progress(ollama: OllamaServer) -> None:
    heard: list[tuple[str, float]] = []
    assert pull_model("ollama:llama3", on_progress=lambda *said: heard.append(said)) == "ollama:llama3"
    assert [fraction for _, fraction in heard] == [0.0, 0.25, 0.5, 1.0, 0.0, 0.0, 0.0]
    assert heard[0][0] == "Ollama: pulling manifest"


def test_what_ollama_cannot_get_is_said(ollama: OllamaServer) -> None:
    with pytest.raises(ServerError, match="file does not exist"):
        pull_model("ollama:missing")
    ollama.faults.cut_streams = 1
    with pytest.raises(ServerError, match="it resumes"):
        pull_model("ollama:llama3")


@pytest.mark.parametrize("source", ["", "qwen3", "hf:team/file.gguf", "hf:team/repo/file.bin", "gguf:x.gguf"])
def test_what_cannot_be_read_shows_the_forms(source: str) -> None:
    with pytest.raises(ModelUriError, match="hf:OWNER/REPO/FILE"):
        pull_model(source)
