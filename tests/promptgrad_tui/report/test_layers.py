"""Both reports show what each layer brings, and the sets that were tested."""

from __future__ import annotations

from pathlib import Path

from promptgrad_tui.report import html_report, markdown_report, run_report
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.views.test_learning_events import events


def test_layers_and_sets_are_told_with_their_numbers(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk", epochs=1, batches=1)
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
