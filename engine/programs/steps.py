"""What each step of a program saw and said, as metrics get it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dspy


class Step(tuple[Any, Mapping[str, Any], Any]):
    """One call of a predictor: DSPy's triple (predictor, inputs, outputs), with the predictor's `name`."""

    name: str

    def __new__(cls, name: str, predictor: Any, inputs: Mapping[str, Any], outputs: Any) -> Step:
        """Make a step; `name` is the predictor's path in the program."""
        step = super().__new__(cls, (predictor, inputs, outputs))
        step.name = name
        return step

    @property
    def predictor(self) -> Any:
        """The dspy.Predict that was called."""
        return self[0]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The fields that it was called with."""
        return self[1]

    @property
    def outputs(self) -> Any:
        """The dspy.Prediction that it returned."""
        return self[2]


def trace_steps(
    program: dspy.Module, trace: Iterable[tuple[Any, Mapping[str, Any], Any]]
) -> tuple[Step, ...]:
    """Return the entries of a DSPy trace with the names that their predictors have in `program`, in order."""
    names = {id(predictor): name for name, predictor in program.named_predictors()}
    return tuple(
        Step(names[id(predictor)], predictor, dict(inputs), outputs)
        for predictor, inputs, outputs in trace
        if id(predictor) in names
    )


def steps_called(name: str, steps: Sequence[Step]) -> list[Step]:
    """Return the calls of one predictor."""
    return [step for step in steps if step.name == name]
