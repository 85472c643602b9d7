"""`promptgrad judge answers`: the answers that wait for a grade, for the full screen and for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.models.progress import program_options, progress
from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.ground.model import Progress
    from promptgrad_tui.work.judge.grading import GradingTask

ANSWERS = 40
"""How many answers are graded unless a person says otherwise: fewer say little about a judge."""

count_option = click.option(
    "-n",
    "n",
    type=click.IntRange(1),
    default=ANSWERS,
    show_default=True,
    metavar="N",
    help="How many answers.",
)


@click.command(
    "answers",
    short_help="Print the answers to be graded.",
    cls=Command,
    examples=["promptgrad judge answers", "promptgrad judge answers -n 60 --json | jq '.answers[0]'"],
)
@count_option
@program_options
@click.pass_obj
def answers_command(context: CommandContext, n: int, as_json: bool, json_progress: bool) -> None:
    """Let the program answer examples of train and validation, and print what it says.

    Answers that were paid for before cost nothing. Grade them with promptgrad judge label.
    """
    with progress(json_progress) as report:
        task = read_task(context, n, report)
    terminal = Terminal.stdout()
    if as_json:
        terminal.line(json.dumps(task.as_json()))
        return
    for answer in task.answers:
        terminal.lines(wrap(answer.answer, terminal.columns, "  ", f"{answer.name}: "))


def read_task(context: CommandContext, n: int, report: Progress) -> GradingTask:
    """Return the answers to be graded; the model is asked for those that the journal doesn't know.

    Raises:
        PromptGradError: the project asks no judge, or a model can't be used.
    """
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.judge.labelling import grading_task
    from promptgrad_tui.work.judge.setting import judge_setting

    with judge_setting(context.project, report) as setting:
        report("Asking the program", 0.0)
        return grading_task(setting, n, report)
