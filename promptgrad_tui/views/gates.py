"""Gates and their verdicts: as lines, as rows of a table, as JSON, Markdown and JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.journal.events import GateResult
from engine.project.gates import GateReport, measured_text, required_text
from promptgrad_tui.views.junit import junit_xml
from promptgrad_tui.views.markdown import escaped, table
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.release.manifest import ArtifactManifest

GATE_COLUMNS = ("gate", "measured", "required", "verdict", "evidence")


@dataclass(frozen=True)
class Judged:
    """An artifact, the verdict of every gate, and what openings of its test split do to its score."""

    path: Path
    manifest: ArtifactManifest
    report: GateReport
    opening: str


def gate_lines(results: Sequence[GateResult], terminal: Terminal) -> list[str]:
    """Return each gate with its verdict, what was measured and what is required, then the evidence."""
    lines = []
    for result in results:
        word = verdict_word(result)
        text = f"{one_line(result.gate)}: {measured_text(result)}, {required_text(result)} required"
        head, *rest = wrap(text, terminal.columns, " " * 10, f"  {word}  ")
        shown = terminal.toned(word, "good" if result.passed else "bad")
        lines += [head.replace(word, shown, 1), *rest]
        lines += wrap(one_line(result.detail), terminal.columns, " " * 10) if result.detail else []
    return lines


def gate_cells(result: GateResult) -> tuple[str, str, str, str, str]:
    """Return a gate as the cells of `GATE_COLUMNS`."""
    return result.gate, measured_text(result), required_text(result), verdict_word(result), result.detail


def gate_table(results: Sequence[GateResult]) -> str:
    """Return gates as a Markdown table."""
    rows = []
    for result in results:
        gate, measured, required, verdict, detail = map(escaped, gate_cells(result))
        rows.append([gate, measured, required, verdict if result.passed else f"**{verdict}**", detail])
    return table(GATE_COLUMNS, rows)


def verdict_word(result: GateResult) -> str:
    """Return a gate's verdict in a word."""
    return "passed" if result.passed else "failed"


def judged_lines(judged: Judged, terminal: Terminal) -> list[str]:
    """Return the verdict on an artifact: every gate, the headline, and what openings do to its score."""
    headline = terminal.toned(_headline(judged), "good" if judged.report.passed else "bad", bold=True)
    opening = wrap(judged.opening, terminal.columns, "", "")
    return [*gate_lines(judged.report.results, terminal), "", headline, *opening]


def judged_json(judged: Judged) -> str:
    """Return the verdict on an artifact as one JSON object."""
    return json.dumps(
        {
            "artifact": str(judged.path),
            "passed": judged.report.passed,
            "gates": [result.model_dump(mode="json") for result in judged.report.results],
            "test_opening": judged.manifest.test_opening,
            "opening": judged.opening,
        },
        indent=2,
    )


def judged_markdown(judged: Judged) -> str:
    """Return the verdict on an artifact as Markdown."""
    return f"**{_headline(judged)}**\n\n{gate_table(judged.report.results)}\n\n{escaped(judged.opening)}"


def judged_junit(judged: Judged) -> str:
    """Return the verdict on an artifact as JUnit XML, a test case for each gate."""
    return junit_xml(f"promptgrad gate {judged.manifest.name}", judged.report.results).rstrip("\n")


def _headline(judged: Judged) -> str:
    report = judged.report
    if report.passed:
        return f"Passed: all {len(report.results)} gates" if len(report.results) > 1 else "Passed: the gate"
    return f"Failed: {len(report.failed)} of {len(report.results)} gates"
