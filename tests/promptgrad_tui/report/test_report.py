"""What a report says, and that nothing in it is ever markup."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.journal.journal import Journal, journal_path
from promptgrad_tui.report import RunReport, html_report, markdown_report
from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import slice_text
from promptgrad_tui.views.markdown import escaped
from tests.engine.desk import POLICY
from tests.promptgrad_tui.desk_project import promptgrad
from tests.promptgrad_tui.report.runs import HOSTILE, report_of, reported, spoiling


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    return reported(tmp_path_factory.mktemp("desk"), desk=spoiling())


class Reader(HTMLParser):
    """Keeps the elements and the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_what_a_rule_had_to_show_is_told_with_the_rules(report: RunReport) -> None:
    for text in (read(html_report(report)).text, markdown_report(report)):
        assert "A rule was kept if it gained 0.01 or more in its test." in text


def test_every_example_is_told_by_what_the_rules_did_to_it(report: RunReport) -> None:
    expected = Counter()
    for change in report.changes:
        before = change.before.prediction["queue"] == change.fields["queue"]
        after = change.after.prediction["queue"] == change.fields["queue"]
        expected[{(0, 1): "fixed", (1, 0): "broken", (0, 0): "failing", (1, 1): "same"}[before, after]] += 1
    assert Counter(change.change for change in report.changes) == expected
    assert set(expected) == {"fixed", "broken", "failing", "same"}, "the desk makes all four"
    assert [change.name for change in report.changes] == [f"3-{n}" for n in range(40)]


def test_conditional_rules_are_compared_as_each_input_met_them(tmp_path: Path) -> None:
    conditional = reported(tmp_path, conditional=True)
    assert len(conditional.changes) == 40
    known = {rule.trigger for rule in conditional.rules}
    assert known
    for change in conditional.changes:
        phrase = next((word for word in POLICY if word in change.fields["ticket"]), None)
        assert change.change == ("same" if phrase is None else "fixed" if phrase in known else "failing")


def test_html_holds_what_the_run_came_to(report: RunReport) -> None:
    text = read(html_report(report)).text
    summary = report.summary
    assert summary is not None
    for rule in summary.rules:
        assert rule.text in text
    assert f"{summary.optimized.test.score:.3f} [{summary.optimized.test.low:.3f}" in text
    assert "opened for the first time" in text
    assert "slices.fax" in text
    assert "not measured" in text
    assert f"{summary.calls:,}" in text
    assert summary.model.revision in text


def test_html_never_takes_data_for_markup(report: RunReport) -> None:
    page = html_report(report)
    reader = read(page)
    assert reader.tags["script"] == 1
    assert reader.tags["img"] == reader.tags["i"] == 0
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("style", "src")]
    assert [
        value for name, value in reader.attributes if name == "href" and not (value or "").startswith("#")
    ] == []
    assert "\u202e" not in page
    assert "<U+202E>gnp.exe" in reader.text
    assert HOSTILE.split("&")[0].strip() in reader.text


def test_html_asks_for_nothing_from_elsewhere(report: RunReport) -> None:
    page = html_report(report)
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    policy = next(value for _, value in read(page).attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'; ")


def test_tables_have_captions_and_headings(report: RunReport) -> None:
    reader = read(html_report(report))
    assert reader.tags["table"] == reader.tags["caption"]
    assert reader.tags["th"] == sum(name == "scope" for name, _ in reader.attributes)


def test_markdown_never_takes_data_for_markup(report: RunReport) -> None:
    text = markdown_report(report)
    outside = re.sub(r"(?ms)^(`{3,})diff$.*?^\1$", "", text)
    assert not re.search(r"(?<!\\)[<>*\[](?!\*failed)", outside.replace("**failed**", ""))
    widths = {}
    for line in outside.splitlines():
        if line.startswith("|"):
            widths.setdefault(len(re.findall(r"(?<!\\)\|", line)), line)
    assert widths.keys() <= {3, 4, 5, 6, 7, 8}, widths
    assert "\u202e" not in text


def test_markdown_tells_gates_rules_and_what_broke(report: RunReport) -> None:
    text = markdown_report(report)
    assert "| slices.fax | not measured | at least 0.5 | **failed** | " in text
    broken = [change.name for change in report.changes if change.change == "broken"]
    assert f"Broken: {', '.join(broken)}." in text
    assert "+- Tickets that mention voucher go to loyalty." in text


def test_a_withheld_artifact_is_headed_so_named_and_told_with_the_evidence_of_each_gate(
    report: RunReport,
) -> None:
    summary = report.summary
    assert summary is not None
    assert summary.withheld is not None
    page, text = read(html_report(report)).text, markdown_report(report)
    assert text.startswith(f"# {report.name}: failed its gates\n")
    assert f"{report.name}: failed its gates" in page
    for gate in summary.gates:
        assert gate.detail
        assert gate.detail in page
        assert f"| {escaped(gate.detail)} |" in text
    assert summary.withheld in page
    inside = Path(summary.withheld).relative_to(report.record.project)
    assert f"Withheld because a gate failed: {escaped(str(inside))}" in text


def test_every_report_tells_the_slices_of_each_epoch_and_of_both_splits(report: RunReport) -> None:
    page, text = read(html_report(report)).text, markdown_report(report)
    assert len(report.story.epochs) > 1
    for epoch in report.story.epochs:
        assert epoch.slices.keys() == {"chat", "<i>mail</i>"}
        for scores in epoch.slices.values():
            assert slice_text(scores) in page
            assert escaped(slice_text(scores)) in text
    for split in ("test", "validation"):
        assert f"Scores on the {split} split by channel" in page
        assert f"## Slices of the {split} split" in text


@pytest.mark.parametrize("until", [0, 1, 30, 120])
def test_a_run_that_has_not_ended_is_reported_as_far_as_it_went(tmp_path: Path, until: int) -> None:
    reported(tmp_path)
    report = report_of(tmp_path, until)
    assert "Interrupted".lower() in read(html_report(report)).text
    assert markdown_report(report).startswith("# ")


def test_a_run_whose_data_is_gone_is_still_reported(tmp_path: Path) -> None:
    reported(tmp_path)
    for file in tmp_path.glob("*.jsonl"):
        file.unlink()
    assert "no longer in the project" in read(html_report(report_of(tmp_path))).text


def test_a_run_without_a_test_split_compares_validation_examples(tmp_path: Path) -> None:
    report = reported(tmp_path, test=0)
    assert report.split == "validation"
    assert len(report.changes) == 40


def test_a_run_that_kept_nothing(tmp_path: Path) -> None:
    from tests.engine.desk import Desk

    report = reported(tmp_path, desk=Desk(proposals=[]))
    assert {change.change for change in report.changes} == {"same", "failing"}
    assert "No rule was kept." in read(html_report(report)).text
    assert "No rule was kept." in markdown_report(report)


def test_the_command_writes_both(tmp_path: Path) -> None:
    reported(tmp_path)
    html, markdown = tmp_path / "a.html", tmp_path / "a.md"
    done = promptgrad("-C", tmp_path, "report", "last", "--html", html, "--markdown", markdown)
    assert done.returncode == 0, done.stderr
    assert html.read_text().startswith("<!DOCTYPE html>")
    assert markdown.read_text() == markdown_report(report_of(tmp_path))
    assert promptgrad("-C", tmp_path, "report", "last").returncode == 2


def test_reading_a_journal_for_a_report_changes_nothing(tmp_path: Path) -> None:
    reported(tmp_path)
    with Journal.open(journal_path(tmp_path), read_only=True) as journal:
        before = len(journal.events(journal.run("last").id))
    html_report(report_of(tmp_path))
    with Journal.open(journal_path(tmp_path), read_only=True) as journal:
        assert len(journal.events(journal.run("last").id)) == before


def test_a_diff_tells_what_came_and_what_went() -> None:
    assert list(line_diff("a\nb\nc", "a\nB\nc\nd")) == [
        (" ", "a"),
        ("-", "b"),
        ("+", "B"),
        (" ", "c"),
        ("+", "d"),
    ]
