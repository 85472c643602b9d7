"""No key that hurts: what costs asks first, and keys in a burst reach what they are for."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from models.demo.project import write_demo_project
from promptgrad_tui.screens.keys.actions import ACTIONS
from promptgrad_tui.screens.project.screen import ProjectScreen
from promptgrad_tui.screens.widgets.dialogs import InputScreen, QuestionScreen
from tests.promptgrad_tui.screens.driving import LARGE, drive, seen, until, until_told, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.screens.test_project_screen import go_to

COSTLY = {
    *("start.new_run", "start.demo", "project.run", "run.resume", "run.stop"),
    *("review.drop", "review.apply", "models.hash", "models.measure", "models.pull", "models.free"),
    *("models.cancel", "project.check", "project.undo_all", "app.judge", "labels.correct", "labels.drop"),
}
"""Actions that start, stop, take away or change something."""


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def burst(pilot: Pilot[int], text: str) -> None:
    """Send keys all at once, as a slow connection does."""
    for character in text:
        key = "slash" if character == "/" else character
        pilot.app.post_message(events.Key(key, character))


def test_the_key_of_what_costs_something_means_nothing_else() -> None:
    labels: dict[str, set[str]] = defaultdict(set)
    for action in ACTIONS:
        for key in action.keys.split(","):
            labels[key].add(action.label)
    one_meaning = {frozenset({"Stop", "Cancel"})}
    for action in ACTIONS:
        if action.id in COSTLY:
            meant = labels[action.keys.split(",")[0]]
            assert len(meant) == 1 or frozenset(meant) in one_meaning, (action.id, meant)


@pytest.mark.parametrize("key", ["ctrl+q", "ctrl+c"])
def test_ctrl_q_and_ctrl_c_ask_as_q_does(recorded: RecordedRun, key: str) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "Stop")
        await pilot.press(key)
        await until_told(pilot, "the run continues")
        await pilot.press(key)
        await until(pilot, "Leave; the run continues")
        await pilot.press("s")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script)
    assert [command.name for command in recorded.journal.commands(recorded.run)] == ["stop"]


def test_ctrl_q_in_a_project_asks_about_edits_also_while_one_is_typed(tmp_path: Path) -> None:
    write_demo_project(tmp_path / "desk", 0)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("p")
        await until(pilot, "saved")
        await go_to(pilot, "epochs")
        await pilot.press("enter", "1", "ctrl+q")
        await until(pilot, "Changes are not saved")
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("escape")
        await until(pilot, "1 change not saved")

    drive(tmp_path / "desk", None, script, LARGE)


def test_q_on_the_start_page_asks_while_a_run_is_under_way(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 in progress")
        await pilot.press("q")
        told = await until_told(pilot, "The run continues in its own process.")
        assert str(recorded.folder) in "".join(told.split())
        await pilot.press("g")

    with recorded.journal.lock_run(recorded.run):
        assert drive(recorded.folder, None, script).return_value == 0


def test_a_run_begins_after_a_question_with_its_estimate(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("r")
        told = await until_told(pilot, " at most.")
        assert "Model demo: " in told
        # 60 on validation for the baseline alone: no plan is smaller.
        assert int(told.split("Model demo: ")[1].split(" ")[0].replace(",", "")) > 60
        await pilot.press("escape", "escape", "escape", "enter", "r", *"query", "escape")
        await until_true(pilot, lambda screen: "Start a run of" not in screen)

    drive(recorded.folder, None, script)
    assert len(recorded.journal.runs()) == 1


def test_the_demo_is_written_after_a_question_only(tmp_path: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "D runs the demo")
        await pilot.press("D")
        asked = await until_told(pilot, "Run the demo?")
        assert f"{tmp_path}/promptgrad-demo" in asked.replace(" ", "")
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "Run the demo?" not in screen)

    drive(tmp_path, None, script)
    assert not (tmp_path / "promptgrad-demo").exists()


def test_a_burst_of_keys_is_typed_into_the_box_that_the_first_one_opens(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        burst(pilot, "/medical")
        await until_true(pilot, lambda _: isinstance(pilot.app.screen, InputScreen), "the box")
        await pilot.pause()
        assert pilot.app.screen.query_one(Input).value == "medical"

    drive(recorded.folder, None, script)


def test_a_burst_over_a_question_reaches_nothing_below_it(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("p")
        await until(pilot, "saved")
        burst(pilot, "repochb")
        await until(pilot, "Start a run of")
        await pilot.pause()
        below = pilot.app.screen_stack[-2]
        assert isinstance(below, ProjectScreen)
        assert "Measuring" not in below._checks.doing
        assert "Start a run of" in seen(pilot)

    drive(recorded.folder, None, script)
