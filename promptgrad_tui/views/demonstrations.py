"""Demonstrations as text, and what each layer of a result brings."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from engine.ground.interval import Interval
from engine.journal.ablation_events import LayersCompared
from engine.journal.method_events import BaseCompared
from engine.programs.demonstrations import Demonstration
from engine.programs.formatting import as_text
from promptgrad_tui.views.sanitize import fit, one_line


def demonstration_text(shown: Demonstration, columns: int = 0) -> str:
    """Return a demonstration on one line: what is given, and what is answered.

    `columns` is the width in cells that there is, 0 if nothing is cut: a long input is cut before its answer.
    """
    given = one_line(" ".join(as_text(value) for value in shown.inputs.values()))
    answers = ", ".join(as_text(value) for value in shown.outputs.values())
    answer = f" \u2192 {one_line(answers)}"
    room = columns - min(cell_len(answer), columns // 2)
    return f"{fit(given, room) if columns else given}{answer}"


def layer_scores(
    layers: LayersCompared | None, base: BaseCompared | None = None, result: Interval | None = None
) -> Iterator[tuple[str, Interval]]:
    """Yield the validation score of the base, and of each combination of layers on it that the result has.

    `result` is the score of all that was learned on a base, for a run that has one layer only.
    """
    if base is not None:
        yield "the project's own program", base.own
        yield f"base by {base.method}", base.made
    if layers is None:
        if base is not None and result is not None:
            yield "with what was learned on it", result
        return
    if base is None:
        yield "neither layer", layers.base
    if layers.rules_only is not None:
        yield "rules only", layers.rules_only
    if layers.demonstrations_only is not None:
        yield "demonstrations only", layers.demonstrations_only
    yield "both layers", layers.both
