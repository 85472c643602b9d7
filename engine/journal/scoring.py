"""Log-probabilities that are paid for once, and recorded and replayed like completions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from math import sqrt
from typing import Any

from engine.ground.answer_scoring import ModelScorer, answer_scorer
from engine.ground.model import Embedder, Messages, Model
from engine.journal.event_base import Tokens
from engine.journal.replay import Replay
from engine.programs.judge import Judge


class RecordedScorer:
    """A model's `score` behind a `Replay`; `counted` is called after each scoring."""

    def __init__(
        self, replay: Replay, model: Model, scorer: ModelScorer, counted: Callable[[], None] = lambda: None
    ) -> None:
        self._replay = replay
        self._counted = counted
        self._revision = replay.revision_of(model)
        self._scorer = scorer

    def score(self, messages: Messages, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation: from the record or, once, from the model."""
        asked = {
            "messages": [dict(message) for message in messages],
            "continuations": list(continuations),
            **self._scorer.options,
        }

        def answer() -> tuple[str, Tokens]:
            return json.dumps(self._scorer.score(messages, continuations)), Tokens()

        kept = self._replay.recorded(self._key(asked), _brief(asked), answer)
        self._counted()
        return [float(value) for value in json.loads(kept.response)]

    def _key(self, asked: dict[str, Any]) -> str:
        """Return the hash of everything the numbers depend on: the model, prompt and continuations."""
        identity = ["score", *self._revision.answers_as, asked]
        return sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()


def recorded_scorer(
    replay: Replay, model: Model, counted: Callable[[], None] = lambda: None
) -> RecordedScorer | None:
    """Return the model's scorer, or None if it has no log-probabilities; `counted` is called after each."""
    scorer = answer_scorer(model)
    return RecordedScorer(replay, model, scorer, counted) if scorer is not None else None


def recorded_judge(replay: Replay, model: Model, embedder: Embedder | None = None) -> Judge:
    """Return a model as a judge whose every answer and number goes through a replay."""
    similarity = RecordedSimilarity(replay, embedder) if embedder is not None else None
    return Judge(replay.lm(model), recorded_scorer(replay, model), similarity)


class RecordedSimilarity:
    """The cosine of two texts' vectors, from the record or, once, from an embedding model."""

    def __init__(self, replay: Replay, embedder: Embedder) -> None:
        self._replay = replay
        self._embedder = embedder

    def __call__(self, first: str, second: str) -> float:
        """Return the cosine, -1..1; vectors are not kept, only what they say of the pair."""
        digest = self._embedder.revision.digest
        asked = json.dumps(["similarity", digest, first, second], separators=(",", ":"))

        def answer() -> tuple[str, Tokens]:
            one, other = self._embedder.embed([first, second])
            length = sqrt(_dot(one, one) * _dot(other, other))
            return json.dumps(_dot(one, other) / length if length else 0.0), Tokens()

        brief = json.dumps({"similarity": [first, second]})
        return float(
            json.loads(self._replay.recorded(sha256(asked.encode()).hexdigest(), brief, answer).response)
        )


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(first * second for first, second in zip(one, other, strict=True))


def _brief(asked: dict[str, Any]) -> str:
    """Return what a person may want to see of a scoring: the last message and its continuations."""
    last = asked["messages"][-1:] if asked["messages"] else []
    return json.dumps({"score": last, "continuations": asked["continuations"]})
