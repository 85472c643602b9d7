"""`[metric]` and `[[metrics]]`: how a prediction is scored, by one metric or by a weighted sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from engine.ground.frozen_model import FrozenModel
from engine.programs.metrics.criteria import Criterion
from engine.programs.metrics.kinds import OPTIONS, MatchKind, MetricKind
from engine.project.gates import Share

PythonReference = Annotated[str, StringConstraints(pattern=r"^[^:]+\.py:[A-Za-z_]\w*$")]
FilePath = Annotated[str, StringConstraints(min_length=1)]

_OF_JUDGED = {
    "rubric": ("criteria", "rubric", "scale", "threshold"),
    "pairwise": ("criteria", "rubric", "threshold"),
}
"""The options of the kinds that ask a judge."""
_CLASSES = ("exact_match", "normalized_match", "choice")
"""The kinds whose answers can be classes."""


class MetricSection(FrozenModel):
    """How a prediction is scored."""

    _beside: ClassVar[tuple[str, ...]] = ()

    kind: Literal[MetricKind, "rubric", "pairwise", "semantic"] | None = Field(
        None, description="A ready-made metric; rubric and pairwise ask a judge."
    )
    field: str | None = Field(
        None, min_length=1, description="The output that is compared with the example's value."
    )
    by_class: bool = Field(
        False,
        description="exact_match, normalized_match, choice: also tell balanced accuracy and macro F1.",
    )
    tolerance: float = Field(
        0.0, ge=0.0, description="number: the largest difference that still counts as right."
    )
    threshold: Share = Field(
        0.5,
        description="token_f1, set_f1, json_fields, rubric, pairwise: the score from which an answer is "
        "right. semantic has 0.8 if nothing is set.",
    )
    pattern: str | None = Field(None, description="regex: what to search for; else the example's value.")
    choices: tuple[str, ...] = Field((), description="choice: all that may be chosen; without them, letters.")
    match: MatchKind = Field(
        "normalized_match", description="any_of: how an answer is compared with each right one."
    )
    day_first: bool = Field(False, description="date: 03/04/2024 is 3 April and not March 4.")
    python: PythonReference | None = Field(
        None, description="In place of a kind: file.py:name, a function of (example, prediction)."
    )
    scale: tuple[float, float] | None = Field(
        None,
        description="python, rubric: the worst and the best score, as in [1, 5].",
    )
    criteria: tuple[str | Criterion, ...] = Field(
        (), description='rubric, pairwise: what a good answer does, as in ["cites a policy"].'
    )
    rubric: FilePath | None = Field(
        None, description="rubric, pairwise: a text file with a list of criteria, in place of criteria."
    )

    @model_validator(mode="after")
    def _one_source(self) -> MetricSection:
        if (self.kind is None) == (self.python is None):
            raise ValueError('needs either kind = "exact_match" and a field, or python = "metric.py:score"')
        if self.kind is not None and self.field is None:
            raise ValueError('needs field = "...": the output that is compared')
        if self.asks_judge:
            self._check_criteria()
        unused = sorted(self.model_fields_set - {*self._beside, *self._known})
        if unused:
            raise ValueError(f"{', '.join(unused)} has no effect with {self.kind or self.python}")
        if self.scale is not None and self.scale[0] >= self.scale[1]:
            raise ValueError("scale names the worst score first, then the best: [1, 5]")
        return self

    def _check_criteria(self) -> None:
        if bool(self.criteria) == (self.rubric is not None):
            raise ValueError('needs either criteria = ["cites a policy", ...] or rubric = "rubric.md"')
        # One key grades an answer.
        if self.scale is not None and any(grade not in range(10) for grade in self.scale):
            raise ValueError("the scale of a rubric has whole numbers from 0 to 9: [1, 5]")

    @property
    def _known(self) -> tuple[str, ...]:
        if self.kind is None:
            return ("python", "scale")
        if self.kind == "semantic":
            return ("kind", "field", "threshold")
        own = _OF_JUDGED.get(self.kind) or OPTIONS.get(self.kind, ())
        return ("kind", "field", *own, *(("by_class",) if self.kind in _CLASSES else ()))

    @property
    def asks_judge(self) -> bool:
        """Whether a judge scores by criteria."""
        return self.kind in _OF_JUDGED

    @property
    def options(self) -> dict[str, Any]:
        """The options of the kind that the file sets."""
        return {
            name: getattr(self, name)
            for name in OPTIONS.get(self.kind or "", ())
            if name in self.model_fields_set
        }

    @property
    def title(self) -> str:
        """What the metric is called where it has no name: its kind, or its function."""
        return self.kind or (self.python or "").rpartition(":")[2]


class NamedMetric(MetricSection):
    """One of several metrics: what is optimized is the mean of all by their weights."""

    _beside: ClassVar[tuple[str, ...]] = ("name", "weight", "minimum")

    name: str = Field(
        "", pattern=r"^[^\[\]\n]*$", max_length=40, description="What tables call it; its kind if missing."
    )
    weight: float = Field(
        1.0,
        ge=0.0,
        allow_inf_nan=False,
        description="How much it counts beside the others; with 0 it is only told.",
    )
    minimum: Share | None = Field(
        None, description="Smallest mean test score of it: a gate, whatever the sum is."
    )

    @property
    def title(self) -> str:
        """Its name, or what else it is called."""
        return self.name or super().title


def main_metric(raw: Any) -> NamedMetric | None:
    """Return the metric with the largest weight of a file's [[metrics]]; None where they can't be read."""
    try:
        several = [NamedMetric.model_validate(one) for one in raw]
    except (ValidationError, TypeError):
        return None
    return max(several, key=lambda one: one.weight, default=None)


def refuse_unusable(metrics: Sequence[NamedMetric]) -> None:
    """Refuse metrics that can't be told apart, of which none counts, or that ask for two rubrics.

    Raises:
        ValueError: with the reason as a part of a sentence.
    """
    again = [name for name, n in Counter(one.title for one in metrics).items() if n > 1]
    if again:
        raise ValueError(f'two of them are called {again[0]!r}: give each a name = "..."')
    if not any(one.weight > 0 for one in metrics):
        raise ValueError("every weight is 0: at least one has to count")
    if sum(one.asks_judge for one in metrics) > 1:
        raise ValueError(
            "two of them ask the judge: put all criteria into one, with weights, so that one judgement "
            "is measured by labels"
        )


def sum_name(weights: Mapping[str, float]) -> str:
    """Return what the optimized sum is called: "0.7 policy + 0.3 length"; one metric keeps its name."""
    counted = {name: weight for name, weight in weights.items() if weight > 0}
    if len(weights) == 1:
        return next(iter(weights))
    total = sum(counted.values())
    return " + ".join(f"{weight / total:.3g} {name}" for name, weight in counted.items())
