"""The content hash of GGUF files, computed once per file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

import platformdirs

from models.errors import ModelError, ModelFileError
from models.gguf_header import read_header, shards
from models.local import Progress
from models.revision import ModelRevision, sha256_of

CHUNK = 8 << 20


def gguf_revision(
    path: Path, *, chat_template: str | None = None, on_progress: Progress | None = None
) -> ModelRevision:
    """Return a GGUF's revision; `chat_template` is the text that overrides the file's own.

    Raises:
        ModelNotFoundError: the file or a shard of it is missing.
        ModelFileError: it is damaged or can't be read.
    """
    files = shards(path)
    header = read_header(files[0])
    template = chat_template or header.chat_template
    digest = gguf_digest(path, on_progress=on_progress)
    return ModelRevision(
        kind="gguf",
        digest=digest,
        template_digest=sha256_of(template) if template else None,
        name=header.name or path.stem,
        weights_digest=digest,
        engine=f"llama-cpp-python {version('llama-cpp-python')}",
    )


def gguf_digest(path: Path, *, on_progress: Progress | None = None) -> str:
    """Return `sha256:` + 64 hex of a GGUF's bytes, shards in order; a cache answers for unchanged files.

    For a file without shards it equals the hub's LFS object id and the name of Ollama's blob.
    """
    return files_digest(shards(path), on_progress=on_progress)


def files_digest(files: list[Path], *, on_progress: Progress | None = None) -> str:
    """Return `sha256:` + 64 hex of some files' bytes, one after the other.

    Raises:
        ModelFileError: one of them can't be read.
    """
    try:
        place = _cache_file(files)
        known = _recall(place)
        if known:
            return known
        digest = _hash(files, on_progress)
        if _cache_file(files) == place:  # a file that changed meanwhile has no digest to remember
            _remember(place, digest, files[0])
        return digest
    except OSError as error:
        problem = f"{error.filename or files[0]} can't be read: {error.strerror}."
        raise ModelFileError(problem, hint="Check the disk and the permissions.") from error


def _hash(files: list[Path], on_progress: Progress | None) -> str:
    total, done, state = sum(file.stat().st_size for file in files), 0, hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                state.update(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(f"Hashing {files[0].name}", min(done / total, 1.0))
    return f"sha256:{state.hexdigest()}"


def cached_digest(path: Path) -> str | None:
    """Return a GGUF's digest if it is known without reading the file."""
    with contextlib.suppress(OSError, ModelError):
        return _recall(_cache_file(shards(path)))
    return None


def _cache_file(files: list[Path]) -> Path:
    """Return where the digest is kept; any change that the system can tell us of leads elsewhere."""
    stats = [(str(file.resolve()), file.stat()) for file in files]
    key = [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev) for name, stat in stats]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return Path(platformdirs.user_cache_dir("promptgrad", appauthor=False)) / "digests" / f"{name}.json"


def _recall(place: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(place.read_text(encoding="utf-8"))["digest"])
    return None


def _remember(place: Path, digest: str, path: Path) -> None:
    with contextlib.suppress(OSError):  # a cache that can't be written costs time, never an answer
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"digest": digest, "path": str(path)}), encoding="utf-8")
        partial.replace(place)
