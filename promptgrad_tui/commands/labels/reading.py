"""What the commands on doubted labels work on: a run's list as the files have it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from promptgrad_tui.work.labels.decisions import LabelDecisions


def decisions_of(ctx: click.Context) -> LabelDecisions:
    """Return the list of the run that the command is about, to be shown or decided about."""
    from promptgrad_tui.work.labels.decisions import LabelDecisions

    decisions = LabelDecisions(ctx.obj.project, ctx.meta["run"])
    decisions.read()
    return decisions
