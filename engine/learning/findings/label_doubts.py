"""Labels that a run gives reason to doubt: every version of the program answers otherwise.

As in confident learning (Northcutt et al. 2021, arXiv 1911.00068), only answers at which the model is
otherwise good tell something: where it confuses two answers all the time, it is the model that is wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any

from engine.ground.errors import PromptGradError, RunStoppedError
from engine.ground.examples import Item
from engine.journal.events import RolloutFinished
from engine.learning.answers import AnswerSpace
from engine.learning.screening.likelihood import Likelihood
from engine.programs.formatting import as_text
from engine.programs.state import LearnedState

_SURE = 0.8
"""The probability of another answer, among those that compete, from which a label is doubted."""

_MOST = 20
_FEWEST_ALIKE = 2


@dataclass(frozen=True)
class Doubt:
    """An example whose label may be wrong, and the other answer.

    `alike` of `versions` gave that answer. `probability` is its likelihood under the best state among the
    answers that compete, where the model tells it.
    """

    item: Item
    field: str
    expected: Any
    answer: Any
    versions: int
    alike: int
    probability: float | None = None


def doubted_labels(
    rollouts: Iterable[RolloutFinished],
    items: Sequence[Item],
    space: AnswerSpace,
    likelihood: Likelihood | None,
    state: LearnedState,
) -> list[Doubt]:
    """Return the examples that every version answered wrong, where one other answer stands out.

    With a likelihood, the best `state` has to be sure of that answer; otherwise it has to have given it, as
    at least one other version has. Examples that were never run aren't judged.
    """
    answers = _answers(rollouts, space.field)
    wrong = [_doubt(item, space, answers[item.key], state) for item in items if item.key in answers]
    known = _Known(items, space, answers)
    suspects = [doubt for doubt in wrong if doubt is not None and known.is_good_at(doubt)]
    suspects.sort(key=lambda doubt: (-doubt.alike, -doubt.versions))
    likely = _likely(suspects[:_MOST], likelihood, state) if likelihood is not None else None
    if likely is not None:
        return likely
    agreed = [
        doubt
        for doubt in suspects
        if doubt.alike >= _FEWEST_ALIKE and state.digest in answers[doubt.item.key]
    ]
    return agreed[:_MOST]


_Answers = Mapping[str, Mapping[str, tuple[bool, Any]]]


def _answers(rollouts: Iterable[RolloutFinished], field: str) -> _Answers:
    """Return by example and version whether the answer was right, and the answer; None if unreadable."""
    found: dict[str, dict[str, tuple[bool, Any]]] = defaultdict(dict)
    for rollout in rollouts:
        right, answer = found[rollout.example].get(rollout.rules, (False, None))
        given = (rollout.prediction or {}).get(field)
        found[rollout.example][rollout.rules] = (
            right or rollout.is_success,
            given if answer is None else answer,
        )
    return found


def _doubt(
    item: Item, space: AnswerSpace, versions: Mapping[str, tuple[bool, Any]], best: LearnedState
) -> Doubt | None:
    expected = space.expected(item)
    given = [answer for _, answer in versions.values() if answer is not None]
    if expected is None or not given or any(right for right, _ in versions.values()):
        return None
    counts = Counter(map(as_text, given))
    _, of_best = versions.get(best.digest, (False, None))
    text = counts.most_common(1)[0][0] if of_best is None else as_text(of_best)
    if text == as_text(expected):
        return None
    answer = next(answer for answer in given if as_text(answer) == text)
    return Doubt(item, space.field, expected, answer, len(versions), counts[text])


class _Known:
    """How well the examples of each label are answered."""

    def __init__(self, items: Sequence[Item], space: AnswerSpace, answers: _Answers) -> None:
        self._asked: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        for item in items:
            if item.key in answers:
                label = as_text(space.expected(item))
                self._asked[label] += 1
                self._right[label] += any(right for right, _ in answers[item.key].values())

    def is_good_at(self, doubt: Doubt) -> bool:
        """Return whether the others with the same label are mostly answered right."""
        label = as_text(doubt.expected)
        others = self._asked[label] - 1  # the doubted one is wrong in all versions
        return not others or 2 * self._right[label] >= others


def _likely(suspects: Sequence[Doubt], likelihood: Likelihood, state: LearnedState) -> list[Doubt] | None:
    """Return the suspects at which the model is sure of another answer, the surest first; None if unknown."""
    if not all(
        isinstance(value, str | int) for doubt in suspects for value in (doubt.expected, doubt.answer)
    ):
        return None
    likelihood.compete({doubt.item.key: doubt.answer for doubt in suspects})
    # Doubted labels don't speak for each other. One prompt without them all is also read only once.
    doubted = [doubt.item.key for doubt in suspects]
    state = state.with_demonstrations(state.demonstrations.without_examples(doubted))
    try:
        views = likelihood.of(state, [doubt.item for doubt in suspects])
    except RunStoppedError:
        raise
    except PromptGradError:
        return None  # the run is over and its result saved: this list isn't worth losing it
    sure = [
        replace(doubt, answer=view.favourite, probability=probability)
        for doubt, view in zip(suspects, views, strict=True)
        if view.favourite != view.right and (probability := exp(view.log_p[view.favourite])) >= _SURE
    ]
    return sorted(sure, key=lambda doubt: -(doubt.probability or 0.0))
