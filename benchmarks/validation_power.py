"""Measures the rule test by simulation and writes docs/validation.md: python -m benchmarks.validation_power.

Everything goes through the functions a run uses: `validation_subset` draws, `race` screens, `paired_interval`
decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Literal

from benchmarks.futility_power import stopping_early
from benchmarks.graded_evidence import graded_evidence
from benchmarks.likelihood_power import likelihood_power
from benchmarks.markdown import percent, table
from engine.ground.examples import Item
from engine.ground.statistics import Stratum, mean_interval, paired_interval
from engine.learning.screening.race import race
from engine.learning.subsets import validation_subset
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig

POPULATION = 60
REPAIRED = 6
FLIPS = 0.03
"""Share of a 1.5 B model's answers that changed with what else was asked, before they no longer did."""
LEAST_GAIN = PromptGradConfig().rule_validation_min_delta
SIMULATIONS = 2_000
BATCHES = 600
"""Simulated batches of a run: each draws two tests of all validation examples, which takes longer."""
SIZES = (15, 40)
SCREENED_ON = [Item(str(number), "train", {}, {}) for number in range(24)]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "validation.md"

Draw = Callable[[Random], float]
Effect = Callable[[Random], list[float]]

NOWHERE = [False] * POPULATION
NARROW = [index < REPAIRED for index in range(POPULATION)]
WIDER = [index < 2 * REPAIRED for index in range(POPULATION)]


def right_or_wrong(rng: Random) -> float:
    """With and without the rule, an example of random difficulty is right with the same chance."""
    chance = rng.betavariate(2, 1.2)
    return (rng.random() < chance) - (rng.random() < chance)


def graded(rng: Random) -> float:
    """With and without the rule, the score is uniform in 0..1."""
    return rng.random() - rng.random()


def skewed(rng: Random) -> float:
    """Nine examples of ten gain 0.1, one loses 0.9: no gain on average."""
    return 0.1 if rng.random() < 0.9 else -0.9


def changes(share: float) -> Draw:
    """A `share` of the 0/1 scores changes, for better and worse alike."""
    return lambda rng: rng.choice((-1.0, 1.0)) if rng.random() < share else 0.0


def everywhere(draw: Draw) -> Effect:
    """Return a rule that does the same to all examples."""
    return lambda rng: [draw(rng) for _ in range(POPULATION)]


def repairs(elsewhere: Draw) -> Effect:
    """Return a rule that repairs the first six of sixty examples and does `elsewhere` to the rest."""
    return lambda rng: [1.0] * REPAIRED + [elsewhere(rng) for _ in range(POPULATION - REPAIRED)]


def repairs_and_breaks(rng: Random) -> list[float]:
    """Return the deltas of a rule that repairs the first six examples and breaks six others."""
    broken = set(rng.sample(range(REPAIRED, POPULATION), REPAIRED))
    return [1.0 if i < REPAIRED else -1.0 if i in broken else 0.0 for i in range(POPULATION)]


def unsteady(flips: float, repaired: int) -> Effect:
    """Return a rule that repairs the first examples, measured where a share of all answers changes by itself.

    Without the rule half of the others are right, with it the same ones. Each score of both measurements
    turns into its opposite with the chance `flips`.
    """

    def effect(rng: Random) -> list[float]:
        def seen(score: bool) -> bool:
            return score != (rng.random() < flips)

        others = [rng.random() < 0.5 for _ in range(POPULATION - repaired)]
        pairs = [*[(False, True)] * repaired, *zip(others, others, strict=True)]
        return [float(seen(after)) - float(seen(before)) for before, after in pairs]

    return effect


def acceptance(effect: Effect, fired: Sequence[bool], n: int, simulations: int = SIMULATIONS) -> float:
    """Return the share (0..1) of simulated tests whose interval lies above 0."""
    return outcomes(effect, fired, n, simulations)[0]


def outcomes(
    effect: Effect, fired: Sequence[bool], n: int, simulations: int = SIMULATIONS
) -> tuple[float, float]:
    """Return the shares (0..1) of simulated tests that "auto" accepts, and that "delta" does."""
    rng = Random(n)
    above = enough = 0
    for _ in range(simulations):
        deltas = dict(enumerate(effect(rng)))
        delta, low, _high = paired_interval(validation_subset(fired, n, rng).stratify(deltas))
        above += low > 0
        enough += delta >= LEAST_GAIN
    return above / simulations, enough / simulations


class NoEffect:
    """A screening signal of states without effect: each answer is right by chance, easy ones more often."""

    name: Literal["score"] = "score"
    asked = 0

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._chances = {item.key: rng.betavariate(2, 1.2) for item in SCREENED_ON}
        self._scores: dict[tuple[str, str], float] = {}

    def values(self, state: LearnedState, items: Sequence[Item]) -> list[float]:
        """Return a 0/1 score for each of the examples, the same whenever it is asked again."""
        for item in items:
            drawn = float(self._rng.random() < self._chances[item.key])
            self._scores.setdefault((state.digest, item.key), drawn)
        return [self._scores[state.digest, item.key] for item in items]

    def covers(self, item: Item) -> bool:
        """Return True: each example is as informative as the others."""
        del item
        return True


def screened(count: int, effect: Effect, simulations: int = BATCHES) -> list[float]:
    """Return the shares (0..1) of batches that accept the best of `count` candidates without an effect.

    The shares are those of "auto" and "delta" by one test, and of both where the second best is tested if
    the best fails.
    """
    rng = Random(count)
    states = [LearnedState(RuleSet([Rule(text=f"Rule {number}.")])) for number in range(count)]
    accepted = [0, 0, 0, 0]
    for _ in range(simulations):
        found = race(states, LearnedState(), SCREENED_ON, NoEffect(rng))
        if max(standing.gain for standing in found) <= 0:
            continue  # Screening lets nothing through to a test.
        first, second = (paired_interval([Stratum(1.0, effect(rng))]) for _ in range(2))
        verdicts = [(low > 0, delta >= LEAST_GAIN) for delta, low, _high in (first, second)]
        for place, by in enumerate(zip(*verdicts, strict=True)):
            accepted[place] += by[0]
            accepted[place + 2] += any(by)
    return [count / simulations for count in accepted]


def coverage(draw: Draw, mean: float, n: int) -> float:
    """Return how often (0..1) the interval of a mean score of `n` examples holds the true mean."""
    rng = Random(n)
    intervals = [mean_interval([draw(rng) for _ in range(n)]) for _ in range(SIMULATIONS)]
    return sum(interval.low <= mean <= interval.high for interval in intervals) / SIMULATIONS


LEVELS: dict[str, Effect] = {
    "0/1, with and without drawn again": everywhere(right_or_wrong),
    "0/1, one in ten changes": everywhere(changes(0.1)),
    "graded, with and without drawn again": everywhere(graded),
}
POWERS: dict[str, Effect] = {
    "nothing else changes": repairs(changes(0.0)),
    "2 % of the others change by chance": repairs(changes(0.02)),
    "5 % of the others change by chance": repairs(changes(0.05)),
}
SCORES: dict[str, tuple[Draw, float]] = {
    "0/1, mean 0.5": (lambda rng: float(rng.random() < 0.5), 0.5),
    "0/1, mean 0.9": (lambda rng: float(rng.random() < 0.9), 0.9),
    "graded, uniform": (lambda rng: rng.random(), 0.5),
    "graded, beta(8, 2)": (lambda rng: rng.betavariate(8, 2), 0.8),
    "nine of ten are 1, the rest uniform": (lambda rng: 1.0 if rng.random() < 0.9 else rng.random(), 0.95),
}

TEMPLATE = """\
# How a rule is tested

`python -m benchmarks.validation_power` writes this page and measures every figure below, with the functions
that a run uses.

A rule is tested on `rule_validation_examples` examples, each scored with the rule and without it. The
examples are drawn in two strata: those on which the rule's trigger fires, and the rest. The first stratum
fills up to four fifths of the sample. Each stratum is weighted by its true share, so the estimate is
unbiased. The interval comes from flipping the signs of the differences (`engine/ground/statistics.py` names
the sources). In mode `"auto"` a rule is accepted if its 95 % interval lies above 0, which is a one-sided
test at 2.5 %.

## Rules without an effect

Accepted of {simulations:,} simulated tests each, of {population} validation examples. The test promises at
most 2.5 % (a simulated 2.5 % varies by 0.7 either way); the limit is 5 %.

{levels}

The level doesn't depend on simulation: if the scores with and without the rule are exchangeable for each
example, it follows from the test's construction, for every n, for graded scores, and for unequal weights.

## Sets and demonstrations

Screening ranks sets of rules on {screened_on} training examples, and only the best is tested, on all
{population} validation examples; if it fails, so is the second best. Screening never sees validation, so
picking the best of many doesn't raise the level of a test. None of these candidates has an effect, and each
answer is right by chance, with the candidate and without it. Accepted, of {batches:,} simulated batches each:

{screened}

Two tests in a batch may both err, so the limit for a batch is twice that of a test. Demonstrations aren't
screened, and have two tests as well: all of them, then the first 12. In mode `"delta"` a gain
of {least_gain} is enough: it keeps what helped on these examples. That is often chance where answers change
as freely as here. Choose `"auto"` where a kept rule has to be proof.

## Power

A rule fixes 10 % of all examples (6 of {population}). Accepted, with a plain random subset of n, and with a
stratified subset if the trigger fires on exactly these examples, or on the same number of others as well.

{powers}

With n = 15 a plain random subset contains one or two of the six. Fewer than six changes, all of them
improvements, can't reach 2.5 % in any sign test: 2^-5 is 3.1 %. So a rule whose trigger fires on fewer than
six validation examples can be accepted in mode `"delta"` or by a person's review, but not in mode `"auto"`.

## Answers that change by themselves

A model behind a server may answer the same request differently each time, depending on what else is asked.
`promptgrad check` says how often. Here {flips} of all answers do, right ones and wrong ones alike, with the
rule and without it. So many answers of a 1.5 B model did in process too, until an answer depended on its
request alone; in process on a CPU none does now. A rule fixes some of {population} examples, on exactly which
its trigger fires. Accepted in mode `"auto"`, and in mode `"delta"`, where a gain of {least_gain} is enough:

{unsteady}

{graded_evidence}
{likelihood}## What the test can't see

A rule that has no effect overall, but whose damage is rare and where few examples are drawn. Accepted:

{blind}

With n = 15 no test can see it. Six examples on which the trigger fires and nine of the other 54 are drawn. If
six of the 54 break, none of them is among the nine in {missed} of all draws, and the sample is then exactly
that of a rule which only fixes examples. A test that accepts this sample with probability a accepts the bad
rule with {missed_share:.2f} a: to keep that at 2.5 %, a test would have to reject {refused} of the good rules
as well. Such a rule still meets the validation of the epoch on the whole split, which rolls it back, and the
release gate on the test split. A larger `rule_validation_examples` also detects most of it.

## Stopping early

{stopping}

## Intervals of mean scores

How often the 95 % interval contains the true mean, of {simulations:,} samples each. It is Wilson's
interval, with the effective sample size of graded scores.

{coverages}
"""


def page() -> str:
    """Return docs/validation.md, measured again (some minutes)."""
    missed = _chance_of_missing(broken=6, drawn=9, of=54)
    return TEMPLATE.format(
        simulations=SIMULATIONS,
        batches=BATCHES,
        population=POPULATION,
        levels=_levels(),
        screened=_screened(),
        screened_on=len(SCREENED_ON),
        powers=_powers(),
        unsteady=_unsteady(),
        graded_evidence=graded_evidence(),
        likelihood=likelihood_power(),
        flips=percent(FLIPS),
        least_gain=LEAST_GAIN,
        blind=_blind_spot(),
        missed=percent(missed),
        missed_share=missed,
        refused=percent(1 - 0.025 / missed),
        stopping=stopping_early(),
        coverages=_coverages(),
    )


def _levels() -> str:
    triggers = {"fires everywhere": NOWHERE, "fires on 10 %": NARROW, "fires on 20 %": WIDER}
    rows = [
        (name, str(n), *(percent(acceptance(effect, fired, n)) for fired in triggers.values()))
        for name, effect in LEVELS.items()
        for n in SIZES
    ]
    return table(("scores", "n", *(f"trigger {name}" for name in triggers)), rows)


def _screened() -> str:
    rows = [
        (name, str(count), *map(percent, screened(count, effect)))
        for name, effect in list(LEVELS.items())[:2]
        for count in (1, 4, 12)
    ]
    modes = ('"auto"', '"delta"')
    return table(
        ("scores on validation", "candidates", *modes, *(f"{mode}, either test" for mode in modes)), rows
    )


def _powers() -> str:
    rows = [
        (name, str(n), *(percent(acceptance(effect, fired, n)) for fired in (NOWHERE, NARROW, WIDER)))
        for name, effect in POWERS.items()
        for n in SIZES
    ]
    return table(("elsewhere", "n", "plain subset", "strata, exact trigger", "strata, 20 % trigger"), rows)


def _unsteady() -> str:
    rows = []
    for repaired in (0, REPAIRED):
        fired = [index < repaired for index in range(POPULATION)]
        for n in SIZES:
            steady, unsteady_ = (outcomes(unsteady(flips, repaired), fired, n) for flips in (0.0, FLIPS))
            shares = [share for pair in zip(steady, unsteady_, strict=True) for share in pair]
            rows.append((f"fixes {repaired}", str(n), *map(percent, shares)))
    changing = f"{percent(FLIPS)} change"
    return table(("rule", "n", '"auto"', f'"auto", {changing}', '"delta"', f'"delta", {changing}'), rows)


def _blind_spot() -> str:
    cases = {
        "fixes 6 on which the trigger fires, breaks 6 of the others": (repairs_and_breaks, NARROW),
        "the same, and the trigger fires on 6 more": (repairs_and_breaks, WIDER),
        "graded, no trigger: 90 % gain 0.1, 10 % lose 0.9": (everywhere(skewed), NOWHERE),
    }
    rows = [
        (name, *(percent(acceptance(effect, fired, n)) for n in SIZES))
        for name, (effect, fired) in cases.items()
    ]
    return table(("rule", *(f"n = {n}" for n in SIZES)), rows)


def _coverages() -> str:
    sizes = (15, 30, 60, 120)
    rows = [
        (name, *(percent(coverage(draw, mean, n)) for n in sizes)) for name, (draw, mean) in SCORES.items()
    ]
    return table(("scores", *(f"n = {n}" for n in sizes)), rows)


def _chance_of_missing(broken: int, drawn: int, of: int) -> float:
    chance = 1.0
    for index in range(broken):
        chance *= (of - drawn - index) / (of - index)
    return chance


def main() -> None:
    """Simulate, and write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
