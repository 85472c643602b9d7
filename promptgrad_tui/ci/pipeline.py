"""The steps of `promptgrad ci`: look for changes, run, test against the gates, compare, write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.journal.journal import Journal, RunRecord, journal_path
from engine.project.settings import Project
from engine.release.manifest import load_manifest
from promptgrad_tui.ci.comparison import comparison_blocks
from promptgrad_tui.ci.standing import Standing, standing_artifact
from promptgrad_tui.report import markdown_report, run_report
from promptgrad_tui.views.junit import junit_xml, skipped_junit_xml
from promptgrad_tui.views.markdown import escaped
from promptgrad_tui.views.output_file import refuse_unwritable, write_output
from promptgrad_tui.views.sanitize import shown_path
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.release.moved_models import revision_now
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.headless import Output, start


@dataclass(frozen=True)
class Files:
    """Where the report and the gates' verdicts are written."""

    report: Path
    junit: Path


def run_pipeline(folder: Path, overrides: Mapping[str, str], budget: Budget, files: Files) -> int:
    """Bring the project's artifact up to date, write the result, and return the exit code.

    Raises:
        PromptGradError: the project, its model or the run failed.
    """
    refuse_unwritable(files.report, files.junit)
    project = open_project(folder, overrides)
    terminal = Terminal.stdout()
    with StatusLine(Terminal.stderr()) as status:
        revision = revision_now(project, project.model.task, status.show)
    before = standing_artifact(project, revision)
    if before is not None and not before.changed:
        terminal.line(_write_unchanged(project, before, files))
        return 0
    terminal.line(_reason(before))
    exit_code = start(folder, overrides, None, budget, Output(as_json=False, quiet=False))
    with Journal.open(journal_path(project.root), read_only=True) as journal:
        _write_result(project, journal, journal.run("last"), before, files)
    for file in (files.report, files.junit):
        terminal.line(f"Wrote {shown_path(str(file.absolute()))}")
    return exit_code


def _reason(before: Standing | None) -> str:
    if before is None:
        return "There is no artifact that passed its gates: running."
    since = shown_path(str(before.path))
    return f"Changed since {since}: {', '.join(before.changed)}. Running."


def _write_unchanged(project: Project, standing: Standing, files: Files) -> str:
    kind = "current artifact" if standing.is_current else "last artifact"
    text = (
        "Nothing to do: program, data, metric, gates and model revision are those of the "
        f"{kind}, {shown_path(str(standing.path))}."
    )
    write_output(files.report, f"# {escaped(project.name)}: unchanged\n\n{escaped(text)}\n")
    write_output(files.junit, skipped_junit_xml(project.name, "unchanged", text))
    return text


def _write_result(
    project: Project, journal: Journal, record: RunRecord, before: Standing | None, files: Files
) -> None:
    report = run_report(record, (event for _, event in journal.events(record.id)))
    summary = report.summary
    assert summary is not None, "a run that start() returned from has ended"
    made = summary.artifact or summary.withheld
    compared = comparison_blocks(before, load_manifest(made)) if before and made else ()
    write_output(files.report, markdown_report(report, *compared))
    write_output(files.junit, junit_xml(project.name, summary.gates, seconds=summary.seconds))
