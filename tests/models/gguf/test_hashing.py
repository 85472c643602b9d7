from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from models.errors import ModelFileError
from models.gguf import hashing
from models.gguf.hashing import cached_digest, files_digest, gguf_digest, gguf_revision
from tests.models.gguf_files import write_model


def sha256(*paths: Path) -> str:
    return f"sha256:{hashlib.sha256(b''.join(path.read_bytes() for path in paths)).hexdigest()}"


def test_the_digest_is_the_files_sha256_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(tmp_path / "model.gguf", body=10_000)
    monkeypatch.setattr(hashing, "CHUNK", 4096)
    heard: list[tuple[str, float]] = []
    assert gguf_digest(path, on_progress=lambda *said: heard.append(said)) == sha256(path)
    assert heard[0][0] == "Hashing model.gguf"
    fractions = [fraction for _, fraction in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf")
    assert cached_digest(path) is None
    digest = gguf_digest(path)
    heard: list[object] = []
    assert gguf_digest(path, on_progress=lambda *said: heard.append(said)) == digest
    assert heard == []
    assert cached_digest(path) == digest


def test_a_link_to_a_known_file_is_known(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf")
    digest = gguf_digest(path)
    link = tmp_path / "link.gguf"
    link.symlink_to(path)
    assert cached_digest(link) == digest


def test_a_changed_file_is_read_again_even_with_its_old_time(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf")
    before, stat = gguf_digest(path), path.stat()
    other = write_model(tmp_path / "other.gguf")
    other.write_bytes(other.read_bytes()[:-1] + b"\1")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert gguf_digest(path) == sha256(path) != before


def test_shards_are_one_model(tmp_path: Path) -> None:
    files = [write_model(tmp_path / f"big-{i:05d}-of-00002.gguf", body=5000 + i) for i in (1, 2)]
    assert gguf_digest(files[1]) == sha256(*files)
    assert files_digest(files[:1]) == sha256(files[0])


def test_a_damaged_cache_is_no_obstacle(tmp_path: Path, own_cache: Path) -> None:
    path = write_model(tmp_path / "model.gguf")
    digest = gguf_digest(path)
    for entry in (own_cache / "digests").iterdir():
        entry.write_text("{half")
    assert gguf_digest(path) == digest


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path, own_cache: Path) -> None:
    own_cache.write_text("a file where a folder should be")
    path = write_model(tmp_path / "model.gguf")
    assert gguf_digest(path) == sha256(path)


def test_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="can't be read"):
        files_digest([tmp_path])


def test_the_revision_covers_weights_and_template(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf")
    own = gguf_revision(path)
    assert own.digest == own.weights_digest == sha256(path)
    assert own.name == "Qwen3 0.6B"
    assert own.engine.startswith("llama-cpp-python ")
    other = gguf_revision(path, chat_template="{{ other }}")
    assert other != own
    assert other.same_weights(own)
