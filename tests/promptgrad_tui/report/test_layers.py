"""Both reports show what each layer brings, and the sets that were tested."""

from __future__ import annotations

from pathlib import Path

from engine.programs.rules import Evidence
from promptgrad_tui.report import html_report, markdown_report, run_report
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.views.test_learning_events import events, layer_test


def test_layers_and_sets_are_told_with_their_numbers(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    for event in events():
        recorded.journal.append(recorded.run, event)
    known = [event for _, event in recorded.journal.events(recorded.run)]
    report = run_report(recorded.journal.run(recorded.run), known)
    text, page = markdown_report(report), html_report(report)
    assert "| rules only | 0.600 \\[0.500, 0.700\\], n = 40 |" in text
    assert (
        "| 3 demonstrations, nearest | contrast | +0.100 \\[+0.020, +0.200\\] | 40 | 0 | 0 | accepted |"
        in text
    )
    assert "<td>0.600 [0.500, 0.700], n = 40</td>" in page
    assert "2 sets tested" in page
    assert 'href="#layers"' in page


def test_what_stopping_early_saved_stands_with_the_cost(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    evidence = Evidence(delta=-0.2, low=-0.4, high=-0.05, n=24, calls=24, left_out=36, saved_calls=36)
    recorded.journal.append(recorded.run, layer_test("rules", "rejected", evidence=evidence))
    known = [event for _, event in recorded.journal.events(recorded.run)]
    report = run_report(recorded.journal.run(recorded.run), known)
    saved = "1 test stopped early, which saved 36 calls"
    assert f"{saved}." in markdown_report(report)
    assert f"<td>{saved}</td>" in html_report(report)
