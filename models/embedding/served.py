"""Embedding models behind servers: Ollama's `/api/embed`, and `/v1/embeddings` of OpenAI's protocol.

A vector counts only if the model's name meant the same model before and after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from engine.ground.revision import ModelRevision
from models.embedding.refusal import no_embeddings
from models.errors import RevisionMovedError, ServerError
from models.ollama.api import OllamaApi, error_text, manifest_digest
from models.openai.api import ask_all, client
from models.uri import OpenAIUri


class ServedEmbedder(ABC):
    """What the servers share."""

    uri: str
    revision: ModelRevision

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text.

        Raises:
            ServerError: the server doesn't answer.
            ModelError: the model has no embeddings.
            RevisionMovedError: the name means other weights by now.
        """
        vectors = self._ask(texts)
        if len(vectors) != len(texts) or not all(vectors):
            raise no_embeddings(self.uri, "the server answered without vectors")
        self.verify_revision()
        return [[float(value) for value in vector] for vector in vectors]

    def verify_revision(self) -> None:
        """Read the model's identity again.

        Raises:
            RevisionMovedError: the same name now means other weights.
        """
        if self._digest() != self.revision.digest:
            raise RevisionMovedError(
                f"{self.uri} was changed while it was in use.",
                hint="Bring the model back as it was and resume, or run again.",
            )

    @abstractmethod
    def close(self) -> None:
        """Close the connection; calling it twice is fine."""

    @abstractmethod
    def _ask(self, texts: Sequence[str]) -> list[list[float]]: ...

    @abstractmethod
    def _digest(self) -> str: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OllamaEmbedder(ServedEmbedder):
    """An embedding model that an Ollama server runs."""

    def __init__(self, name: str, seconds: float) -> None:
        self.uri = f"ollama:{name}"
        self._api = OllamaApi()
        self._name = name
        self._seconds = seconds
        try:
            version = self._api.version()
            self.revision = ModelRevision(
                kind="ollama", digest=self._digest(), name=name, engine=f"ollama {version}"
            )
        except BaseException:
            self._api.close()
            raise

    def close(self) -> None:
        """Close the connection; calling it twice is fine."""
        self._api.close()

    def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        response = self._api.embed(self._name, list(texts), self._seconds)
        if response.is_client_error or "does not support embeddings" in response.text:
            raise no_embeddings(self.uri, error_text(response.text))
        return _vectors(response, lambda answer: answer["embeddings"])

    def _digest(self) -> str:
        return manifest_digest(self._api.model(self._name))


class OpenAIEmbedder(ServedEmbedder):
    """An embedding model behind an OpenAI-compatible server."""

    def __init__(self, target: OpenAIUri, seconds: float) -> None:
        self.uri = target.text
        self._target = target
        self._seconds = seconds
        self.revision = ask_all(target, load_seconds=seconds).revision
        self._http = client(target.endpoints[0], seconds)

    def close(self) -> None:
        """Close the connection; calling it twice is fine."""
        self._http.close()

    def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        address = self._target.endpoints[0]
        body = {"model": self._target.name, "input": list(texts)}
        try:
            response = self._http.post(f"{address}/embeddings", json=body, timeout=self._seconds)
        except httpx.HTTPError as error:
            raise ServerError(f"{address} gives no vectors: {error}.", hint="Is it running?") from error
        if response.is_client_error or response.status_code == httpx.codes.NOT_IMPLEMENTED:
            raise no_embeddings(self.uri, f"the server answers {response.status_code}: {response.text[:200]}")
        return _vectors(response, lambda answer: [row["embedding"] for row in answer["data"]])

    def _digest(self) -> str:
        return ask_all(self._target).revision.digest


def _vectors(response: httpx.Response, read: Any) -> list[list[float]]:
    try:
        response.raise_for_status()
        vectors: list[list[float]] = read(response.json())
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ServerError(
            f"{response.url} gives no vectors: {error}.", hint="Its own log says more."
        ) from error
    return vectors
