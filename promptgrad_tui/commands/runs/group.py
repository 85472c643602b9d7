"""`promptgrad runs`: the project's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptgrad_tui.commands.runs.delete import delete_command
from promptgrad_tui.commands.runs.name import name_command
from promptgrad_tui.commands.shared.command import Group
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import json_list_option
from promptgrad_tui.commands.shared.printing import print_result

if TYPE_CHECKING:
    from engine.journal.journal import RunRecord


@click.group(
    "runs",
    short_help="List the project's runs; name, delete.",
    cls=Group,
    invoke_without_command=True,
    examples=[
        "promptgrad -C promptgrad-demo runs",
        "promptgrad runs --json | jq '.[-1].status'",
        "promptgrad runs name last 'with demonstrations'",
    ],
)
@json_list_option
@click.pass_context
def runs_command(ctx: click.Context, as_json: bool) -> None:
    """List the project's runs, oldest first.

    A run can be given a name, which every command takes in place of its id, and a note.
    """
    if ctx.invoked_subcommand is not None:
        return
    from promptgrad_tui.views.run.summary import runs_lines

    with reading(ctx.obj) as journal:
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
        "name": record.name,
        "note": record.note,
        "status": record.status,
        "created": record.created,
        "last_event": record.last_event,
        "baseline": baseline,
        "optimized": record.optimized.model_dump(mode="json") if summary else None,
        "rules": record.n_rules,
        "reviewed": review is not None,
        "artifact": artifact,
    }


for _command in (name_command, delete_command):
    runs_command.add_command(_command)
