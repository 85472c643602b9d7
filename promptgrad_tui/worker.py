"""`python -P -m promptgrad_tui.worker PROJECT RUN`: the process that owns a run's model and optimizer.

It writes events to the project's journal and obeys the commands that it finds there. Its own output is
for a log file only.
"""

from __future__ import annotations

from pathlib import Path

import click

from engine.ground.errors import PromptGradError
from engine.journal.decisions import Decision
from engine.journal.journal import Journal, journal_path
from engine.journal.live_status import StatusFile, status_file
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.interrupts import Interrupts
from promptgrad_tui.work.run.job import apply_review_job, exit_code_of, run_job, try_edit_job
from promptgrad_tui.work.run.stopping import forwarding_stops


@click.command()
@click.argument("project", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("run")
@click.option("--max-calls", type=click.IntRange(1))
@click.option("--max-minutes", type=click.FloatRange(0, min_open=True))
@click.option("--heard", type=int, help="The last command that isn't for this process.")
@click.option("--apply-review", is_flag=True, help="Apply the decisions on a finished run's rules.")
@click.option("--try-edit", nargs=2, help="Test an edit of a rule: its id, a decision as JSON.")
@click.pass_context
def worker(
    ctx: click.Context,
    project: Path,
    run: str,
    max_calls: int | None,
    max_minutes: float | None,
    heard: int | None,
    apply_review: bool,
    try_edit: tuple[str, str] | None,
) -> None:
    """Carry out or resume a RUN that the journal of PROJECT knows already."""
    budget = Budget(max_calls=max_calls, max_minutes=max_minutes)
    with Journal.open(journal_path(project)) as journal, Interrupts() as interrupts:
        record = journal.run(run)
        try:
            with (
                forwarding_stops(interrupts.requested, journal, record.id),
                StatusFile(status_file(journal.path, record.id)) as status,
            ):
                if apply_review:
                    apply_review_job(journal, record, heard=heard, on_progress=status.show)
                    ctx.exit(0)
                if try_edit:
                    rule, decision = try_edit
                    edit = Decision.model_validate_json(decision)
                    try_edit_job(journal, record, rule, edit, heard=heard, on_progress=status.show)
                    ctx.exit(0)
                summary = run_job(journal, record, budget, heard=heard, on_progress=status.show)
        except PromptGradError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_code)
    ctx.exit(exit_code_of(summary))


if __name__ == "__main__":
    worker()
