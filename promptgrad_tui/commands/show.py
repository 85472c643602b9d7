"""`promptgrad show`: the whole story of a run."""

from __future__ import annotations

from typing import Any

import click

from promptgrad_tui.commands.shared.command import Command
from promptgrad_tui.commands.shared.context import CommandContext
from promptgrad_tui.commands.shared.journal import reading
from promptgrad_tui.commands.shared.options import RUN_HELP, json_option
from promptgrad_tui.commands.shared.printing import print_result


@click.command(
    "show",
    short_help="Show the whole story of a run.",
    epilog=RUN_HELP,
    cls=Command,
    examples=["promptgrad show last", "promptgrad show 20261121 --json | jq .summary.rules"],
)
@click.argument("run")
@json_option
@click.pass_obj
def show_command(context: CommandContext, run: str, as_json: bool) -> None:
    """Show the whole story of a run: what was tried, why it was kept or dropped, and what it cost.

    Everything comes from the journal, so this also works for runs in progress and for runs that
    crashed.
    """
    from promptgrad_tui.views.run.data import story_data
    from promptgrad_tui.views.run.story import RunStory
    from promptgrad_tui.views.run.summary import run_lines

    with reading(context) as journal:
        record = journal.run(run)
        events = [event for _, event in journal.events(record.id)]

    def data() -> dict[str, Any]:
        summary = record.summary.model_dump(mode="json") if record.summary else None
        known = {"run": record.id, "status": record.status, "summary": summary}
        return {**known, **story_data(RunStory.of(events))}

    print_result(data, lambda terminal: run_lines(record, events, terminal), as_json=as_json)
