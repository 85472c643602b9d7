"""Release gates: what a measurement has to show before an artifact may become current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from engine.ground.frozen_model import FrozenModel
from engine.journal.event_parts import GateResult

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]

# Each timed call is made alone, so timing all of a large split would take long.
_MOST_TIMED = 100


def timed_examples(n: int) -> int:
    """Return how many of `n` examples are asked once more to time the model; the first only warms it up."""
    return min(n, _MOST_TIMED + 1)


class Gates(FrozenModel):
    """The bounds a result has to meet on the test split before it may be released."""

    min_test_score: Share | None = Field(None, description="Smallest test score.")
    min_test_gain: Share = Field(
        0.0, description="Smallest gain of the test score over the baseline's; 0 asks for any gain."
    )
    min_test_gain_low: float | None = Field(
        None, ge=-1.0, le=1.0, description="Smallest lower end of the gain's 95 % interval; 0 asks for proof."
    )
    non_inferiority_margin: Share | None = Field(
        None, description="The test score must be shown (95 %) to have lost no more than this."
    )
    slice_non_inferiority_margin: Share | None = Field(
        None, description="No slice may have lost more than this, shown as above; needs large slices."
    )
    slices: dict[str, Share] = Field({}, description="Smallest test score of a slice, by its value.")
    metrics: dict[str, Share] = Field(
        {}, description="Smallest mean test score of one of several metrics, by its name."
    )
    min_balanced_accuracy: Share | None = Field(
        None, description="Smallest balanced accuracy on the test split; needs by_class = true."
    )
    min_macro_f1: Share | None = Field(
        None, description="Smallest macro F1 on the test split; needs by_class = true."
    )
    must_pass: tuple[str, ...] = Field((), description="Ids of examples that must be answered right.")
    min_judge_agreement: float | None = Field(
        None, ge=-1.0, le=1.0, description="Least agreement of the judge with people's labels (kappa)."
    )
    max_prompt_tokens: int | None = Field(
        None, ge=1, description="Most tokens that an example's prompts may have."
    )
    max_mean_latency_seconds: Seconds | None = Field(
        None, description="Longest mean time that the model may take for an example, asked one at a time."
    )
    max_p95_latency_seconds: Seconds | None = Field(
        None, description="Longest time within which 95 % of the examples must be answered, one at a time."
    )
    max_unparseable_share: Share | None = Field(
        None, description="Largest share of answers that can't be read."
    )

    @property
    def by_class(self) -> tuple[str, ...]:
        """The gates that are set on figures by class."""
        names = ("min_balanced_accuracy", "min_macro_f1")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def ask_latency(self) -> bool:
        """Whether a gate needs the model to be timed, one call at a time."""
        return self.max_mean_latency_seconds is not None or self.max_p95_latency_seconds is not None


@dataclass(frozen=True)
class GateReport:
    """The verdict of every gate."""

    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def reason(self) -> str:
        """The failed gates as a part of a sentence, with their values and bounds."""
        return "; ".join(failure_text(result) for result in self.failed)


def measured_text(result: GateResult) -> str:
    """Return what a gate measured."""
    return "not measured" if result.value is None else f"{result.value:.4g}"


def required_text(result: GateResult) -> str:
    """Return what a gate requires: at least 0.88."""
    return f"{result.comparison} {result.bound:.4g}"


def failure_text(result: GateResult) -> str:
    """Return a gate's value and bound as part of a sentence: slices.a: 0.83, at least 0.88 required."""
    if result.gate.startswith("must_pass"):
        return f"{result.gate}: {result.detail}"
    if result.value is None:
        return f"{result.gate} was not measured: {result.detail}"
    return f"{result.gate}: {measured_text(result)}, {required_text(result)} required"
