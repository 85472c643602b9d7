"""`promptgrad runs`: the project's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import json_list_option
from promptgrad_tui.commands.shared.printing import print_result

if TYPE_CHECKING:
    from engine.journal.journal import RunRecord


@click.command(
    "runs",
    short_help="List the project's runs.",
    cls=Command,
    examples=["promptgrad -C promptgrad-demo runs", "promptgrad runs --json | jq '.[-1].status'"],
)
@json_list_option
@click.pass_obj
def runs_command(context: CommandContext, as_json: bool) -> None:
    """List the project's runs, oldest first."""
    from promptgrad_tui.views.run.summary import runs_lines

    with reading(context) as journal:
        runs = journal.runs()
    print_result(
        lambda: [_run_json(record) for record in runs],
        lambda terminal: runs_lines(runs, terminal),
        as_json=as_json,
    )


def _run_json(record: RunRecord) -> dict[str, Any]:
    """Return a run as JSON-ready data; its result is that of its last review, if there was one."""
    summary, review = record.summary, record.review
    baseline = summary.baseline.model_dump(mode="json") if summary else None
    artifact = review.artifact if review else summary.artifact if summary else None
    return {
        "run": record.id,
        "status": record.status,
        "created": record.created,
        "last_event": record.last_event,
        "baseline": baseline,
        "optimized": record.optimized.model_dump(mode="json") if summary else None,
        "rules": record.n_rules,
        "reviewed": review is not None,
        "artifact": artifact,
    }
