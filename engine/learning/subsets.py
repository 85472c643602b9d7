"""Which validation examples a rule is tested on: a sample in strata, so that narrow rules are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from engine.ground.statistics import Stratum

_FIRED_SHARE = 0.8
_FEWEST_FOR_LOOKS = 30
"""Examples below which a test takes no look: a dozen of them show too little."""
_LOOKS = (2, 3, 4)
"""When a test looks at what it has seen, in fifths of its examples: after 24, 36 and 48 of 60."""


@dataclass(frozen=True)
class SampledStratum:
    """A part of the population: its true share of it (0..1), and the indexes drawn from it."""

    weight: float
    indexes: tuple[int, ...]


@dataclass(frozen=True)
class ValidationDesign:
    """A sample of examples with the weights that generalize it to all of them."""

    strata: tuple[SampledStratum, ...]

    @property
    def indexes(self) -> list[int]:
        """The indexes of all strata."""
        return [index for stratum in self.strata for index in stratum.indexes]

    def stratify(self, deltas: Mapping[int, float]) -> tuple[Stratum, ...]:
        """Return the measured differences, by index, in their strata.

        Raises:
            KeyError: an example that was drawn has no difference.
        """
        return tuple(
            Stratum(stratum.weight, tuple(deltas[index] for index in stratum.indexes))
            for stratum in self.strata
        )

    def looks(self, rng: Random) -> list[ValidationDesign]:
        """Return the growing parts of this sample after which its test looks at what it has seen.

        Each part has the same share of every stratum, drawn at random, so that its weighted mean is unbiased
        too. The whole sample isn't among them, and a small sample has none.
        """
        if len(self.indexes) < _FEWEST_FOR_LOOKS:
            return []
        orders = [rng.sample(stratum.indexes, len(stratum.indexes)) for stratum in self.strata]
        return [
            ValidationDesign(
                tuple(
                    SampledStratum(stratum.weight, tuple(order[: ceil(len(order) * look / 5)]))
                    for stratum, order in zip(self.strata, orders, strict=True)
                )
            )
            for look in _LOOKS
        ]


def validation_subset(fires: Sequence[bool], n: int, rng: Random) -> ValidationDesign:
    """Return `n` of the examples, drawn in two strata: where the rule's trigger fires, and the rest.

    A rule acts where its trigger fires, so these examples come first: all of them, up to four fifths of
    `n`. The rest shows what the rule breaks elsewhere. Each stratum is a simple random sample
    of its part and is weighted by the part's true share, so the estimate of the overall effect is
    unbiased however the sample is divided (Cochran 1977, Sampling Techniques, chapter 5). A trigger that
    fires everywhere or nowhere leaves one stratum, a plain random sample; `n` at or above the number of
    examples takes them all.

    Equal generators give different rules samples that overlap as far as they can, so that rollouts of
    the program without the rule are shared.

    Raises:
        ValueError: `n` is below 1, or there are no examples.
    """
    if n < 1 or not fires:
        raise ValueError(f"Can't draw {n} of {len(fires)} examples.")
    order = rng.sample(range(len(fires)), len(fires))
    fired = [index for index in order if fires[index]]
    rest = [index for index in order if not fires[index]]
    if n >= len(fires) or n < 2 or not fired or not rest:
        return ValidationDesign((SampledStratum(1.0, tuple(sorted(order[:n]))),))
    seats = max(min(len(fired), int(n * _FIRED_SHARE)), 1, n - len(rest))
    return ValidationDesign(
        tuple(
            SampledStratum(len(part) / len(fires), tuple(sorted(part[:size])))
            for part, size in ((fired, seats), (rest, n - seats))
        )
    )
