"""What a program came to on the sealed test split, example by example: all that a gate looks at."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.events import Interval, SliceScores
from engine.statistics import gain_interval, mean_interval


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasuredExample(_Part):
    """One example with the scores of the baseline and of the optimized program (0..1).

    `name` is its id, or its key. What follows the scores is the optimized program's: whether it was right,
    the tokens of its prompts, and the seconds that the model took, as loaded as it was in that run.
    Examples of other splits are there because a gate names them.
    """

    key: str
    name: str
    split: Literal["train", "validation", "test"] = "test"
    slice: str = ""
    baseline: float
    optimized: float
    is_success: bool
    is_unparseable: bool = False
    prompt_tokens: int = 0
    seconds: float = 0.0


class Measurement(_Part):
    """The measured examples, and what follows from those of the test split."""

    examples: tuple[MeasuredExample, ...] = ()

    @property
    def tested(self) -> list[MeasuredExample]:
        """The examples of the test split."""
        return [example for example in self.examples if example.split == "test"]

    @property
    def baseline(self) -> Interval:
        """The baseline's mean score on the test split."""
        return mean_interval([example.baseline for example in self.tested])

    @property
    def optimized(self) -> Interval:
        """The optimized program's mean score on the test split."""
        return mean_interval([example.optimized for example in self.tested])

    @property
    def gain(self) -> Interval:
        """The mean gain on the test split, from paired scores."""
        return _gain(self.tested)

    @property
    def slices(self) -> dict[str, SliceScores]:
        """The scores of each slice, by its value; empty without slices."""
        groups: dict[str, list[MeasuredExample]] = defaultdict(list)
        for example in self.tested:
            if example.slice:
                groups[example.slice].append(example)
        return {name: _slice(groups[name]) for name in sorted(groups)}

    @property
    def most_prompt_tokens(self) -> int:
        """The tokens of the longest prompt on the test split."""
        return max(example.prompt_tokens for example in self.tested)

    @property
    def mean_seconds(self) -> float:
        """How long the model took for an example, on average."""
        return sum(example.seconds for example in self.tested) / len(self.tested)

    @property
    def p95_seconds(self) -> float:
        """The time within which 95 % of the examples were answered (nearest rank)."""
        ordered = sorted(example.seconds for example in self.tested)
        return ordered[ceil(0.95 * len(ordered)) - 1]

    @property
    def unparseable_share(self) -> float:
        """The share of answers that could not be read, 0..1."""
        return sum(example.is_unparseable for example in self.tested) / len(self.tested)

    def example(self, name: str) -> MeasuredExample | None:
        """Return the example of that id or key, if it was measured."""
        return next((example for example in self.examples if name in (example.name, example.key)), None)


def slice_name(values: Mapping[str, Any], field: str | None) -> str:
    """Return the slice that an example belongs to, as text; empty without a slice field."""
    if field is None or field not in values:
        return ""
    value = values[field]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def by_slice(examples: Sequence[Mapping[str, Any]], field: str | None) -> dict[str, int]:
    """Return how many examples each slice has; empty without a slice field."""
    counts: dict[str, int] = defaultdict(int)
    for values in examples:
        if name := slice_name(values, field):
            counts[name] += 1
    return dict(sorted(counts.items()))


def _slice(examples: Sequence[MeasuredExample]) -> SliceScores:
    return SliceScores(
        baseline=_mean(examples, lambda example: example.baseline),
        optimized=_mean(examples, lambda example: example.optimized),
        gain=_gain(examples),
        failures=sum(not example.is_success for example in examples),
    )


def _mean(examples: Sequence[MeasuredExample], score: Callable[[MeasuredExample], float]) -> Interval:
    return mean_interval([score(example) for example in examples])


def _gain(examples: Sequence[MeasuredExample]) -> Interval:
    return gain_interval(
        [example.baseline for example in examples], [example.optimized for example in examples]
    )
