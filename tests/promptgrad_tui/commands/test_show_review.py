"""`promptgrad show` tells of a review that was applied after the run."""

from __future__ import annotations

import json
from pathlib import Path

from engine.journal.decisions import Decision, decision_key
from engine.journal.journal import Journal, journal_path
from engine.release.run import apply_review, execute
from tests.engine.release.test_run import plan
from tests.promptgrad_tui.desk_project import promptgrad


def test_show_ends_with_the_review(tmp_path: Path) -> None:
    with Journal.open(journal_path(tmp_path)) as journal:
        wanted = plan(tmp_path, journal)
        summary = execute(wanted, journal)
        dropped = summary.rules[0]
        journal.decide(wanted.run, decision_key(dropped.id, 1), Decision(choice="drop").model_dump())
        applied = apply_review(wanted, journal)

    told = promptgrad("-C", tmp_path, "show", "last").stdout
    review = told[told.index("Review 1 applied") :]
    assert f"{len(summary.rules) - 1} rules kept" in review
    assert dropped.text not in review
    assert all(f"  - {rule.text}" in review for rule in applied.rules)
    assert Path(str(applied.artifact)).name in review
    story = json.loads(promptgrad("-C", tmp_path, "show", "last", "--json").stdout)
    assert story["review"]["number"] == 1
    before, after = summary.baseline.test, summary.optimized.test
    assert before is not None
    assert after is not None
    assert applied.test != after
    assert story["test"]["optimized"] == after.model_dump()
    promptgrad("-C", tmp_path, "report", "last", "--markdown", tmp_path / "report.md")
    report = (tmp_path / "report.md").read_text()
    assert f"Review 1, after it, kept {len(applied.rules)} rules" in report
    assert f"{after.score - before.score:+.3f}" in report
