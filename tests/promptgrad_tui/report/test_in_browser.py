"""The HTML report in a real headless browser: loads nothing, filters, and is whole without scripts."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptgrad_tui.report import RunReport, html_report
from tests.promptgrad_tui.report.browser import CHROMIUM, Page, browser_page
from tests.promptgrad_tui.report.runs import HOSTILE, reported, spoiling

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")

VISIBLE_ROWS = (
    "[...document.querySelectorAll('#changes tbody tr')].filter(row => row.checkVisibility()).length"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    return reported(tmp_path_factory.mktemp("desk"), desk=spoiling())


@pytest.fixture(scope="module")
def file(report: RunReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "out.html"
    file.write_text(html_report(report), encoding="utf-8")
    return file


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


def test_the_page_loads_nothing_and_breaks_no_rule_of_its_own(page: Page, file: Path) -> None:
    page.open(file)
    assert page.requests == [file.as_uri()]
    assert page.messages == []
    assert page.evaluate("document.scripts.length") == 1
    assert HOSTILE.split("&")[0].strip() in page.evaluate("document.body.innerText")


def test_filters_show_the_examples_of_one_kind(page: Page, file: Path, report: RunReport) -> None:
    page.open(file)
    counts = Counter(change.change for change in report.changes)
    assert page.evaluate(VISIBLE_ROWS) == len(report.changes)
    for kind in ("fixed", "broken", "failing", "same"):
        page.evaluate(f"document.querySelector('input[value={kind}]').click()")
        assert page.evaluate(VISIBLE_ROWS) == counts[kind]
        shown = page.evaluate("document.getElementById('shown').textContent")
        assert shown == f"{counts[kind]} of {len(report.changes)} examples"
    page.evaluate("document.querySelector('input[value=all]').click()")
    assert page.evaluate(VISIBLE_ROWS) == len(report.changes)


def test_without_scripts_everything_is_there(page: Page, file: Path, report: RunReport) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(file)
    assert page.evaluate(VISIBLE_ROWS) == len(report.changes)
    assert page.evaluate("document.getElementById('filters').checkVisibility()") is False


def test_a_screen_reader_finds_its_way(page: Page, file: Path, report: RunReport) -> None:
    page.open(file)
    nodes = page.accessible()
    names = dict.fromkeys(name for role, name in nodes if role == "heading")
    assert list(names)[1:] == [
        "Result",
        "Score by epoch",
        "Rules",
        "Score against cost",
        "Slices",
        "Examples",
        "Prompt",
        "Cost",
        "Origin",
    ]
    charts = [name for role, name in nodes if role == "image"]
    assert charts == ["Score on validation over prompt tokens", "Validation score by epoch"]
    tables = [name for role, name in nodes if role == "table"]
    assert "" not in tables
    assert "Release gates" in tables
    roles = Counter(role for role, _ in nodes)
    assert roles["rowheader"] >= len(report.changes)
    assert roles["columnheader"] > 20
    assert ("navigation", "Sections") in nodes
    assert roles["radio"] == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, file: Path, scheme: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(file)
    lowest = page.evaluate(CONTRAST)
    assert lowest["ratio"] >= 4.5, lowest  # WCAG 2.2, 1.4.3


CONTRAST = """(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = {ratio: 99};
  for (const node of document.querySelectorAll("body *")) {
    if (!node.checkVisibility() || !node.innerText?.trim()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(style.color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest.ratio) lowest = {ratio, tag: node.tagName, text: node.innerText.slice(0, 40)};
  }
  return lowest;
})()"""


def test_print_shows_all_and_no_controls(page: Page, file: Path, report: RunReport) -> None:
    page.open(file)
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate(VISIBLE_ROWS) == len(report.changes)
    assert page.evaluate("document.querySelector('nav').checkVisibility()") is False
    assert page.evaluate("document.getElementById('filters').checkVisibility()") is False
    printed = base64.b64decode(page.call("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")


def test_a_phone_scrolls_tables_and_not_the_page(page: Page, file: Path) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    page.open(file)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


WORDS_CUT = """
[...document.querySelectorAll("#rules ~ .scroll .long, tbody th")].flatMap(cell => {
  const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
  if (!text || text.data.length > 200) return [];
  return [...text.data.matchAll(/\\b[A-Za-z]{2,12}\\b/g)].filter(word => {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    return new Set([...range.getClientRects()].map(box => box.top)).size > 1;
  }).map(word => word[0]);
})
"""


def test_words_stay_whole_on_a_narrow_screen_and_the_page_is_no_wider_than_it(page: Page, file: Path) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
    page.open(file)
    assert page.evaluate("document.querySelectorAll('.long').length") > 0
    assert page.evaluate(WORDS_CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
