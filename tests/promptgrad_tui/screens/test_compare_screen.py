from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from promptgrad_tui.screens.compare.screen import CompareScreen
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.comparison.comparison import Comparison
from promptgrad_tui.work.compare.comparison import read_comparison
from tests.promptgrad_tui.queue_desk import RULES
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, drive, seen, until, until_told, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.screens.stills import Stills

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
_FILTERS = re.compile(r"test: .*fixed (\d+).*broken (\d+).*failing (\d+).*same (\d+).*all (\d+)")


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    return recorded


async def to_compare(pilot: Pilot[int]) -> None:
    """From a run's screen to the comparison with its baseline."""
    await until(pilot, "improved")
    await pilot.press("c")
    await until(pilot, "without rules")
    await pilot.press("enter")
    await until(pilot, "Test: ")


def known(recorded: RecordedRun) -> Comparison:
    return read_comparison(recorded.folder, "baseline", recorded.run)


@SIZES
def test_a_run_is_compared_with_its_baseline(recorded: RecordedRun, size: tuple[int, int]) -> None:
    found = known(recorded)
    counts = found.counts("test")
    gain = found.scores["test"].gain
    assert gain is not None

    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        screen = seen(pilot)
        assert f"baseline of run {recorded.run} → run {recorded.run}" in screen
        assert f"{gain.score:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] on 40 examples" in screen
        shown = _FILTERS.search(screen)
        assert shown is not None
        expected = (*(counts[name] for name in ("fixed", "broken", "failing", "same")), 40)
        assert tuple(map(int, shown.groups())) == expected
        assert "│ ✓ 1.000  after" in screen or "│ ✗ 0.000  after" in screen
        if size == LARGE:
            assert "gain, paired" in screen
            assert RULES[0][0] in screen, "the prompt's diff"

    drive(recorded.folder, recorded.run, script, size)


@SIZES
def test_the_filter_goes_through_what_there_is(recorded: RecordedRun, size: tuple[int, int]) -> None:
    found = known(recorded)
    counts = found.counts("test")
    wanted = [name for name in ("fixed", "broken", "failing", "same") if counts[name]]
    assert len(wanted) >= 2

    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        for name in wanted:
            await pilot.press("f")
            screen = await until(pilot, f"[{name} {counts[name]}]")
            listed = re.findall(r"[✓✗] (fixed|broken|failing|same) +[01]\.000 → [01]\.000", screen)
            assert set(listed) == {name}
            first = next(change for change in found.changes["test"] if change.change == name)
            assert first.name[:7] in screen
            assert first.after.text.split(": ")[1] in screen
        await pilot.press("f")
        await until(pilot, "[all 40]")
        await pilot.press("F")
        await until(pilot, f"[{wanted[-1]} {counts[wanted[-1]]}]")

    drive(recorded.folder, recorded.run, script, size)


def test_panes_are_tabs_in_a_small_terminal(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        await pilot.press("tab")
        await until(pilot, "2 Example")
        await pilot.press("tab")
        screen = await until(pilot, "gain, paired")
        assert "n = 60" in screen
        await pilot.press("G")
        await until(pilot, "Rules removed: 0")
        await pilot.press("tab")
        await until(pilot, f"+ - {RULES[0][0]}")
        await pilot.press("tab")
        await until(pilot, "Answers")
        await pilot.press("z")
        await until_true(pilot, lambda screen: "before" not in screen.split("Answers")[1])

    drive(recorded.folder, recorded.run, script, SMALL)


def test_the_other_split_and_the_other_way_round(recorded: RecordedRun) -> None:
    found = known(recorded)
    fixed = found.counts("validation")["fixed"]
    assert fixed

    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        await pilot.press("s")
        screen = await until(pilot, "validation: [changed ")
        assert f"fixed {fixed} " in screen
        await pilot.press("w")
        screen = await until(pilot, f"broken {fixed} ")
        assert f"run {recorded.run} → baseline of run {recorded.run}" in screen
        assert "on 60 examples, worse." in screen

    drive(recorded.folder, recorded.run, script, SMALL)


def test_an_example_opens_with_the_exact_prompts(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        await pilot.press("enter")
        screen = await until(pilot, "Raw answer")
        assert f"Before: baseline of run {recorded.run}" in screen
        assert "Prompt, user" in screen

    drive(recorded.folder, recorded.run, script, LARGE)


def test_the_start_page_and_the_artifacts_lead_there_too(recorded: RecordedRun) -> None:
    dropped = recorded.accepted_rules()[1]
    recorded.journal.decide(recorded.run, f"review/1/{dropped.id}", {"choice": "drop"})
    recorded.apply_review()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("c")
        screen = await until(pilot, "without rules")
        assert "/v1" in screen
        await pilot.press("escape", "enter")
        await until(pilot, "improved")
        await until(pilot, "v2")
        await pilot.press("4", "home", "c")
        await until(pilot, "Compare artifact")
        await pilot.press("down", "down", "enter")
        await until_true(pilot, lambda screen: "/v1 → artifact" in screen and "/v2" in screen)
        await pilot.press("4")
        await until(pilot, f"- - {RULES[1][0]}")
        await pilot.press("escape")
        await until(pilot, "4 Artifacts")

    drive(recorded.folder, None, script, LARGE)


def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path) -> None:
    hostile = " [bold red]x[/] \x1b[31m \u202e evil \x07"
    recorded = RecordedRun(tmp_path / "desk", hostile=hostile, epochs=1, batches=3)
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        for keys in ((), ("2", "z"), ("3",), ("4",)):
            await pilot.press(*keys)
            screen = await until(pilot, "[bold red]x[/]")
            assert not {"\x1b", "\u202e", "\x07"} & set(screen)
        await pilot.press("1", "enter")
        screen = await until(pilot, "Raw answer")
        assert "<U+202E>" in screen

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_tiny_terminal_shows_one_thing_at_a_time(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.resize_terminal(40, 10)
        await pilot.press("c")
        await until(pilot, "without rules")
        await pilot.press("enter")
        await until_true(pilot, lambda screen: "fixed" in screen and "before" not in screen)
        await pilot.press("2")
        await until(pilot, "ticket")
        await pilot.resize_terminal(200, 50)
        await until(pilot, "gain, paired")

    drive(recorded.folder, recorded.run, script, SMALL)


def test_what_cannot_be_read_is_a_panel_with_what_to_do(recorded: RecordedRun) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        pilot.app.push_screen(CompareScreen(recorded.folder, "no-such-run", recorded.run))
        assert "there is no run" in await until_told(pilot, "That didn't work")
        await pilot.press("escape")
        await until(pilot, "improved")

    drive(recorded.folder, recorded.run, script)


@SIZES
def test_it_looks_as_it_should(stills: Stills, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        await stills.check(pilot, "compare")
        await pilot.press("3")
        await stills.check(pilot, "compare-scores")

    drive(stills.folder, stills.run, script, size)


@pytest.mark.parametrize("width", [110, 117, 120, 131])
def test_no_text_is_cut_at_its_right_end(recorded: RecordedRun, width: int) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await to_compare(pilot)
        await until(pilot, "Instructions")
        for keys in ((), ("f",), ("F",), ("z",), ("z",)):
            await pilot.press(*keys)
            for view in pilot.app.screen.query(TextView):
                widest = max((cell_len(row) for row in view.text.split("\n")), default=0)
                assert widest <= max(view.inner_size.width, 0) or not view.inner_size.width, view.id

    drive(recorded.folder, recorded.run, script, (width, 35))
