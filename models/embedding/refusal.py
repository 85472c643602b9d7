"""The error of a model that gives no vectors, with what to name in its place."""

from __future__ import annotations

from models.errors import ModelError

_CHOOSE = (
    "Name an embedding model in [model] embedding, such as gguf:nomic-embed-text-v1.5.Q8_0.gguf, "
    "ollama:nomic-embed-text, or openai:http://HOST:PORT/v1#NAME of a server started with embeddings."
)


def no_embeddings(uri: str, why: str) -> ModelError:
    """Return the error of a model that gives no vectors."""
    return ModelError(f"{uri} has no embeddings: {why}.", hint=_CHOOSE)
