"""Runs without a screen: in this process, with events as lines and the result on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.ground.errors import PromptGradError, RunStoppedError
from engine.journal.events import RunSummary
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.journal.live_status import LiveStatus
from engine.project.methods import ContestPlan
from promptgrad_tui.views.run.plain import PlainDisplay
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.run.summary import next_lines, summary_lines
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.follower import Follower
from promptgrad_tui.work.run.interrupts import Interrupts
from promptgrad_tui.work.run.job import create_run, exit_code_of, run_job
from promptgrad_tui.work.run.stopping import forwarding_stops


@dataclass(frozen=True)
class Output:
    """How a run is shown: with a JSON object at the end, and with or without progress before."""

    as_json: bool
    quiet: bool


def start(
    folder: Path,
    overrides: Mapping[str, str],
    seed: int | None,
    budget: Budget,
    output: Output,
    contest: ContestPlan | None = None,
) -> int:
    """Start a run or a contest of the project in `folder`, carry it out, and return the exit code."""
    record = None
    try:
        project = open_project(folder, overrides)
        with Journal.open(journal_path(project.root)) as journal:
            record = create_run(journal, project, overrides, seed, budget, contest)
            return _carry_out(journal, record, None, output)
    except PromptGradError as error:
        _print_failure(error, record, output)
        raise


def resume(folder: Path, run: str, budget: Budget, output: Output) -> int:
    """Resume a run, and return the exit code."""
    record = None
    try:
        with Journal.open(journal_path(folder), read_only=True) as journal:
            record = journal.run(run)
            if record.is_done and record.summary is not None:
                Terminal.stderr().line(f"Run {record.id} has finished: there is nothing left to do.")
                _print_summary(journal, record.summary, Path(record.project), output)
                return exit_code_of(record.summary)
        with Journal.open(journal_path(folder)) as journal:
            return _carry_out(journal, record, budget, output)
    except PromptGradError as error:
        _print_failure(error, record, output)
        raise


def _carry_out(journal: Journal, record: RunRecord, budget: Budget | None, output: Output) -> int:
    terminal = Terminal.stderr()
    display = PlainDisplay(terminal, is_quiet=output.quiet)

    def on_progress(text: str, done: float) -> None:
        display.status(str(LiveStatus(text=text, done=done)))

    with (
        Interrupts() as interrupts,
        forwarding_stops(interrupts.requested, journal, record.id),
        Follower(journal, record.id, display, interrupts.requested),
    ):
        summary = run_job(journal, record, budget, on_progress=on_progress)
    _print_summary(journal, summary, Path(record.project), output)
    return exit_code_of(summary)


def _print_summary(journal: Journal, summary: RunSummary, project: Path, output: Output) -> None:
    story = RunStory.of(event for _, event in journal.events(summary.run))
    if output.as_json:
        Terminal.stdout().line(summary.model_dump_json())
    if output.as_json and output.quiet:
        return
    terminal = Terminal.stderr() if output.as_json else Terminal.stdout()
    terminal.lines((*summary_lines(summary, story, terminal), *next_lines(summary, project, terminal)))


def _print_failure(error: PromptGradError, record: RunRecord | None, output: Output) -> None:
    """With `--json` a failure is an object too, with the keys of a summary and the run that can resume."""
    if not output.as_json:
        return
    status = "stopped" if isinstance(error, RunStoppedError) else "error"
    failure = {
        **dict.fromkeys(RunSummary.model_fields),
        "run": record and record.id,
        "status": status,
        "reason": error.message,
    }
    Terminal.stdout().line(json.dumps(failure))
