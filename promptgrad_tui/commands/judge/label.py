"""`promptgrad judge label`: a person grades answers, one key each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.judge.answers import count_option, read_task
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.printing import end
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from promptgrad_tui.work.judge.grading import Grading


@click.command(
    "label",
    short_help="Grade answers, one key each.",
    cls=Command,
    examples=["promptgrad judge label", "promptgrad judge label -n 60 --plain"],
)
@count_option
@click.option("--plain", is_flag=True, help="Show plain lines, even on a terminal.")
@click.pass_obj
def label_command(context: CommandContext, n: int, plain: bool) -> None:
    """Show the program's answers one at a time and keep the grades you give.

    Keys: y and n, or digits as [metric] scale says; u takes the last grade back, s skips an answer, q
    ends. What is graded is kept at once in judge-labels.jsonl, and a later call goes on from there.
    """
    from promptgrad_tui.commands.shared.full_screen import has_screen, label_on_screen

    if has_screen() and not plain:
        end(label_on_screen(context.project, n))
    from promptgrad_tui.work.judge.grading import Grading
    from promptgrad_tui.work.run.pace import with_pace

    with StatusLine(Terminal.stderr()) as status:
        task = read_task(context, n, with_pace(status.show))
    _grade_all(Grading(context.project, task), Terminal.stdout())


def _grade_all(grading: Grading, terminal: Terminal) -> None:
    keys = grading.task.keys
    while grading.current is not None:
        _show(grading, terminal)
        key = _pressed(click.getchar, [*keys, "u", "s", "q"])
        if key == "q":
            break
        if key == "u":
            grading.undo()
        elif key == "s":
            grading.skip()
        else:
            grading.grade(key)
    terminal.line(f"{grading.graded} answers are graded. Measure the judge: promptgrad judge check")


def _pressed(read: Callable[[], str], keys: Sequence[str]) -> str:
    while (key := read().lower()) not in keys:
        if key in ("\x03", "\x04", ""):
            return "q"
    return key


def _show(grading: Grading, terminal: Terminal) -> None:
    answer, task = grading.current, grading.task
    assert answer is not None
    terminal.line()
    terminal.line(terminal.style(f"{answer.name}  ({grading.place})", bold=True))
    for name, value in answer.inputs.items():
        terminal.lines(wrap(value, terminal.columns, "  ", f"{name}: "))
    if answer.reference:
        terminal.lines(wrap(answer.reference, terminal.columns, "  ", "known to be good: "))
    terminal.lines(wrap(answer.answer, terminal.columns, "  ", "answer: "))
    terminal.lines(wrap("; ".join(task.criteria), terminal.columns, "  ", "a good answer: "))
    terminal.line(f"{task.question}   (u undo, s skip, q quit)")
