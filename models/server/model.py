"""What models behind servers have in common, whatever the server's protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import dspy

from engine.ground.model import Messages
from engine.ground.revision import ModelRevision
from models.errors import RevisionMovedError
from models.server.engine import AsyncServerEngine, ServerEngine
from models.server.token_counts import TokenCounter, count_prompt
from models.server.vouching import Sighting, Vouching, identity_of, moved_sentence
from models.settings import ModelSettings


class ServerModel(ABC):
    """A `LocalModel` that a server runs."""

    hint_when_moved: ClassVar[str]

    def __init__(
        self,
        uri: str,
        revision: ModelRevision,
        settings: ModelSettings,
        *,
        context_length: int,
        engine: ServerEngine,
        counter: TokenCounter,
        seen: Sighting,
    ) -> None:
        self.uri = uri
        self.revision = revision
        self.sampling = settings.sampling()
        self.context_length = context_length
        self._engine = engine
        self._counter = counter
        engine.vouch_with(Vouching(uri, seen, self.look))
        self.lm = dspy.LM(
            f"{revision.kind}/{revision.name}",
            engine=engine,
            async_engine=AsyncServerEngine(engine),
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            cache=False,
        )

    @abstractmethod
    def read_revision(self) -> ModelRevision:
        """Ask the server what the name stands for now."""

    @abstractmethod
    async def look(self) -> Sighting:
        """Return what the server shows of the model's name now; runs on the engine's own loop.

        Raises:
            ModelNotFoundError: the server doesn't have it any more.
            ServerError: the server doesn't answer.
        """

    @abstractmethod
    def disconnect(self) -> None:
        """Close the connections that aren't the engine's."""

    @property
    def exact_token_counts(self) -> bool:
        """Whether the model's vocabulary counts; the template's share is always an allowance."""
        return self._counter.exact

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return self._counter.count(text)

    def count_prompt_tokens(self, messages: Messages) -> int:
        """Return how many tokens the messages have, with an allowance for the template around them."""
        return count_prompt(self._counter, messages)

    def verify_revision(self) -> None:
        """Check that the server still means the same model.

        Raises:
            RevisionMovedError: it has other weights, another template or other parameters by now.
        """
        now = self.read_revision()
        if now != self.revision:
            sentence = moved_sentence(self.uri, identity_of(self.revision), identity_of(now))
            raise RevisionMovedError(sentence, hint=self.hint_when_moved)

    def cancel(self) -> None:
        """End all running requests; the server stops working on them."""
        self._engine.cancel()

    def close(self) -> None:
        """Close the connections; calling it twice is fine."""
        self._engine.close()
        self.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
