"""The Pareto front: the candidates that no other one matches in score at no higher cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.release.objectives.candidates import Candidate

_SAME_LATENCY = 0.05
"""Times that differ by less than this share are equal: a machine isn't steadier."""


@dataclass(frozen=True)
class Placed:
    """A candidate with the one that dominates it, or None if it is on the front."""

    candidate: Candidate
    dominated_by: Candidate | None = None


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether a candidate scores no worse than another, costs no more, and is better in something.

    Costs are prompt tokens, answer tokens and the mean latency.
    """
    pairs = [
        (-one.score.score, -other.score.score),
        (one.prompt_tokens, other.prompt_tokens),
        (one.answer_tokens, other.answer_tokens),
    ]
    if one.latency is not None and other.latency is not None:
        is_same = abs(one.latency - other.latency) < _SAME_LATENCY * max(one.latency, other.latency)
        pairs.append((0.0, 0.0) if is_same else (one.latency, other.latency))
    return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)


def front(candidates: Sequence[Candidate]) -> list[Placed]:
    """Return the candidates, those on the front first, each part by its score.

    A dominated one names the best of those that dominate it. Equal ones are all on the front.
    """
    placed = []
    for candidate in candidates:
        better = [other for other in candidates if dominates(other, candidate)]
        best = max(better, key=lambda other: (other.score.score, -other.prompt_tokens), default=None)
        placed.append(Placed(candidate, best))
    return sorted(
        placed,
        key=lambda one: (
            one.dominated_by is not None,
            -one.candidate.score.score,
            one.candidate.prompt_tokens,
        ),
    )
