"""`promptgrad check`, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrad_tui.views.findings import Finding, exit_code_of, show_findings
from promptgrad_tui.views.progress_lines import ProgressLines
from promptgrad_tui.views.status_line import StatusLine
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.check.report import CheckItem, CheckReport
from promptgrad_tui.work.code.offline import import_dspy_offline

if TYPE_CHECKING:
    from engine.ground.model import Progress
    from promptgrad_tui.work.check.preflight import Part


def check_as_text(folder: Path, overrides: Mapping[str, str], upto: Part) -> int:
    """Write the findings for a person as they come, and return the exit code."""
    with StatusLine(Terminal.stderr()) as status:
        return show_findings(_findings(folder, overrides, upto, status), Terminal.stdout())


def check_as_json(folder: Path, overrides: Mapping[str, str], upto: Part, *, json_progress: bool) -> int:
    """Write one JSON object, a `CheckReport`, and return the exit code."""
    terminal = Terminal.stdout()
    progress = ProgressLines(sys.stderr) if json_progress else StatusLine(Terminal.stderr())
    with progress as status:
        report = CheckReport.of(list(_items(folder, overrides, upto, status.show)))
    terminal.line(report.model_dump_json())
    return exit_code_of(report.findings)


def _findings(
    folder: Path, overrides: Mapping[str, str], upto: Part, status: StatusLine
) -> Iterator[Finding]:
    for item in _items(folder, overrides, upto, status.show):
        if isinstance(item, Finding):
            # It is written over the progress.
            status.clear()
            yield item


def _items(
    folder: Path, overrides: Mapping[str, str], upto: Part, on_progress: Progress
) -> Iterator[CheckItem]:
    on_progress("Loading DSPy", 0.0)
    import_dspy_offline()
    from promptgrad_tui.work.check.preflight import inspect_project

    yield from inspect_project(folder, overrides, upto=upto, on_progress=on_progress)
