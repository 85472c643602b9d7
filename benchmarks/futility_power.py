"""Measures by simulation what stopping a test for futility costs and saves; a section of docs/validation.md.

Every test goes through `PairedTest`, as in a run, on scores that are drawn for two states. Its intervals are
computed once for each set of differences: their order has no effect but on which subsets are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from benchmarks.markdown import percent, table
from engine.ground.examples import Item
from engine.ground.interval import Evidence
from engine.ground.statistics import Stratum, paired_interval
from engine.journal.learning_events import Verdict
from engine.learning import paired_test
from engine.learning.paired_test import Judge, Outcome, PairedTest, judged_gain
from engine.learning.rollouts import RolloutRunner
from engine.learning.subsets import SampledStratum, ValidationDesign
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig

EXAMPLES = 60
SIMULATIONS = 1_000
ITEMS = [Item(str(number), "validation", {}, {}) for number in range(EXAMPLES)]
DESIGN = ValidationDesign((SampledStratum(1.0, tuple(range(EXAMPLES))),))
BEFORE, AFTER = LearnedState(), LearnedState(RuleSet([Rule(text="A rule.")]))

Pair = Callable[[Random], tuple[float, float]]
"""Draws the scores of one example without the change and with it."""


def moves(fixed: float, broken: float) -> Pair:
    """Return a change that fixes and breaks such shares of all examples; 70 % of the others are right."""

    def pair(rng: Random) -> tuple[float, float]:
        drawn = rng.random()
        if drawn < fixed:
            return 0.0, 1.0
        if drawn < fixed + broken:
            return 1.0, 0.0
        score = float(rng.random() < 0.7)
        return score, score

    return pair


def graded(gain: float) -> Pair:
    """Return a change of graded scores: each moves by `gain` on average, with a deviation of 0.15."""

    def pair(rng: Random) -> tuple[float, float]:
        score = rng.betavariate(4, 3)
        return score, min(max(score + rng.gauss(gain, 0.15), 0.0), 1.0)

    return pair


CHANGES: dict[str, Pair] = {
    "fixes 10 %, breaks 5 %": moves(0.10, 0.05),
    "fixes 15 %, breaks 5 %": moves(0.15, 0.05),
    "fixes 20 %, breaks 10 %": moves(0.20, 0.10),
    "graded, gains 0.02": graded(0.02),
    "no effect, moves 20 %": moves(0.10, 0.10),
    "fixes 2 %, breaks 10 %": moves(0.02, 0.10),
    "fixes 5 %, breaks 15 %": moves(0.05, 0.15),
    "fixes 10 %, breaks 30 %": moves(0.10, 0.30),
}


def judge_of(mode: str) -> Judge:
    """Return the judge of additions by "delta" or "auto", or of removals."""
    if mode == "removal":
        return _removal
    config = PromptGradConfig(rule_validation_mode="auto" if mode == "auto" else "delta")
    return lambda evidence: judged_gain(evidence, config)


def _removal(evidence: Evidence) -> tuple[Verdict, str]:
    return ("accepted", "") if evidence.delta >= 0 else ("rejected", "")


class DrawnScores:
    """A runner of drawn scores; those without the change are known, as they are in a run."""

    def __init__(self, scores: Sequence[tuple[float, float]]) -> None:
        self._scores = scores

    def run(self, state: LearnedState, items: Sequence[Item]) -> list[Any]:
        """Return the scores of these examples."""
        return [
            SimpleNamespace(score=SimpleNamespace(value=self._scores[int(item.key)][state == AFTER]))
            for item in items
        ]

    def is_known(self, state: LearnedState, item: Item) -> bool:
        """Return whether the score is one without the change."""
        del item
        return state == BEFORE


@dataclass(frozen=True)
class Cost:
    """Shares (0..1) of the tests that accept in full, of those that stopping loses, and of examples asked."""

    accepted: float
    lost: float
    asked: float


def cost(pair: Pair, mode: str, simulations: int = SIMULATIONS) -> Cost:
    """Return what stopping does to the tests of a change."""
    rng = Random(EXAMPLES)
    judge = judge_of(mode)
    accepted = lost = asked = 0
    for number in range(simulations):
        scores = DrawnScores([pair(rng) for _ in ITEMS])
        stopping = _outcome(scores, judge, number, stops_early=True)
        full = stopping
        if stopping.evidence.left_out:
            full = _outcome(scores, judge, number, stops_early=False)
        accepted += full.verdict == "accepted"
        lost += (full.verdict == "accepted") - (stopping.verdict == "accepted")
        asked += stopping.evidence.n
    return Cost(accepted / simulations, lost / simulations, asked / simulations / EXAMPLES)


def _outcome(scores: DrawnScores, judge: Judge, seed: int, *, stops_early: bool) -> Outcome:
    test = PairedTest(cast(RolloutRunner, scores), ITEMS, stops_early=stops_early, seed=seed)
    return test.run(BEFORE, AFTER, DESIGN, judge, epoch=1)


@lru_cache(maxsize=50_000)
def _interval(deltas: tuple[float, ...]) -> tuple[float, float, float]:
    return paired_interval([Stratum(1.0, deltas)])


def _remembered_interval(strata: Sequence[Stratum]) -> tuple[float, float, float]:
    (stratum,) = strata
    return _interval(tuple(sorted(stratum.deltas)))


def rows() -> Iterator[list[str]]:
    """Yield a row for each change: accepted in full, lost and examples asked, for each mode."""
    for name, pair in CHANGES.items():
        found = [cost(pair, mode) for mode in ("delta", "auto", "removal")]
        yield [
            name,
            *(percent(share) for one in found for share in (one.accepted, one.lost, one.asked)),
        ]


HEAD = (
    "change",
    *('"delta"', "lost", "asked"),
    *('"auto"', "lost", "asked"),
    *("removal", "lost", "asked"),
)

TEMPLATE = """\
With `futility_stopping` a test on 30 examples or more looks at what it has seen after two, three and four
fifths of them (24, 36 and 48 of 60). It stops and rejects in two cases: no answers to the other examples
could change the verdict, or the change would be rejected even if its gain were the upper end of the 95 %
interval of what was seen. It never stops to accept, so the levels above hold. In mode `"auto"` it goes on as
long as the change may still need a person's review. A rule that a person wrote is always tested in full.

The table shows {simulations:,} simulated tests each, of {examples} examples: how many accept in full, how
many of all tests stopping turns from accepted into rejected ("lost"), and the share of the examples that are
asked. A removal is accepted if the score doesn't fall.

{table}

Stopping saves most where a change does harm. It loses less than one test in a hundred. The interval isn't
corrected for the three looks. A correction guards against wrong proofs, and here an error can only reject; it
would ask more examples of harmful changes. An 80 % interval, tried once with 300 simulated tests each, asked
fewer examples and lost up to three tests in a hundred.
"""


def stopping_early() -> str:
    """Return the text of the section, measured again (a minute or two)."""
    with patch.object(paired_test, "paired_interval", _remembered_interval):
        measured = table(HEAD, list(rows()))
    return TEMPLATE.format(examples=EXAMPLES, simulations=SIMULATIONS, table=measured)


if __name__ == "__main__":
    print(stopping_early())
