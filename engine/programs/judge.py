"""The judge: the model that a metric may ask, as `dspy.settings.lm`, while it scores an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from engine.ground.answer_scoring import AnswerScorer
from engine.ground.errors import MetricError

if TYPE_CHECKING:
    import dspy


Similarity: TypeAlias = Callable[[str, str], float]
"""Returns the cosine of two texts' vectors, -1..1."""


@dataclass(frozen=True)
class Judge:
    """A model that judges: its LM, and its log-probabilities where it tells them.

    `similarity` compares texts by an embedding model, where one is open.
    """

    lm: dspy.LM
    scorer: AnswerScorer | None = None
    similarity: Similarity | None = None


_current: ContextVar[Judge | None] = ContextVar("judge", default=None)


@contextmanager
def judging(judge: Judge | None) -> Iterator[None]:
    """Make a judge what metrics ask in here; without one, they find what is configured."""
    if judge is None:
        yield
        return
    import dspy

    token = _current.set(judge)
    try:
        adapter = dspy.settings.adapter or dspy.JSONAdapter()
        with dspy.context(lm=judge.lm, adapter=adapter, trace=None):
            yield
    finally:
        _current.reset(token)


def current_judge() -> Judge:
    """Return the judge.

    Raises:
        MetricError: no judge is at hand, as while a project is checked.
    """
    import dspy

    judge = _current.get()
    if judge is not None:
        return judge
    if dspy.settings.lm is not None:
        return Judge(dspy.settings.lm)
    raise MetricError(
        "The metric asks a judge, and no model is open.", hint="Run it where a model is: promptgrad run"
    )


def current_similarity() -> Similarity:
    """Return what compares texts by their meaning.

    Raises:
        MetricError: no embedding model is open, as while a project is checked.
    """
    judge = _current.get()
    if judge is None or judge.similarity is None:
        raise MetricError(
            "The metric compares meanings, and no embedding model is open.",
            hint="Name one in [model] embedding, and run it where a model is: promptgrad run",
        )
    return judge.similarity
