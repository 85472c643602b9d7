"""Twenty slices: those with the most wrong answers are shown, and the others can be had."""

from __future__ import annotations

from pathlib import Path

from engine.ground.interval import Interval
from engine.journal.events import ModelUsed, SliceScores
from engine.journal.journal import Journal, journal_path
from engine.project.data import LoadedExample
from engine.project.gates import GateReport, Gates
from engine.release.gate_checks import decision_notes
from engine.release.manifest import load_manifest, load_measurement
from promptgrad_tui.ci.comparison import comparison_blocks
from promptgrad_tui.ci.standing import Standing
from promptgrad_tui.report.html import html_report
from promptgrad_tui.report.markdown import markdown_report
from promptgrad_tui.views.artifacts.measurement import Transferred, transfer_lines
from promptgrad_tui.views.comparison.comparison import ComparedProgram, Comparison, ScoreChange
from promptgrad_tui.views.comparison.lines import score_lines
from promptgrad_tui.views.run.slices import MOST_SLICES, shown_slices
from promptgrad_tui.views.run.summary import run_lines
from promptgrad_tui.views.terminal import Terminal
from tests.promptgrad_tui.report.runs import reported

NAMES = ["chat", *(f"line{number:02}" for number in range(19))]


def test_a_report_shows_the_worst_and_says_where_the_rest_is(tmp_path: Path) -> None:
    report = reported(tmp_path, channels=NAMES)
    worst = set(shown_slices(report.slices["test"]))
    assert len(worst) == 12
    markdown = markdown_report(report)
    [table] = [part for part in markdown.split("## ") if part.startswith("Slices of the test split")]
    assert {name for name in NAMES if f"| {name} |" in table} == worst
    assert "and 8 more with fewer wrong answers; the HTML report has all." in table
    by_epoch = next(part for part in markdown.split("## ") if part.startswith("Validation slices by epoch"))
    assert sum(f"| {name} |" in by_epoch for name in NAMES) == 12
    html = html_report(report)
    assert html.count("<summary>All 20 slices</summary>") == 2
    assert all(f">{name}</th>" in html for name in NAMES)


def test_the_story_of_a_run_shows_no_more_either(tmp_path: Path) -> None:
    reported(tmp_path, channels=NAMES)
    with Journal.open(journal_path(tmp_path), read_only=True) as journal:
        record = journal.run("last")
        lines = run_lines(record, [event for _, event in journal.events(record.id)], Terminal.stdout())
    baseline = lines[next(n for n, text in enumerate(lines) if "Baseline:" in text) :][:15]
    assert sum(text.strip().startswith(("chat", "line")) for text in baseline) == 12
    assert any("and 8 more with fewer wrong answers" in text for text in baseline)


def slice_scores(score: float, failures: int = 0) -> SliceScores:
    whole = Interval(score=score, low=score, high=score, n=20)
    return SliceScores(baseline=whole, optimized=whole, gain=whole, failures=failures)


def artifact_of(root: Path, channels: list[str]) -> Path:
    reported(root, channels=channels)
    [manifest] = root.glob("artifacts/**/manifest.json")
    return manifest.parent


def test_a_comparison_shows_the_worst_and_says_where_the_rest_is() -> None:
    nothing = ScoreChange(None, None, None)
    many = {f"line{number:02}": slice_scores(0.5, number) for number in range(60)}
    found = Comparison(
        ComparedProgram("old"),
        ComparedProgram("new"),
        changes={"test": ()},
        scores={"test": nothing, "validation": nothing},
        slices={"test": many},
    )
    lines = ["".join(text for text, _ in line) for line in score_lines(found, "test", 100)]
    assert [line.split()[0] for line in lines if line.strip().startswith("line")] == list(many)[-MOST_SLICES:]
    told = " ".join(" ".join(lines).split())
    assert "and 48 more with fewer wrong answers; `promptgrad compare --json` shows all" in told


def test_a_transfer_shows_the_worst_and_says_where_the_rest_is(tmp_path: Path) -> None:
    artifact = artifact_of(tmp_path, NAMES)
    model = ModelUsed(uri="demo", revision="sha256:1")
    found = Transferred(load_manifest(artifact), model, load_measurement(artifact), GateReport(()), 1)
    lines = transfer_lines(found, Terminal.stdout())
    assert sum(line.startswith("  slice ") for line in lines) == MOST_SLICES
    told = " ".join(" ".join(lines).split())
    assert "and 8 more with fewer wrong answers; `promptgrad transfer --json` shows all" in told


def test_the_comparison_in_ci_shows_the_slices_that_have_fallen_most(tmp_path: Path) -> None:
    artifact = artifact_of(tmp_path, NAMES)
    old = load_manifest(artifact)
    many = {f"line{number:02}": slice_scores(0.9) for number in range(60)}
    fallen = {name: slice_scores(0.9 - number / 100) for number, name in enumerate(many)}
    before = Standing(
        artifact, old.model_copy(update={"slices": {**many, "gone": slice_scores(1.0)}}), True, ()
    )
    text = "\n".join(comparison_blocks(before, old.model_copy(update={"slices": fallen})))
    shown = [name for name in (*many, "gone") if f"| {name} |" in text]
    assert shown == list(many)[-MOST_SLICES:]
    assert "and 49 more that have fallen less or not at all; each artifact's `manifest.json` has all." in text


def test_a_margin_that_no_slice_can_show_is_one_caution() -> None:
    test = [
        LoadedExample(
            {"id": str(n), "channel": f"line{n % 59 if n < 180 else 59:02}"}, Path("test"), n, str(n)
        )
        for n in range(182)
    ]
    [note] = decision_notes(Gates(slice_non_inferiority_margin=0.1), test, "channel")
    assert note.text == (
        "slice_non_inferiority_margin = 0.1 can't be shown on 60 of 60 slices. The smallest is line59: "
        "on its 2 examples, 1.000 is the smallest that can."
    )
