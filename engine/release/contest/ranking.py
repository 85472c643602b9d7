"""The ranking of a contest by validation, and gains on the test split that hold for all comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from engine.ground.statistics import gain_interval, mean_interval
from engine.journal.contest_events import ContestResult, Standing
from engine.release.contest.lane import Found, Lane


@dataclass
class Scored:
    """A lane with its scores, example by example; both are empty without a result."""

    lane: Lane
    found: Found
    validation: Sequence[float] = ()
    test: Sequence[float] = ()
    prompt_tokens: float = 0.0
    answer_tokens: float = 0.0


@dataclass
class RankedMethod:
    """A method with its lanes."""

    method: str
    lanes: list[Scored]
    artifact: str | None = None
    passed: bool = True

    @property
    def scored(self) -> list[Scored]:
        """The lanes that have a result."""
        return [lane for lane in self.lanes if lane.validation]

    @property
    def best(self) -> Scored:
        """The lane that is best on validation, the first of equals."""
        return max(self.scored, key=lambda lane: fmean(lane.validation))

    @property
    def validation(self) -> list[float]:
        """The mean score of each validation example over the seeds."""
        return _over_seeds([lane.validation for lane in self.scored])

    @property
    def test(self) -> list[float]:
        """The mean score of each test example over the seeds."""
        return _over_seeds([lane.test for lane in self.scored])

    @property
    def calls(self) -> float:
        """How much of the budget a seed used on average."""
        return fmean(lane.found.calls for lane in self.lanes)


def ranked(lanes: Sequence[Scored]) -> list[RankedMethod]:
    """Return the methods, the best on validation first, then the cheaper; last those without a result."""
    by_method: dict[str, list[Scored]] = {}
    for lane in lanes:
        by_method.setdefault(lane.lane.method, []).append(lane)
    contestants = [RankedMethod(method, own) for method, own in by_method.items()]
    return sorted(
        contestants,
        key=lambda one: (not one.scored, -fmean(one.validation) if one.scored else 0.0, one.calls),
    )


def result_of(
    contestants: Sequence[RankedMethod], own: Sequence[float], calls: int, seeds: int
) -> ContestResult:
    """Return the table of a contest; `own` are the test scores of the project's own program.

    Every method is compared with the project's program, and with the one in the first place. Each interval
    is widened so that all of them hold together with 95 % (Bonferroni).
    """
    known = [one for one in contestants if one.scored]
    comparisons = max(2 * len(known) - 1, 1) if own else 0
    return ContestResult(
        calls=calls,
        seeds=seeds,
        comparisons=comparisons,
        standings=tuple(
            _standing(one, place, known[0] if known else one, own, comparisons)
            for place, one in enumerate(contestants, 1)
        ),
    )


def _standing(
    one: RankedMethod, place: int, first: RankedMethod, own: Sequence[float], comparisons: int
) -> Standing:
    problems = list(dict.fromkeys(lane.found.problem for lane in one.lanes if lane.found.problem))
    if not one.scored:
        return Standing(place=None, method=one.method, calls=one.calls, problem=" ".join(problems))
    best = one.best
    return Standing(
        place=place,
        method=one.method,
        validation=mean_interval(one.validation),
        by_seed=tuple(fmean(lane.validation) for lane in one.scored),
        calls=one.calls,
        prompt_tokens=fmean(lane.prompt_tokens for lane in one.scored),
        answer_tokens=fmean(lane.answer_tokens for lane in one.scored),
        rules=len(best.found.state.rules),
        demonstrations=_shown(best.found),
        artifact=one.artifact,
        problem=" ".join(problems),
        test=mean_interval(one.test) if own else None,
        gain=gain_interval(own, one.test, comparisons=comparisons) if own else None,
        behind=gain_interval(first.test, one.test, comparisons=comparisons)
        if own and one is not first
        else None,
    )


def _shown(found: Found) -> int:
    own = sum(len(step.demos) for step in found.program.predictors())
    return own + len(found.state.demonstrations)


def _over_seeds(scores: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(example) for example in zip(*scores, strict=True)]
