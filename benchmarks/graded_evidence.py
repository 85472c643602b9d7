"""Simulates tests of a rule's score that use log-probabilities as well, for docs/validation.md.

The log-odds of a right answer are those of its example plus what the wording of the prompt adds by chance.
An answer is right where they lie above 0; its likelihood is what screening uses. Each design ends in the
sign-flip test of `engine.ground.statistics`, here for many samples at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from benchmarks.markdown import percent, table
from engine.learning.screening.likelihood_signal import LEAST_LOG_P

Floats = npt.NDArray[np.float64]
Rule = Callable[[Floats, np.random.Generator], Floats]
"""Log-odds with the rule, from those that another wording without an effect would give."""

SIZES = (60, 120)
MORE = 60
"""Labelled examples beside the validation split that neither a source nor screening has seen."""
SCREENED_ON = 24
CANDIDATES = 12
SIMULATIONS = 2_000
REACHED = 0.2
"""Share of the examples that a rule settles."""
_TAIL, _FLIPS, _AT_ONCE = 0.025, 9_999, 250
_EXAMPLES, _WORDING = 3.0, 1.2  # standard deviations of log-odds: one answer in six changes by wording alone
_LITTLE = 1e-4  # too little to change which of two sums is larger, unless they tie


@dataclass(frozen=True)
class Sample:
    """The log-odds of the right answers of some examples, without the rule and with it."""

    before: Floats
    after: Floats

    @property
    def deltas(self) -> Floats:
        """The differences of the 0/1 scores."""
        return (self.after > 0).astype(np.float64) - (self.before > 0)

    @property
    def gains(self) -> Floats:
        """The differences of the log-probabilities of the right answers."""
        return log_p(self.after) - log_p(self.before)


@dataclass(frozen=True)
class Measured:
    """What a design may use: the tested examples, more labelled ones, and screening's mean gain."""

    tested: Sample
    more: Sample
    screened: float


Design = Callable[[Measured], Floats]
"""Returns the differences whose mean is tested."""


def log_p(log_odds: Floats) -> Floats:
    """Return log-probabilities, bounded as in screening."""
    return np.maximum(-np.logaddexp(0.0, -log_odds), LEAST_LOG_P)


def no_effect(worded: Floats, rng: np.random.Generator) -> Floats:
    """Another wording, and nothing else."""
    del rng
    return worded


def less_certain(worded: Floats, rng: np.random.Generator) -> Floats:
    """All answers, right and wrong ones alike, become less certain."""
    del rng
    return 0.6 * worded


def trades(worded: Floats, rng: np.random.Generator) -> Floats:
    """Some examples are answered right for sure, and as many near ties among the others are lost."""
    lost = hypot(_EXAMPLES, _WORDING) * NormalDist().inv_cdf(0.5 / (1 - REACHED))
    return np.where(rng.random(len(worded)) < REACHED, np.abs(worded), worded - lost)


def settles(worded: Floats, rng: np.random.Generator) -> Floats:
    """Some examples are answered right for sure."""
    return np.where(rng.random(len(worded)) < REACHED, np.abs(worded), worded)


def favours(worded: Floats, rng: np.random.Generator) -> Floats:
    """All right answers become likelier."""
    del rng
    return worded + 0.8


def scores_alone(measured: Measured) -> Floats:
    """The test of a run."""
    return measured.tested.deltas


def more_examples(measured: Measured) -> Floats:
    """The test of a run, with the further examples in it."""
    return np.concatenate([measured.tested.deltas, measured.more.deltas])


def ties_by_lot(measured: Measured) -> Floats:
    """The test of a run, with weights that differ a little: no two outcomes of the flips are equal."""
    deltas = measured.tested.deltas
    return deltas * (1 + _LITTLE * np.random.default_rng(0).random(len(deltas)))


def ties_by_change(measured: Measured) -> Floats:
    """The test of a run, with weights that differ a little: by the change in log-probability."""
    change: Floats = np.abs(measured.tested.gains)
    return measured.tested.deltas * (1 + _LITTLE * change)


def added(measured: Measured) -> Floats:
    """Score and log-probability count alike."""
    deltas, gains = measured.tested.deltas, measured.tested.gains
    scale: float = deltas.std() / gains.std()
    return deltas + gains * scale


def weighted_by_change(measured: Measured) -> Floats:
    """A change of the score counts as much as the log-probability changes."""
    change: Floats = np.abs(measured.tested.gains)
    return measured.tested.deltas * change


def weighted_by_difficulty(measured: Measured) -> Floats:
    """A change of the score counts the more, the less likely the right answer was without the rule."""
    difficulty: Floats = 1 - np.exp(log_p(measured.tested.before))
    return measured.tested.deltas * difficulty


def control_of_mean_0(measured: Measured) -> Floats:
    """A control variate whose mean is taken to be 0, as it is for a rule that changes no probability."""
    deltas, gains = measured.tested.deltas, measured.tested.gains
    return deltas - gains * (deltas @ gains) / (gains @ gains)


def control_of_screened_mean(measured: Measured) -> Floats:
    """A control variate whose mean is that of screening."""
    deltas, gains = measured.tested.deltas, measured.tested.gains
    return deltas - _slope(deltas, gains) * (gains - measured.screened)


def control_of_unseen_mean(measured: Measured) -> Floats:
    """A control variate whose mean is estimated with the help of the further examples."""
    return _controlled(measured.tested.deltas, measured.tested.gains, measured.more.gains)


def covariate(measured: Measured) -> Floats:
    """The log-probability without the rule as covariate; its mean is that of all examples."""
    return _controlled(measured.tested.deltas, log_p(measured.tested.before), log_p(measured.more.before))


def _slope(deltas: Floats, control: Floats) -> float:
    centred = control - control.mean()
    return float(deltas @ centred / (centred @ centred))


def _controlled(deltas: Floats, control: Floats, more: Floats) -> Floats:
    """Differences of all examples: their mean is the controlled estimate, their spread its uncertainty."""
    slope, centre = _slope(deltas, control), np.concatenate([control, more]).mean()
    scale = (len(deltas) + len(more)) / len(deltas)
    own = scale * (deltas - slope * (control - centre)) + slope * (control - centre)
    return np.concatenate([own, slope * (more - centre)])


RULES: dict[str, Rule] = {
    "no effect": no_effect,
    "only less certain": less_certain,
    "fixes surely, breaks near ties": trades,
    "fixes some": settles,
    "helps everywhere": favours,
}
DESIGNS: dict[str, Design] = {
    "the scores alone, as in a run": scores_alone,
    "the same, ties broken by lot": ties_by_lot,
    "the same, ties broken by the change in log-probability": ties_by_change,
    "scores alone, with the unseen examples in the test": more_examples,
    "score and log-probability added": added,
    "changes weighted by the change in log-probability": weighted_by_change,
    "changes weighted by the improbability of the right answer before": weighted_by_difficulty,
    "control variate, its mean taken to be 0": control_of_mean_0,
    "control variate, its mean from screening": control_of_screened_mean,
    "control variate, its mean from unseen examples": control_of_unseen_mean,
    "covariate: the log-probability before": covariate,
}


def acceptances(rule: Rule, n: int) -> dict[str, float]:
    """Return the share (0..1) of simulated tests of `n` examples that accept a rule, for each design."""
    rng = np.random.default_rng(n)
    samples = [_measured(rule, n, rng) for _ in range(SIMULATIONS)]
    return {
        name: float(np.mean(accepted(np.stack([design(sample) for sample in samples]))))
        for name, design in DESIGNS.items()
    }


def accepted(samples: Floats) -> npt.NDArray[np.bool_]:
    """Return which samples, one a row, `paired_interval` gives a lower bound above 0."""
    flips = np.random.default_rng(samples.shape[1]).integers(0, 2, (_FLIPS, samples.shape[1])).astype(float)
    most = int(_TAIL * (_FLIPS + 1)) - 1
    found = [
        (np.round(flips @ part.T, 12) <= 0).sum(axis=0) <= most
        for part in np.array_split(samples, -(-len(samples) // _AT_ONCE))
    ]
    return np.concatenate(found)


def _measured(rule: Rule, n: int, rng: np.random.Generator) -> Measured:
    screened = draw_sample(rule, CANDIDATES * SCREENED_ON, rng).gains.reshape(CANDIDATES, SCREENED_ON)
    return Measured(
        draw_sample(rule, n, rng), draw_sample(rule, MORE, rng), float(screened.mean(axis=1).max())
    )


def draw_sample(rule: Rule, n: int, rng: np.random.Generator) -> Sample:
    """Return `n` random examples, without a rule and with it."""
    examples = rng.normal(0.0, _EXAMPLES, n)
    before, worded = (examples + rng.normal(0.0, _WORDING, n) for _ in range(2))
    return Sample(before, rule(worded, rng))


TEMPLATE = """\
## Why the mode "auto" tests the score alone

Log-probabilities say more about an example than right or wrong, so a test that uses both should need fewer
examples. In the mode `"auto"` none does: no design keeps the level and owes its power to log-probabilities.
Here the model is right on half of the examples, and another wording alone changes one answer in six. The
first three rules gain nothing on average: one has no effect, one only makes all answers less certain, and one
fixes a fifth of the examples surely and breaks as many that were close. The last two rules do help. Each
design ends in the sign-flip test of a run. Accepted of {simulations:,} simulated tests each:

{tables}

- **The most powerful designs break the level.** Added to the score, log-probabilities accept a rule that
  only makes answers less certain. A weight by difficulty rewards chance: what was wrong can only improve.
  Screening picks the best of {candidates} candidates, so its mean gain is too large to be the mean of a
  control variate.
- **A control variate of mean 0 loses power.** A good rule makes right answers likelier, and the control
  variate subtracts exactly that. For the third rule it doesn't keep the level either.
- **Unseen examples are worth more in the test.** A control variate whose mean comes from {more} labelled
  examples that no source and no screening has seen keeps the level. But the same examples raise the power
  further if they are tested like the others. Put them into the validation split.
- **Most of what remains is ties.** Differences of 0/1 scores add up to few values. The test counts a tie
  against the rule, and so uses only about half of its 2.5 %. Breaking ties by lot brings most of the
  covariate's power without any log-probability.
- **Ties broken by log-probability don't keep the level.** A rule whose fixes are surer than its damage wins
  every tie. If seven answers change by chance, six or seven of them improve in 8 of 128 cases, and each time
  such a rule would be accepted: in 6.3 % of all tests. The present test asks for all seven.

A lot would keep the level. But two rules that fix and break the same numbers of examples could then get
different verdicts, so ties count against a rule.
"""


def graded_evidence() -> str:
    """Return the section on tests that use log-probabilities, measured again."""
    return TEMPLATE.format(
        simulations=SIMULATIONS, candidates=CANDIDATES, more=MORE, tables="\n\n".join(map(_table, SIZES))
    )


def _table(n: int) -> str:
    shares = [acceptances(rule, n) for rule in RULES.values()]
    rows = [(name, *(percent(share[name]) for share in shares)) for name in DESIGNS]
    return table((f"test of {n} examples", *RULES), rows)
