"""What the screen for grades shows: the answer, what it was given, what is asked, and how far one is."""

from __future__ import annotations

from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.text_blocks import fact, heading, paragraph, verbatim
from promptgrad_tui.views.toned_lines import Line, joined, line
from promptgrad_tui.work.judge.grading import Grading


def status_lines(grading: Grading | None, told: str, columns: int) -> list[Line]:
    """Return how far one is and what is asked; `told` while there are no answers yet."""
    if grading is None:
        return [line("Judge", "strong"), *(line(part, "dim") for part in wrap(told, columns))]
    graded = line(f"{grading.graded} graded", "dim")
    if grading.current is None:
        return [joined([line("Judge", "strong"), graded], "   "), line("All answers are graded.", "good")]
    head = joined([line("Judge", "strong"), line(f"answer {grading.place}"), graded], "   ")
    return [head, *(line(part, "accent") for part in wrap(grading.task.question, columns))]


def answer_lines(grading: Grading | None, columns: int) -> list[Line]:
    """Return the answer to be graded with what the program was given, or what to do when there is none."""
    if grading is None:
        return []
    answer, task = grading.current, grading.task
    if answer is None:
        text = f"{grading.graded} answers have a grade. Measure the judge by them: promptgrad judge check"
        few = "" if grading.graded >= 40 else " Some 40 grades say something about a judge; fewer say little."
        return [(), *paragraph(text + few, columns)]
    lines = [(), line(f"  {one_line(answer.name)}", "strong")]
    for name, value in answer.inputs.items():
        lines += fact(one_line(name), value, columns)
    if answer.reference:
        lines += [*heading("  Known to be good"), *verbatim(answer.reference, columns)]
    lines += [*heading("  The answer"), *verbatim(answer.answer, columns, "accent")]
    lines += heading("  A good answer") if task.criteria else []
    for criterion in task.criteria:
        lines += [line(row, "dim") for row in wrap(criterion, columns, "    ", "  - ")]
    return lines
