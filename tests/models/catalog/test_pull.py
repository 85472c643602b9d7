"""Downloads, against an Ollama server and a hub on loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from models.catalog.pull import pull_model, reaches
from models.errors import ModelFileError, ModelNotFoundError, ModelUriError, ServerError
from models.gguf.header import read_header
from models.uri import GGUFUri, parse_uri
from tests.models.catalog.hub_server import Hub
from tests.models.gguf_files import write_model
from tests.models.ollama.ollama_server import OllamaServer
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {"team/repo/tiny.gguf": write_model(tmp_path / "tiny.gguf", body=300_000).read_bytes()}
    with Hub(files) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
            monkeypatch.setenv(name, str(int(PATIENCE_SECONDS)))
            monkeypatch.setattr(huggingface_hub.constants, name, int(PATIENCE_SECONDS))
        yield hub


def test_a_file_of_the_hub_arrives_with_progress(hub: Hub) -> None:
    heard: list[tuple[str, float]] = []
    uri = pull_model("hf:team/repo/tiny.gguf", on_progress=lambda *said: heard.append(said))
    path = Path(uri.removeprefix("gguf:"))
    assert path.read_bytes() == hub.files["team/repo/tiny.gguf"]
    assert read_header(path).architecture == "qwen3"
    host = os.environ["HF_ENDPOINT"].removeprefix("http://")
    assert heard[0] == (f"Downloading tiny.gguf from {host}", 0.0)
    assert ("Downloading tiny.gguf, 0.00 of 0.00 GB", 1.0) in heard


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("hf:team/many", "many-Q4_K_M.gguf"),
        ("hf:team/many:q8_0", "many-Q8_0.gguf"),
        ("hf:team/many:IQ4_XS", "parts/many-IQ4_XS-00001-of-00002.gguf"),
        ("hf:team/repo", "tiny.gguf"),
    ],
)
def test_a_repository_or_a_quantization_is_the_file_that_is_meant(hub: Hub, source: str, file: str) -> None:
    data = hub.files["team/repo/tiny.gguf"]
    names = ["many-Q4_K_M.gguf", "many-Q8_0.gguf", "mmproj-many-Q4_K_M.gguf", "README.md"]
    names += [f"parts/many-IQ4_XS-0000{number}-of-00002.gguf" for number in (1, 2)]
    hub.files |= {f"team/many/{name}": data for name in names}
    assert pull_model(source).endswith(f"/{file}")
    if "-of-" in file:
        assert f"/team/many/resolve/main/{file.replace('00001-of', '00002-of')}" in hub.paths
    assert read_header(Path(pull_model(source).removeprefix("gguf:"))).architecture == "qwen3"


def test_a_quantization_that_is_not_there_names_those_that_are(hub: Hub) -> None:
    hub.files |= {f"team/many/many-{kind}.gguf": b"" for kind in ("Q5_K_S", "BF16")}
    for source, missing in (("hf:team/many", "Q4_K_M"), ("hf:team/many:Q2_K", "Q2_K")):
        with pytest.raises(ModelUriError, match=f"no {missing}") as caught:
            pull_model(source)
        assert caught.value.hint == "It has BF16, Q5_K_S."
    with pytest.raises(ModelNotFoundError):
        pull_model("hf:nobody/nothing")


def test_what_was_pulled_is_a_task_by_its_name_from_then_on(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelUriError, match="isn't on this machine"):
        parse_uri("hf:team/repo")
    path = pull_model("hf:team/repo").removeprefix("gguf:")
    asked = len(hub.paths)
    assert parse_uri("hf:team/repo") == parse_uri("hf:team/repo/tiny.gguf") == GGUFUri(Path(path))
    assert len(hub.paths) == asked


def test_a_file_that_is_here_is_not_fetched_again(hub: Hub) -> None:
    assert pull_model("hf:team/repo/tiny.gguf") == pull_model("hf:team/repo/tiny.gguf")
    assert len(hub.ranges) == 1


def test_a_broken_download_goes_on_where_it_ended(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.cut_after = 100_000
    path = Path(pull_model("hf:team/repo/tiny.gguf").removeprefix("gguf:"))
    assert path.read_bytes() == hub.files["team/repo/tiny.gguf"]
    assert hub.ranges == ["", "bytes=100000-"]


def test_a_download_that_was_killed_goes_on_in_another_process(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.hold_after = 200_000
    code = (
        "import huggingface_hub.constants as c; c.DOWNLOAD_CHUNK_SIZE = 10_000\n"
        "from models.catalog.pull import pull_model; pull_model('hf:team/repo/tiny.gguf')"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub")}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    assert hub.is_holding.wait(PATIENCE_SECONDS)
    partial: Path | None = None
    while partial is None or partial.stat().st_size < 150_000:
        partial = next((tmp_path / "hub").glob("models--team--repo/blobs/*.incomplete"), None)
    process.kill()
    process.wait()
    hub.go_on.set()
    kept = partial.stat().st_size
    path = Path(pull_model("hf:team/repo/tiny.gguf").removeprefix("gguf:"))
    assert path.read_bytes() == hub.files["team/repo/tiny.gguf"]
    assert hub.ranges == ["", f"bytes={kept}-"]
    assert [file.name for file in (tmp_path / "hub").glob("models--team--repo/blobs/*")] == [
        path.resolve().name
    ]


def test_a_partial_file_that_is_too_long_is_begun_anew(hub: Hub, tmp_path: Path) -> None:
    data = hub.files["team/repo/tiny.gguf"]
    blobs = tmp_path / "hub" / "models--team--repo" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(data).hexdigest()}.incomplete").write_bytes(data + b"more")
    path = Path(pull_model("hf:team/repo/tiny.gguf").removeprefix("gguf:"))
    assert path.read_bytes() == data
    assert hub.ranges == [""]


def test_who_is_asked_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert reaches("hf:team/repo/file.gguf") == "huggingface.co"
    assert reaches("ollama:qwen3:4b") == "registry.ollama.ai, through Ollama at http://127.0.0.1:9"
    assert reaches("ollama:hf.co/team/m") == "hf.co, through Ollama at http://127.0.0.1:9"
    assert reaches("ollama:team/m") == "registry.ollama.ai, through Ollama at http://127.0.0.1:9"


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
    assert heard[1][0].endswith(", 0.00 of 0.00 GB")


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
