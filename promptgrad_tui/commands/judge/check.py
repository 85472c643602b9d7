"""`promptgrad judge check`: how well the judge agrees with the grades that people gave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.options import json_option
from promptgrad_tui.views.figures import effect_text, value_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.ground.interval import Interval
    from promptgrad_tui.work.judge.calibration import Calibration, Judgement

_WORST_SHOWN = 5


@click.command(
    "check",
    short_help="Compare the judge with your grades.",
    cls=Command,
    examples=["promptgrad judge check", "promptgrad judge check --json | jq .agreement.kappa"],
)
@json_option
@click.pass_obj
def check_command(context: CommandContext, as_json: bool) -> None:
    """Let the judge score every answer that was graded, and say how well it agrees.

    Shown are Cohen's kappa (agreement beyond chance), Spearman's correlation, whether the judge favours
    longer answers, and, if it compares, what comes first, each with its 95 % interval, and the worst
    disagreements.
    """
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    from promptgrad_tui.work.judge.calibration import calibrate
    from promptgrad_tui.work.judge.setting import judge_setting
    from promptgrad_tui.work.run.pace import with_pace

    with StatusLine(Terminal.stderr()) as status, judge_setting(context.project, status.show) as setting:
        status.show("Asking the judge", 0.0)
        found = calibrate(setting, with_pace(status.show))
    terminal = Terminal.stdout()
    terminal.lines([json.dumps(_as_json(found))] if as_json else _lines(found, terminal.columns))


def _lines(found: Calibration, columns: int) -> Iterator[str]:
    from engine.project.judge_labels import caution_text

    agreement = found.agreement
    yield f"{agreement.kappa.n} graded answers, judged by {found.judge}"
    yield f"  kappa     {_interval(agreement.kappa)}   agreement beyond chance; 1 is full"
    if agreement.needs_threshold and agreement.fitted_kappa is not None:
        yield f"            {_interval(agreement.fitted_kappa)}   with threshold = {agreement.threshold:g}"
    yield f"  Spearman  {_interval(agreement.spearman)}   order of the answers"
    yield f"  length    {_interval(agreement.length_bias)}   {_bias_text(agreement.length_bias)}"
    if agreement.position_bias is not None:
        position = agreement.position_bias
        yield f"  position  {_interval(position)}   {_position_text(position)}"
    if found.lost:
        yield f"  {found.lost} labels don't count: their example is gone, or they have another scale"
    if found.worst:
        yield ""
        yield "Worst disagreements"
    for judgement in found.worst[:_WORST_SHOWN]:
        person = judgement.label.grade / (judgement.label.grades - 1)
        scores = f"person {value_text(person)}, judge {value_text(judgement.score)}"
        head = f"  {one_line(judgement.name)}: {scores}  "
        yield from wrap(one_line(judgement.label.answer), columns, "    ", head)
    if caution := caution_text(agreement):
        yield ""
        yield from wrap(caution, columns)


def _interval(interval: Interval) -> str:
    return effect_text(interval)


def _bias_text(bias: Interval) -> str:
    if bias.low > 0:
        return "the judge favours longer answers"
    return "the judge favours shorter answers" if bias.high < 0 else "no preference for a length is shown"


def _position_text(bias: Interval) -> str:
    if bias.low > 0:
        return "the judge favours what comes first; both orders are asked"
    return (
        "the judge favours what comes last; both orders are asked" if bias.high < 0 else "no preference shown"
    )


def _as_json(found: Calibration) -> dict[str, object]:
    return {
        "judge": found.judge,
        "agreement": found.agreement.model_dump(),
        "lost": found.lost,
        "worst": [_judgement(judgement) for judgement in found.worst],
    }


def _judgement(judgement: Judgement) -> dict[str, object]:
    return {
        "name": judgement.name,
        "answer": judgement.label.answer,
        "grade": judgement.label.grade,
        "grades": judgement.label.grades,
        "score": judgement.score,
        "feedback": judgement.feedback,
    }
