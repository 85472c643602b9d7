"""`promptgrad judge label`: a person grades answers, one key each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.project.judge_labels import Label
    from promptgrad_tui.work.judge.labelling import GradedAnswer


@click.command(
    "label",
    short_help="Grade answers, one key each.",
    cls=Command,
    examples=["promptgrad judge label", "promptgrad judge label -n 60"],
)
@click.option("-n", "n", type=click.IntRange(1), default=40, show_default=True, help="How many answers.")
@click.pass_obj
def label_command(context: CommandContext, n: int) -> None:
    """Show the program's answers one at a time and keep the grades you give.

    Keys: y and n, or 1 to 5 as [metric] scale says; u takes the last grade back, s skips an answer, q
    ends. What is graded is kept at once in judge-labels.jsonl, and a later call goes on from there.
    """
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.judge.labelling import answers_to_grade
    from promptgrad_tui.work.judge.setting import judge_setting

    with StatusLine(Terminal.stderr()) as status, judge_setting(context.project, status.show) as setting:
        status.show("Asking the program", 0.0)
        answers = answers_to_grade(setting, n)
        root, grades = setting.project.root, setting.grades
        low = setting.scale[0] if setting.scale else 0
        criteria = setting.criteria
    _grade_all(root, answers, criteria, grades, low, Terminal.stdout())


def _grade_all(
    root: Path,
    answers: Sequence[GradedAnswer],
    criteria: Sequence[str],
    grades: int,
    low: int,
    terminal: Terminal,
) -> None:
    from engine.project.judge_labels import Label, load_labels, save_labels

    labels = load_labels(root)
    known = {label.key for label in labels}

    def unlabelled(answer: GradedAnswer) -> bool:
        return Label(example=answer.example, answer=answer.answer, grade=0, grades=grades).key not in known

    waiting = [answer for answer in answers if unlabelled(answer)]
    done: list[Label] = []
    place = 0
    keys = ["n", "y"] if grades == 2 else [str(low + grade) for grade in range(grades)]
    while place < len(waiting):
        answer = waiting[place]
        _show(answer, criteria, f"{place + 1} of {len(waiting)}", keys, terminal)
        key = _pressed(click.getchar, [*keys, "u", "s", "q"])
        if key == "q":
            break
        if key == "u":
            if done:
                done.pop()
                place = max(0, place - 1)
        elif key == "s":
            place += 1
        else:
            done.append(
                Label(example=answer.example, answer=answer.answer, grade=keys.index(key), grades=grades)
            )
            place += 1
        save_labels(root, [*labels, *done])
    terminal.line(f"{len(labels) + len(done)} answers are graded. Measure the judge: promptgrad judge check")


def _pressed(read: Callable[[], str], keys: Sequence[str]) -> str:
    while (key := read().lower()) not in keys:
        if key in ("\x03", "\x04", ""):
            return "q"
    return key


def _show(
    answer: GradedAnswer, criteria: Sequence[str], place: str, keys: Sequence[str], terminal: Terminal
) -> None:
    from engine.programs.formatting import as_text

    terminal.line()
    terminal.line(terminal.style(f"{answer.name}  ({place})", bold=True))
    for name, value in answer.inputs.items():
        terminal.lines(wrap(as_text(value), terminal.columns, "  ", f"{name}: "))
    terminal.lines(wrap(answer.answer, terminal.columns, "  ", "answer: "))
    terminal.lines(wrap("; ".join(criteria), terminal.columns, "  ", "a good answer: "))
    asked = "Is it good? y or n" if list(keys) == ["n", "y"] else f"How good is it? {keys[0]} to {keys[-1]}"
    terminal.line(f"{asked}   (u undo, s skip, q quit)")
