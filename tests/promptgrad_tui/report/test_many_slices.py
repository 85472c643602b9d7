"""Twenty slices: those with the most wrong answers are shown, and the others can be had."""

from __future__ import annotations

from pathlib import Path

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.report.html import html_report
from promptgrad_tui.report.markdown import markdown_report
from promptgrad_tui.views.run.slices import shown_slices
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
