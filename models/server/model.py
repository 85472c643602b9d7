"""What models behind servers have in common, whatever the server's protocol."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import dspy
from dspy import lm15

from engine.ground.closing import Closing
from engine.ground.model import Messages
from engine.ground.revision import ModelRevision
from models.errors import RevisionMovedError
from models.server.engine import AsyncServerEngine, ServerEngine
from models.server.scoring import NextToken, score_continuations
from models.server.token_counts import TokenCounter, count_prompt
from models.server.vouching import Sighting, Vouching, identity_of, moved_sentence
from models.settings import ModelSettings
from models.today import PrintedDate, date_in_key


class ServerModel(Closing):
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
        date: PrintedDate | None,
    ) -> None:
        self.uri = uri
        self.revision = revision
        self.printed_date = date
        self.sampling = {**settings.sampling(), **date_in_key(date)}
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

    @property
    def can_score(self) -> bool:
        """Whether `score` works: the server tells log-probabilities and continues a begun answer."""
        return False

    def score(self, messages: Messages, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation, of what follows the beginning that all share.

        Nothing is generated but a token for each question. Answers are told apart by the likeliest next
        tokens that a server tells; one that none of them begins has the probability of the least of them.

        Raises:
            UnsupportedFeatureError: the server can't do it.
            RevisionMovedError: the name means another model now.
        """
        if not self.can_score:
            raise lm15.UnsupportedFeatureError(f"{self.uri} tells no log-probabilities of answers.")
        ask = functools.partial(self.next_tokens, messages)
        return self._engine.run(lambda: score_continuations(continuations, ask))

    async def next_tokens(self, messages: Messages, begun: str) -> Sequence[NextToken]:
        """Return the likeliest tokens after an answer has `begun`; runs on the engine's own loop."""
        raise NotImplementedError

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
