"""How examples and rollouts are shown to the reflection model."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

from engine.ground.score import Example, Score


@runtime_checkable
class ExampleFormatter(Protocol):
    """What an analysis sees of an example: once as a failure, once as context."""

    def format_for_gradient(self, example: Example, score: Score) -> str:
        """Return a failed example and what was wrong with its answer."""
        ...

    def format_context(self, example: Example) -> str:
        """Return an example that was answered correctly."""
        ...


class FieldFormatter:
    """Shows an example field by field: inputs first, then what was expected, then the metric's feedback.

    `hidden` fields, such as the slice field, say nothing about the answer.
    """

    def __init__(self, inputs: Collection[str], hidden: Collection[str] = ()) -> None:
        self._inputs = frozenset(inputs)
        self._hidden = frozenset({"id", *hidden}) - self._inputs

    def format_for_gradient(self, example: Example, score: Score) -> str:
        """Return inputs, expected outputs and feedback, a line each."""
        lines = self._lines(example, expected="expected ")
        if score.feedback:
            lines.append(f"feedback: {score.feedback}")
        return "\n".join(lines)

    def format_context(self, example: Example) -> str:
        """Return inputs and outputs, a line each."""
        return "\n".join(self._lines(example, expected=""))

    def _lines(self, example: Example, *, expected: str) -> list[str]:
        shown = {
            key: value
            for key, value in example.items()
            if key not in self._hidden and not key.startswith("_")
        }
        inputs = [f"{key}: {as_text(value)}" for key, value in shown.items() if key in self._inputs]
        outputs = [
            f"{expected}{key}: {as_text(value)}" for key, value in shown.items() if key not in self._inputs
        ]
        return inputs + outputs


def as_text(value: Any) -> str:
    """Return a string unchanged, anything else as one line of JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    # A pydantic model, recognized by its class: exports carry this code and import nothing but DSPy.
    return value.model_dump(mode="json") if hasattr(type(value), "model_dump") else str(value)


def answer_line(prediction: Mapping[str, Any] | None) -> str:
    """Return what the program answered, on one line."""
    if prediction is None:
        return "answer: none that could be read"
    return "answer: " + "; ".join(f"{key} = {as_text(value)}" for key, value in prediction.items())
