"""The labels that a run doubts, as rows and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.journal.learning_events import DoubtedLabel
from engine.programs.formatting import as_text
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.views.text_blocks import heading, paragraph
from promptgrad_tui.views.toned_lines import Line

DOUBT_COLUMNS = ("", "example", "expects", "the model says", "sure")
DOUBT_ADVICE = (
    "Correct a label because it is wrong, not because the model disagrees: a test split that follows the "
    "model overestimates it."
)
_SHOWN = 5


def place_text(label: DoubtedLabel) -> str:
    """Return file and line."""
    return one_line(f"{label.file}, line {label.line}")


def sureness(label: DoubtedLabel) -> str:
    """Return how sure the model is: its probability, or how many versions agree."""
    if label.probability is not None:
        return f"p = {label.probability:.2f}"
    return f"{label.alike} of {count_text(label.versions, 'version')}"


def doubt_row(number: int, label: DoubtedLabel) -> tuple[str, str, str, str, str]:
    """Return a row of a table with `DOUBT_COLUMNS`."""
    expected, answer = (one_line(as_text(value)) for value in (label.expected, label.answer))
    return (str(number), place_text(label), expected, answer, sureness(label))


def doubt_text(label: DoubtedLabel) -> str:
    """Return a doubted label as a sentence without its end."""
    _, place, expected, answer, sure = doubt_row(0, label)
    return f"{place}: expects {expected}, but every version says otherwise: {answer} ({sure})"


def decided_text(state: str, now: Any) -> str:
    """Return what was decided about a label, whose value in the file is `now`; nothing while it is open."""
    if state == "changed":
        return state if now is None else f"\u2192 {one_line(as_text(now))}"
    return "" if state == "open" else state


def doubted_lines(labels: Sequence[DoubtedLabel], terminal: Terminal) -> list[str]:
    """Return the surest of them at the end of a run, and the command for all."""
    if not labels:
        return []
    head = f"{count_text(len(labels), 'label')} to look at: probably wrong"
    lines = ["", terminal.style(head, bold=True)]
    for number, label in enumerate(labels[:_SHOWN], 1):
        lines += wrap(doubt_text(label), terminal.columns, "     ", f"  {number:>2} ")
    return [*lines, "  promptgrad labels lists them, and corrects or excludes one"]


def doubted_screen_lines(labels: Sequence[DoubtedLabel], columns: int) -> list[Line]:
    """Return all of them for a screen, with what to type; nothing where there are none."""
    if not labels:
        return []
    lines = heading(f"{count_text(len(labels), 'label')} to look at: probably wrong")
    for number, label in enumerate(labels, 1):
        lines += paragraph(f"{number} {doubt_text(label)}", columns)
    return [*lines, *paragraph("W in the run lists them, to open, correct or exclude one.", columns, "dim")]


def listed_lines(run: str, labels: Sequence[tuple[DoubtedLabel, str]], terminal: Terminal) -> list[str]:
    """Return a run's whole list, each with what was decided about it, and what can be done."""
    if not labels:
        return [f"Run {run} doubts no label."]
    rows = [(*doubt_row(number, label), decided) for number, (label, decided) in enumerate(labels, 1)]
    head = f"{count_text(len(labels), 'label')} of run {run} to look at: probably wrong"
    return [
        terminal.style(head, bold=True),
        *table_lines((*DOUBT_COLUMNS, ""), rows, terminal, right=[0], indent=2),
        "",
        *wrap(DOUBT_ADVICE, terminal.columns, "  ", "  "),
        "",
        "  promptgrad labels open NUMBER     in your editor",
        "  promptgrad labels correct NUMBER  what the model says; --to LABEL for another",
        "  promptgrad labels exclude NUMBER  leave it out from now on",
        "  promptgrad labels undo NUMBER     take a correction or an exclusion back",
    ]
