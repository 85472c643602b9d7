"""Opens an embedding model by its URI."""

from __future__ import annotations

from pathlib import Path

from engine.ground.model import Embedder, Progress
from models.embedding.refusal import no_embeddings
from models.gguf.hashing import gguf_revision
from models.gguf.header import read_header, shards
from models.gguf.package import require_llama_cpp
from models.settings import ModelSettings
from models.uri import DemoUri, GGUFUri, OllamaUri, file_of, parse_uri


def open_embedder(
    uri: str,
    *,
    settings: ModelSettings | None = None,
    project_dir: Path | None = None,
    on_progress: Progress | None = None,
) -> Embedder:
    """Open an embedding model; close it, or use it as a context manager.

    Raises:
        ModelUriError: the URI can't be read.
        ModelError: the model can't be found or reached, or has no embeddings; the hint says what to do.
    """
    settings = settings or ModelSettings()
    target = parse_uri(uri, project_dir)
    if isinstance(target, DemoUri):
        raise no_embeddings(uri, "the demo model writes text")
    if isinstance(target, GGUFUri):
        require_llama_cpp(uri)
        path = shards(file_of(target))[0]
        if not read_header(path).embeds:
            raise no_embeddings(uri, "its file says nothing of how to pool vectors, so it writes text")
        from models.embedding.gguf import GGUFEmbedder

        return GGUFEmbedder(path, uri, gguf_revision(path, on_progress=on_progress), settings)
    if isinstance(target, OllamaUri):
        from models.embedding.served import OllamaEmbedder

        return OllamaEmbedder(target.name, settings.timeout_seconds)
    from models.embedding.served import OpenAIEmbedder

    return OpenAIEmbedder(target, settings.timeout_seconds, on_progress)
