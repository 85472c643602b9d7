"""The content hash of GGUF files, computed once per file."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from engine.ground.model import Progress
from engine.ground.revision import ModelRevision, sha256_of
from models.errors import ModelError, ModelFileError
from models.gguf.header import read_header, shards
from models.gguf.package import engine_name
from models.user_cache import file_key, recall, remember

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
        engine=engine_name(),
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
        key = file_key(*files)
        known = _recall(key)
        if known:
            return known
        digest = _hash(files, on_progress)
        if file_key(*files) == key:  # a file that changed meanwhile has no digest to remember
            remember("digests", key, {"digest": digest, "path": str(files[0])})
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
        return _recall(file_key(*shards(path)))
    return None


def _recall(key: object) -> str | None:
    known = recall("digests", key)
    return str(known["digest"]) if isinstance(known, dict) and "digest" in known else None
