"""`promptgrad runs`, `show` and `events`: what happened, from the journal alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from promptgrad_tui.commands.command import Command
from promptgrad_tui.commands.context import CommandContext
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.journal.journal import Journal, RunRecord

RUN_HELP = "RUN is a run's id, a part of it, or `last`."


@contextmanager
def reading(context: CommandContext) -> Iterator[Journal]:
    """Open the project's journal for reading."""
    from engine.journal.journal import Journal, journal_path

    with Journal.open(journal_path(context.project), read_only=True) as journal:
        yield journal


@click.command(
    "runs",
    short_help="List the project's runs.",
    cls=Command,
    examples=["promptgrad -C promptgrad-demo runs", "promptgrad runs --json | jq '.[-1].status'"],
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.pass_obj
def runs_command(context: CommandContext, as_json: bool) -> None:
    """List the project's runs, the oldest first."""
    from promptgrad_tui.views.run.summary import runs_lines

    terminal = Terminal.stdout()
    with reading(context) as journal:
        runs = journal.runs()
    if as_json:
        terminal.line(json.dumps([_run_json(record) for record in runs], indent=2))
        return
    terminal.lines(runs_lines(runs, terminal))


def _run_json(record: RunRecord) -> dict[str, Any]:
    """Return a run as JSON-ready data: its result is the one that the last review left."""
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


@click.command(
    "show",
    short_help="Tell the whole story of a run.",
    epilog=RUN_HELP,
    cls=Command,
    examples=["promptgrad show last", "promptgrad show 20261121 --json | jq .summary.rules"],
)
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print the story as one JSON object.")
@click.pass_obj
def show_command(context: CommandContext, run: str, as_json: bool) -> None:
    """Tell the whole story of a run: what was tried, why it was kept or not, and what it cost.

    It is told from the journal alone, so it works for runs that still go on and for runs that
    crashed.
    """
    from promptgrad_tui.views.run.data import story_data
    from promptgrad_tui.views.run.story import RunStory
    from promptgrad_tui.views.run.summary import run_lines

    terminal = Terminal.stdout()
    with reading(context) as journal:
        record = journal.run(run)
        events = [event for _, event in journal.events(record.id)]
    if as_json:
        summary = record.summary.model_dump(mode="json") if record.summary else None
        story = story_data(RunStory.of(events))
        terminal.line(
            json.dumps({"run": record.id, "status": record.status, "summary": summary, **story}, indent=2)
        )
        return
    terminal.lines(run_lines(record, events, terminal))


@click.command(
    "events",
    short_help="Print a run's events as JSON lines.",
    epilog=RUN_HELP,
    cls=Command,
    examples=["promptgrad events last | jq 'select(.kind == \"validation\") | .rule.text'"],
)
@click.argument("run")
@click.pass_obj
def events_command(context: CommandContext, run: str) -> None:
    """Print a run's events as JSON lines, in order."""
    with reading(context) as journal:
        record = journal.run(run)
        for _, event in journal.events(record.id):
            click.echo(event.model_dump_json())
