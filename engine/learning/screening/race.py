"""A race between candidates: all on a few examples, then the better half on twice as many, and so on.

Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943) over paired differences: a candidate is
compared with the state it would change on the very same training examples, so that an example's own
difficulty cancels. An example that a candidate shows as a demonstration doesn't count for that candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt

from engine.ground.examples import Item
from engine.learning.screening.signal import Signal
from engine.programs.state import LearnedState


@dataclass(frozen=True)
class ScreeningResult:
    """A candidate's result: mean gain over the reference on `n` training examples, and its standard error."""

    state: LearnedState
    gain: float
    error: float
    n: int
    is_finalist: bool = True

    @property
    def is_promising(self) -> bool:
        """Whether it reached the final round and gained something."""
        return self.is_finalist and self.gain > 0


def race(
    candidates: Sequence[LearnedState],
    reference: LearnedState,
    items: Sequence[Item],
    signal: Signal,
    *,
    first: int = 12,
) -> list[ScreeningResult]:
    """Return every candidate's result, in the candidates' order; finalists saw all of the examples.

    All of them are tried on the `first` examples; each further round takes twice as many.
    """
    running = list(range(len(candidates)))
    found: dict[int, ScreeningResult] = {}
    size = min(first, len(items))
    while running:
        for index in running:
            found[index] = screening_result(candidates[index], reference, items, signal, most=size)
        if size >= len(items):
            break
        better = sorted(running, key=lambda index: -found[index].gain)[: (len(running) + 1) // 2]
        running = [index for index in better if not _is_hopeless(found[index])]
        size = min(2 * size, len(items))
    return [replace(found[index], is_finalist=index in running) for index in range(len(candidates))]


def screening_result(
    candidate: LearnedState,
    reference: LearnedState,
    items: Sequence[Item],
    signal: Signal,
    *,
    most: int | None = None,
) -> ScreeningResult:
    """Return how a candidate does on the first examples that neither side shows as a demonstration."""
    shown = candidate.demonstrations.examples | reference.demonstrations.examples
    fair = [item for item in items if item.key not in shown and signal.covers(item)][:most]
    if not fair:
        return ScreeningResult(candidate, 0.0, 0.0, 0)
    gains = [
        after - before
        for after, before in zip(signal.values(candidate, fair), signal.values(reference, fair), strict=True)
    ]
    mean = fsum(gains) / len(gains)
    spread = fsum((gain - mean) ** 2 for gain in gains) / max(len(gains) - 1, 1)
    return ScreeningResult(candidate, mean, sqrt(spread / len(gains)), len(gains))


def _is_hopeless(found: ScreeningResult) -> bool:
    return found.n > 1 and found.gain + found.error < 0
