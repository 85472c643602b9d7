"""The paired test of a change: both states on the same examples, stopped where nothing can come of it.

A test looks at what it has seen after two, three and four fifths of its examples, and stops for futility in
two cases. Either the change would be rejected even if it answered all other examples right (curtailment: Lan,
Simon & Halperin 1982). Or it would be rejected even if its gain were the upper end of the 95 % interval of
what was seen. It never stops to keep something, so stopping can't raise the level of the test.

The interval is the ordinary one, without a correction for three looks. A correction guards against wrong
proofs, and here nothing is proved: an error can only reject. `docs/validation.md` has what it costs in power.
Others race prompts by paired tests too (CAPO, Zehle et al. 2025, after irace, López-Ibáñez et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.ground.examples import Item
from engine.ground.interval import Evidence
from engine.ground.seeds import generator
from engine.ground.statistics import paired_interval
from engine.journal.learning_events import Verdict
from engine.learning.rollouts import RolloutRunner
from engine.learning.subsets import ValidationDesign
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig

Judge = Callable[[Evidence], tuple[Verdict, str]]
"""Returns the verdict on a test's evidence, and the reason."""


@dataclass(frozen=True)
class Outcome:
    """The result of a paired test."""

    evidence: Evidence
    verdict: Verdict
    reason: str


class PairedTest:
    """Compares two states on the same validation examples; known rollouts cost nothing.

    If it `stops_early`, it asks its examples in a random order that is the same for all tests of an epoch.
    """

    def __init__(self, runner: RolloutRunner, items: Sequence[Item], *, stops_early: bool, seed: int) -> None:
        self._runner = runner
        self._items = items
        self._stops_early = stops_early
        self._seed = seed

    def run(
        self,
        before: LearnedState,
        after: LearnedState,
        design: ValidationDesign,
        judge: Judge,
        *,
        epoch: int,
        in_full: bool = False,
    ) -> Outcome:
        """Return the verdict on going from `before` to `after`; `in_full` asks all examples in any case."""
        old, new = _Scores(self._runner, before, self._items), _Scores(self._runner, after, self._items)
        has_looks = self._stops_early and not in_full
        looks = design.looks(generator(self._seed, "looks", epoch)) if has_looks else []
        for look in looks:
            deltas = _deltas(look, old, new)
            evidence = self._evidence(look, deltas, old.calls + new.calls)
            reason = self._futility(design, deltas, evidence, old, judge)
            if reason:
                left_out = [index for index in design.indexes if index not in deltas]
                saved = sum(not new.is_known(index) for index in left_out)
                found = {"left_out": len(left_out), "saved_calls": saved}
                return Outcome(evidence.model_copy(update=found), "rejected", reason)
        evidence = self._evidence(design, _deltas(design, old, new), old.calls + new.calls)
        return Outcome(evidence, *judge(evidence))

    def _evidence(self, design: ValidationDesign, deltas: Mapping[int, float], calls: int) -> Evidence:
        delta, low, high = paired_interval(design.stratify(deltas))
        by_key = {self._items[index].key: value for index, value in deltas.items()}
        return Evidence(delta=delta, low=low, high=high, n=len(deltas), deltas=by_key, calls=calls)

    def _futility(
        self,
        design: ValidationDesign,
        deltas: Mapping[int, float],
        evidence: Evidence,
        old: _Scores,
        judge: Judge,
    ) -> str:
        """Return why the test can stop, or "" if it can't."""
        stopped = f"stopped after {len(deltas)} of {len(design.indexes)} examples: the others"
        best = {index: deltas.get(index, 1 - old.known(index)) for index in design.indexes}
        verdict, reason = judge(self._evidence(design, best, 0))
        if verdict == "rejected":
            return f"{stopped} can't change that {reason}"
        verdict, reason = judge(evidence.model_copy(update={"delta": evidence.high, "low": evidence.high}))
        return f"{stopped} would hardly change that {reason}" if verdict == "rejected" else ""


class _Scores:
    """The scores of one state by the index of the example, as far as they were asked for."""

    def __init__(self, runner: RolloutRunner, state: LearnedState, items: Sequence[Item]) -> None:
        self._runner = runner
        self._state = state
        self._items = items
        self.values: dict[int, float] = {}
        self.calls = 0

    def is_known(self, index: int) -> bool:
        """Return whether asking for this score would cost nothing."""
        return self._runner.is_known(self._state, self._items[index])

    def known(self, index: int) -> float:
        """Return a score if it is known, and otherwise 0, the least that it can be."""
        if self.is_known(index):
            self.ask([index])
        return self.values.get(index, 0.0)

    def ask(self, indexes: Iterable[int]) -> None:
        """Ask for the scores that weren't asked for yet, at the same time."""
        wanted = [index for index in indexes if index not in self.values]
        self.calls += sum(not self.is_known(index) for index in wanted)
        rollouts = self._runner.run(self._state, [self._items[index] for index in wanted])
        self.values |= {index: one.score.value for index, one in zip(wanted, rollouts, strict=True)}


def _deltas(design: ValidationDesign, old: _Scores, new: _Scores) -> dict[int, float]:
    old.ask(design.indexes)
    new.ask(design.indexes)
    return {index: new.values[index] - old.values[index] for index in design.indexes}


def judged_gain(evidence: Evidence, config: PromptGradConfig) -> tuple[Verdict, str]:
    """Return the verdict on an addition by `rule_validation_mode`, and the reason."""
    least = config.rule_validation_min_delta
    if config.rule_validation_mode == "delta":
        if evidence.delta >= least:
            return "accepted", f"the gain is at least {least:g}"
        return "rejected", f"the gain is below {least:g}"
    if evidence.low > 0:
        return "accepted", "the 95 % interval of the gain lies above 0"
    if evidence.delta >= least:
        return "needs_review", "there is a gain, but its 95 % interval includes 0"
    if evidence.high < 0:
        return "rejected", "the 95 % interval of the gain lies below 0"
    return "rejected", "the 95 % interval of the gain includes 0"
