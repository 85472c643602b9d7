"""An artifact put to its project's gates as they are now: told as a table, JSON, Markdown or JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.ground.errors import ProjectError
from engine.journal.events import GateResult
from engine.project import PROJECT_FILE
from engine.project.gates import GateReport, Gates
from engine.release.judged import agreement_of
from engine.release.manifest import ArtifactManifest, load_manifest, load_measurement
from engine.release.power import opening_text
from engine.release.release_gate import evaluate_gates
from promptgrad_tui.views.junit import junit_xml
from promptgrad_tui.views.markdown import escaped, table
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.release.artifact_project import folder_of, project_of
from promptgrad_tui.work.run.job import open_project


@dataclass(frozen=True)
class Judged:
    """An artifact, the verdict of every gate, and what openings of its test split do to its score."""

    path: Path
    manifest: ArtifactManifest
    report: GateReport
    opening: str


def judge(artifact: Path, folder: Path) -> Judged:
    """Put what an artifact came to on its test split to the gates of its project.

    The project is the one around the artifact, else that in `folder`; where there is none, the gates are
    those that the artifact was saved with.

    Raises:
        ArtifactError: the artifact is damaged, or holds no measurement.
        ProjectError: the project can't be read.
    """
    manifest = load_manifest(artifact)
    measured = load_measurement(artifact)
    return Judged(
        path=artifact,
        manifest=manifest,
        report=evaluate_gates(_gates(manifest, artifact, folder), measured, agreement_of(manifest)),
        opening=opening_text(manifest.test_opening, measured.optimized),
    )


def _gates(manifest: ArtifactManifest, artifact: Path, folder: Path) -> Gates:
    place = folder_of(artifact, folder)
    if (place / PROJECT_FILE).is_file():
        return open_project(place, {}).gates
    try:
        return project_of(manifest, artifact, folder).gates
    except ProjectError:
        return Gates()


def gate_lines(judged: Judged, terminal: Terminal) -> list[str]:
    """Return a table of every gate, and the verdict."""
    rows = [_cells(result) for result in judged.report.results]
    head = ("GATE", "VALUE", "BOUND", "VERDICT")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]

    def row(cells: Sequence[str]) -> str:
        gate, value, bound, verdict = cells
        return f"{gate:<{widths[0]}}  {value:>{widths[1]}}  {bound:<{widths[2]}}  {verdict}"

    lines = [terminal.style(row(head), bold=True)]
    for result, cells in zip(judged.report.results, rows, strict=True):
        colour = "green" if result.passed else "red"
        text = row((*cells[:3], ""))
        lines.append(f"{text}{terminal.style(cells[3], fg=colour)}")
        if result.detail:
            lines += wrap(one_line(result.detail), terminal.columns, "    ", "    ")
    lines += ["", terminal.style(_headline(judged), fg="green" if judged.report.passed else "red", bold=True)]
    return lines + wrap(judged.opening, terminal.columns, "", "")


def gate_json(judged: Judged) -> str:
    """Return the verdicts as one JSON object."""
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


def gate_markdown(judged: Judged) -> str:
    """Return the verdicts as a Markdown table."""
    rows = [[*map(escaped, _cells(result)), escaped(result.detail)] for result in judged.report.results]
    gates = table(["gate", "value", "bound", "verdict", "evidence"], rows)
    return f"**{_headline(judged)}**\n\n{gates}\n\n{escaped(judged.opening)}"


def gate_junit(judged: Judged) -> str:
    """Return the verdicts as JUnit XML, a test case for each gate."""
    return junit_xml(f"promptgrad gate {judged.manifest.name}", judged.report.results).rstrip("\n")


def _headline(judged: Judged) -> str:
    report = judged.report
    if report.passed:
        return f"Passed: all {len(report.results)} gates" if len(report.results) > 1 else "Passed: the gate"
    return f"Failed: {len(report.failed)} of {len(report.results)} gates"


def _cells(result: GateResult) -> tuple[str, str, str, str]:
    value = "-" if result.value is None else f"{result.value:.4g}"
    verdict = "passed" if result.passed else "FAILED"
    return one_line(result.gate), value, f"{result.comparison} {result.bound:g}", verdict
