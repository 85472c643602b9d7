"""How probable a model finds given answers, for the models that can say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, Protocol

from engine.ground.model import Messages


class AnswerScorer(Protocol):
    """A model that returns the probability of answers without generating any."""

    def score(self, messages: Messages, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation of a rendered chat prompt."""
        ...


class ModelScorer:
    """An opened model's log-probabilities, of answers that are compared with each other.

    A model that can take the answer to be one of those asked about evaluates only the places where they part.
    """

    def __init__(self, model: Any) -> None:
        self._score: Callable[..., Sequence[float]] = model.score
        self.options: Mapping[str, bool] = {"among": True} if knows_among(model) else {}

    def score(self, messages: Messages, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation; what they add up to is up to the model."""
        return [float(value) for value in self._score(messages, continuations, **self.options)]


def answer_scorer(model: Any) -> ModelScorer | None:
    """Return what scores answers by a model, or None if it has no log-probabilities.

    Models behind servers have a `score` that only some servers can serve: `can_score` says whether.
    """
    has_scores = callable(getattr(model, "score", None)) and getattr(model, "can_score", True)
    return ModelScorer(model) if has_scores else None


def knows_among(model: Any) -> bool:
    """Whether a model scores any text, and answers among each other faster; those behind servers don't."""
    score = getattr(model, "score", None)
    return callable(score) and "among" in signature(score).parameters
