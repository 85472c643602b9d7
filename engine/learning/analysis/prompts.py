"""The inputs of an analysis: a batch of rollouts, rendered as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.ground.score import Example, Score
from engine.programs.formatting import ExampleFormatter, answer_line
from engine.programs.rules import Rule, render_numbered

ShownFailure = tuple[Example, Score, "dict[str, Any] | None", str]


def analysis_inputs(
    *,
    task: str,
    rules: Iterable[Rule],
    failures: Sequence[ShownFailure],
    successes: Sequence[Example],
    formatter: ExampleFormatter,
) -> dict[str, str]:
    """Return the inputs of `AnalyzeFailures`.

    A failure is (example, score, prediction or None if it couldn't be read, trace); the trace is the
    text of what each predictor saw and said in a program with several, else "".
    """
    shown = [
        "\n".join(
            part
            for part in (
                f"Failure {number}",
                formatter.format_for_gradient(example, score),
                trace or answer_line(prediction),
            )
            if part
        )
        for number, (example, score, prediction, trace) in enumerate(failures, 1)
    ]
    return {
        "task": task,
        "rules": render_numbered(rules),
        "successes": "\n\n".join(formatter.format_context(example) for example in successes) or "none",
        "failures": "\n\n".join(shown),
    }


def merge_inputs(rules: Iterable[Rule]) -> dict[str, str]:
    """Return the inputs of `MergeRules`."""
    return {"rules": render_numbered(rules)}
