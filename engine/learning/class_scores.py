"""Scores in which each answer counts alike, however often it is expected: balanced accuracy and macro F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from engine.journal.events import RolloutFinished
from engine.journal.learning_events import ClassScores
from engine.programs.formatting import as_text


def class_scores(
    rollouts: Iterable[RolloutFinished], expected: Mapping[str, object], field: str
) -> ClassScores | None:
    """Return the scores of these rollouts, whose `expected` answers are known by their examples.

    Balanced accuracy is the mean of each answer's share of right ones (its recall), macro F1 the mean of each
    answer's F1. An answer is right if the metric says so. None if fewer than two answers are expected.
    """
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for rollout in rollouts:
        if rollout.example not in expected:
            continue
        label = as_text(expected[rollout.example])
        answer = (rollout.prediction or {}).get(field)
        asked[label] += 1
        right[label] += rollout.is_success
        given[label if rollout.is_success else _bare(as_text(answer))] += 1
    if len(asked) < 2:
        return None
    # A wrong answer counts against the answer that it names, in whatever spelling.
    named = {label: given[label] + (given[_bare(label)] if _bare(label) != label else 0) for label in asked}
    recall = {label: right[label] / asked[label] for label in asked}
    f1 = {label: 2 * right[label] / (asked[label] + named[label]) for label in asked}
    return ClassScores(
        balanced_accuracy=sum(recall.values()) / len(recall),
        macro_f1=sum(f1.values()) / len(f1),
        answers=len(asked),
    )


def _bare(text: str) -> str:
    return text.strip().casefold()
