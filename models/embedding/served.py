"""Embedding models behind servers: Ollama's `/api/embed`, and `/v1/embeddings` of OpenAI's protocol.

A vector counts only if the model's name meant the same model before and after it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import httpx

from engine.ground.closing import Closing
from engine.ground.model import Progress
from engine.ground.revision import ModelRevision
from models.embedding.refusal import no_embeddings
from models.errors import RevisionMovedError, ServerError
from models.ollama.api import OllamaApi, manifest_digest
from models.openai.api import OpenAIServers, client
from models.server.error_texts import error_text
from models.server.vouching import Sighting, identity_of
from models.uri import OpenAIUri

_TRIES = 3
"""How often vectors are asked for while the model's name is written again and again."""


class ServedEmbedder(Closing):
    """What the servers share."""

    uri: str
    revision: ModelRevision
    _identity: str
    _seen: Sighting
    """The latest look at the model's name."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text.

        Raises:
            ServerError: the server doesn't answer, or the name is written all the time.
            ModelError: the model has no embeddings.
            RevisionMovedError: the name means other weights by now.
        """
        for _ in range(_TRIES):
            before, vectors = self._seen, self._ask(texts)
            if len(vectors) != len(texts) or not all(vectors):
                raise no_embeddings(self.uri, "the server answered without vectors")
            if self._verified() == before:
                return [[float(value) for value in vector] for vector in vectors]
        raise ServerError(
            f"{self.uri} is written again during every answer, so that none of them counts.",
            hint="Wait until it stays as it is, and resume.",
        )

    def verify_revision(self) -> None:
        """Read the model's identity again.

        Raises:
            RevisionMovedError: the same name now means other weights.
        """
        self._verified()

    def _verified(self) -> Sighting:
        seen = self._seen = self._look()
        if seen.identity != self._identity:
            raise RevisionMovedError(
                f"{self.uri} was changed while it was in use.",
                hint="Bring the model back as it was and resume, or run again.",
            )
        return seen

    @abstractmethod
    def close(self) -> None:
        """Close the connection; calling it twice is fine."""

    @abstractmethod
    def _ask(self, texts: Sequence[str]) -> list[list[float]]: ...

    @abstractmethod
    def _look(self) -> Sighting: ...


class OllamaEmbedder(ServedEmbedder):
    """An embedding model that an Ollama server runs."""

    def __init__(self, name: str, seconds: float) -> None:
        self.uri = f"ollama:{name}"
        self._api = OllamaApi()
        self._name = name
        self._seconds = seconds
        try:
            version, self._seen = self._api.version(), self._look()
            self._identity = self._seen.identity
            self.revision = ModelRevision(
                kind="ollama", digest=self._identity, name=name, engine=f"ollama {version}"
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

    def _look(self) -> Sighting:
        listed = self._api.model(self._name)
        return Sighting(manifest_digest(listed), str(listed.get("modified_at")))


class OpenAIEmbedder(ServedEmbedder):
    """An embedding model behind an OpenAI-compatible server."""

    def __init__(self, target: OpenAIUri, seconds: float, on_progress: Progress | None = None) -> None:
        self.uri = target.text
        self._target = target
        self._seconds = seconds
        self._servers = OpenAIServers(target, report=on_progress)
        try:
            self.revision = self._servers.ask(load_seconds=seconds).revision
        except BaseException:
            self._servers.close()
            raise
        self._identity = identity_of(self.revision)
        self._seen = Sighting(self._identity)
        self._http = client(target.endpoints[0], seconds)

    def close(self) -> None:
        """Close the connections; calling it twice is fine."""
        self._servers.close()
        self._http.close()

    def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        address = self._target.endpoints[0]
        body = {"model": self._target.name, "input": list(texts)}
        try:
            response = self._http.post(f"{address}/embeddings", json=body, timeout=self._seconds)
        except httpx.HTTPError as error:
            raise ServerError(f"{address} gives no vectors: {error}.", hint="Is it running?") from error
        if response.is_client_error or response.status_code == httpx.codes.NOT_IMPLEMENTED:
            reason = error_text(response.text)
            raise no_embeddings(self.uri, f"the server answers {response.status_code}: {reason}")
        return _vectors(response, lambda answer: [row["embedding"] for row in answer["data"]])

    def _look(self) -> Sighting:
        """Return what the servers say; a model that was unloaded for another one is none other."""
        answers = self._servers.ask()
        return Sighting(identity_of(answers.revision) if answers.describes_model else self._identity)


def _vectors(response: httpx.Response, read: Any) -> list[list[float]]:
    try:
        response.raise_for_status()
        vectors: list[list[float]] = read(response.json())
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ServerError(
            f"{response.url} gives no vectors: {error}.", hint="Its own log says more."
        ) from error
    return vectors
