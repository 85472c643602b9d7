"""The Try screen with its real worker and the real demo model, at the sizes that people have."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot

from engine.project.data import load_examples
from models.demo.project import write_demo_project
from promptgrad_tui.screens.trying.lines import title_lines
from promptgrad_tui.screens.trying.screen import TryScreen
from promptgrad_tui.screens.trying.state import TryState
from promptgrad_tui.views.toned_lines import plain
from promptgrad_tui.work.trying.messages import Cancelled, Ready, TrySource
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import write_project
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.screens.driving import (
    LARGE,
    SMALL,
    drive,
    seen,
    told,
    until,
    until_told,
    until_true,
)
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.screens.stills import Stills
from tests.promptgrad_tui.work.try_worker_talk import CAMERA, WEDDING

HOSTILE = "\x1b[31mred\x07 [bold]not bold[/bold] \u202egnorw \u4e2d\u6587 e\u0301"


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    write_demo_project(tmp_path / "desk", 0)
    return tmp_path / "desk"


def source(folder: Path) -> TrySource:
    return TrySource(project=folder, title="run r1", rules=(CAMERA, WEDDING))


async def opened(pilot: Pilot[int], tried: TrySource) -> TryScreen:
    screen = TryScreen(tried)
    await pilot.app.push_screen(screen)
    await until(pilot, "ready")
    return screen


async def answered(pilot: Pilot[int], text: str) -> str:
    """Wait until a text is there and both sides are whole: they end in any order."""
    return await until_true(pilot, lambda screen: text in screen and " ready" in screen, f"{text}, ready")


async def typed(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*("space" if character == " " else character for character in text))


@pytest.mark.parametrize("size", [SMALL, LARGE, (40, 10)])
def test_an_input_is_answered_twice_with_the_rules_that_fired(demo: Path, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, source(demo))
        await typed(pilot, "I got a wedding list. The catalogue worries me.")
        await pilot.press("ctrl+r")
        if size == (40, 10):
            await until(pilot, "events")
            return
        screen = await answered(pilot, "1 of 2 rules fit this input")
        assert "events" in screen
        assert "sales" in screen
        assert "\u2260 differs" in screen
        assert "With 2 rules" in screen
        assert "wedding list\u201d" in screen
        assert re.search(r"prompt tokens .*answer tokens", " ".join(screen.split()))
        assert all(len(line) <= size[0] for line in screen.splitlines())

    drive(demo, None, script, size)


def test_without_colours_in_a_tiny_terminal_what_is_typed_is_seen(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, source(demo))
        await typed(pilot, "Where is it?")
        await until(pilot, "Where is it?")

    drive(demo, None, script, (40, 10))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
def test_it_looks_as_it_should(stills: Stills, demo: Path, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, source(demo))
        await typed(pilot, "I got a wedding list. The catalogue worries me.")
        await pilot.press("ctrl+r")
        await answered(pilot, "1 of 2 rules fit")
        await stills.check(pilot, "try", varying="tokens|reused")

    drive(demo, None, script, size)


def test_an_input_asked_before_the_model_is_there_is_answered_once_it_is(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await pilot.app.push_screen(TryScreen(source(demo)))
        await until(pilot, "\u2500 ticket ")
        await typed(pilot, "a wedding list")
        await pilot.press("ctrl+r")
        await until(pilot, "1 of 2 rules fit")

    drive(demo, None, script)


def test_an_input_that_waits_for_the_model_says_so(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = TryScreen(source(demo))
        await pilot.app.push_screen(screen)
        assert screen.process is not None
        process = psutil.Process(screen.process.pid)
        process.suspend()
        await typed(pilot, "a wedding list")
        await pilot.press("ctrl+r")
        await until_told(pilot, "It is answered as soon as the model is open.")
        process.resume()
        assert "as soon as" not in await until(pilot, "1 of 2 rules fit")

    drive(demo, None, script)


def test_what_is_typed_before_the_fields_are_known_is_kept_and_enter_answers(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = TryScreen(source(demo))
        await pilot.app.push_screen(screen)
        await until(pilot, "\u2500 Input ")
        await typed(pilot, "q: we share a wedding list")
        screen = await until(pilot, "\u2500 ticket ")
        assert "q: we share a wedding list" in screen
        await pilot.press("ctrl+j", *"OK", "enter")
        screen = await until(pilot, "1 of 2 rules fit")
        rows = screen.splitlines()
        place = next(number for number, row in enumerate(rows) if "q: we share a wedding list" in row)
        assert "OK" in rows[place + 1]

    drive(demo, None, script)


def test_inputs_of_the_session_come_back_and_the_draft_is_kept(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, source(demo))
        for text in ("first one", "second one"):
            await pilot.press("ctrl+u")
            await typed(pilot, text)
            await pilot.press("ctrl+r")
            await until(pilot, "rules fit")
        await pilot.press("ctrl+u")
        await typed(pilot, "a draft")
        for key, text in (
            ("up", "second one"),
            ("up", "first one"),
            ("up", "first one"),
            ("down", "second one"),
            ("down", "a draft"),
        ):
            await pilot.press(key)
            await until(pilot, text)

    drive(demo, None, script)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_input_is_saved_with_the_right_answer_and_refused_the_second_time(
    demo: Path, size: tuple[int, int]
) -> None:
    file = demo / "data" / "train.jsonl"
    before = file.read_text()

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, source(demo))
        await typed(pilot, "We share a wedding list.")
        await pilot.press("ctrl+r")
        await until(pilot, "1 of 2 rules fit")
        await pilot.press("ctrl+s")
        screen = await until(pilot, "Save as a training example")
        assert "the model said: events" in screen
        assert "try-1" in screen
        # What the model said is not taken for right, nor is a value that no example has.
        await pilot.press("ctrl+s")
        await until_told(pilot, "queue is missing")
        await typed(pilot, "lgal")
        await pilot.press("ctrl+s")
        await until_told(pilot, "No example has queue = lgal.")
        await pilot.press(*["backspace"] * 4)
        await typed(pilot, "legal")
        await pilot.press("ctrl+s")
        await until_told(pilot, "channel is missing")
        await pilot.press("tab")
        await typed(pilot, "web")
        await pilot.press("ctrl+s")
        await until_true(pilot, lambda screen: "Save as a training" not in screen, "the form's end")
        await until(pilot, "Saved as")
        await pilot.press("ctrl+s")
        await until(pilot, "try-2")
        await typed(pilot, "legal")
        await pilot.press("tab")
        await typed(pilot, "web")
        await pilot.press("ctrl+s")
        await until_told(pilot, "has the same inputs already")
        # To its end, however long the path in it is, once the note of what was saved is gone.
        await until_told(pilot, "there is nothing to save.")
        # What was typed isn't lost by one key.
        await pilot.press("escape")
        await until(pilot, "esc again discards it")
        await pilot.press("escape")
        await until(pilot, "With 2 rules")

    drive(demo, None, script, size)
    saved = load_examples(file)[-1].values
    assert saved == {
        "ticket": "We share a wedding list.",
        "queue": "legal",
        "channel": "web",
        "id": "try-1",
    }
    assert file.read_text().startswith(before)


def test_a_killed_worker_is_told_and_started_again_with_the_input_kept(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await opened(pilot, source(demo))
        await typed(pilot, "a wedding list")
        assert screen.process is not None
        os.kill(screen.process.pid, signal.SIGKILL)
        shown = await until(pilot, "SIGKILL")
        assert "a wedding list" in shown
        await pilot.press("ctrl+r")
        await until(pilot, "1 of 2 rules fit")

    drive(demo, None, script)


def test_a_process_that_dies_is_told_also_after_the_form_was_open(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await opened(pilot, source(demo))
        await typed(pilot, "a wedding list")
        await pilot.press("ctrl+s")
        await until(pilot, "Save as a training example")
        await pilot.press("escape")
        await until_true(pilot, lambda shown: "Save as a training" not in shown, "the form's end")
        assert screen.process is not None
        os.kill(screen.process.pid, signal.SIGKILL)
        assert "a wedding list" in await until(pilot, "SIGKILL")

    drive(demo, None, script)


def test_a_save_behind_an_answer_says_so_and_is_made_once(tmp_path: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, TrySource(project=tmp_path, rules=(WEDDING,)))
        await typed(pilot, "a drone")
        await pilot.press("ctrl+r")
        await until(pilot, "answering")
        await pilot.press("ctrl+s")
        await until(pilot, "Save as a training example")
        await typed(pilot, "general")
        await pilot.press("ctrl+s")
        await until_told(pilot, "Saving, after the answer in progress")
        await pilot.press("ctrl+s", "escape")
        await until_true(pilot, lambda screen: "Save as a training" not in screen, "the form's end")
        await pilot.press("escape")
        await until_told(pilot, "Saved as")
        await until(pilot, "cancelled")

    with desk_server(seconds=3600) as server:
        write_project(tmp_path, server.uri)
        before = len(load_examples(tmp_path / "data" / "train.jsonl"))
        drive(tmp_path, None, script, LARGE)
    assert len(load_examples(tmp_path / "data" / "train.jsonl")) == before + 1


def test_a_model_that_is_gone_is_a_clear_state_and_back_again_after_it_is_there(demo: Path) -> None:
    file = demo / "promptgrad.toml"
    whole = file.read_text()
    file.write_text(whole.replace('task = "demo"', 'task = "gguf:gone.gguf"'))

    async def script(pilot: Pilot[int]) -> None:
        await pilot.app.push_screen(TryScreen(source(demo)))
        # The path may be long, and broken anywhere.
        await until_true(pilot, lambda _: "gone.gguf" in told(pilot).replace(" ", ""), "the model")
        assert "That didn't work" in seen(pilot)
        file.write_text(whole)
        await typed(pilot, "a wedding list")
        await pilot.press("ctrl+r")
        screen = await until(pilot, "1 of 2 rules fit")
        assert "That didn't work" not in screen

    drive(demo, None, script)


def test_answers_are_cancelled_and_the_worker_ends_with_the_screen(tmp_path: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        screen = await opened(pilot, TrySource(project=tmp_path, rules=(WEDDING,)))
        assert screen.process is not None
        process = psutil.Process(screen.process.pid)
        await typed(pilot, "a drone")
        await pilot.press("ctrl+r")
        await until(pilot, "answering")
        # Pressed twice, it still only cancels; after a moment it leaves.
        await pilot.press("escape", "escape")
        await until(pilot, "cancelled")
        await until(pilot, "esc Back")
        assert pilot.app.screen is screen
        await pilot.press("escape")
        await until(pilot, "No runs yet")
        process.wait(PATIENCE_SECONDS)

    with desk_server(seconds=3600) as server:
        write_project(tmp_path, server.uri)
        drive(tmp_path, None, script)


def test_a_cancellation_is_told_until_it_is_done() -> None:
    state = TryState()
    state.apply(Ready(model="demo", revision="3fa9"))
    state.begin()
    assert plain(title_lines(state, "desk", "")[1]).endswith("answering")
    state.is_cancelling = True
    assert plain(title_lines(state, "desk", "")[1]).endswith("cancelling \u2026")
    for side in state.sides:
        state.apply(Cancelled(id=state.request, side=side))
    assert plain(title_lines(state, "desk", "")[1]).endswith("ready")


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    rule = WEDDING.model_copy(update={"text": HOSTILE, "trigger": "drone"})

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, TrySource(project=tmp_path, title=HOSTILE, rules=(rule,)))
        await typed(pilot, "a drone")
        await pilot.press("ctrl+r")
        screen = await until(pilot, "1 of 1 rule fit")
        for shown in ("\u241b[31mred\u2407 [bold]not bold[/bold] <U+202E>", "<script>\u241b"):
            assert shown in screen
        assert "\x1b" not in screen
        assert "\u202e" not in screen
        await pilot.press("ctrl+s")
        screen = await until(pilot, "Save as a training example")
        assert "\x1b" not in screen

    with desk_server() as server:
        server.desk.answer = lambda messages: json.dumps({"queue": "<script>\x1b]0;title\x07"})  # type: ignore[method-assign]
        write_project(tmp_path, server.uri)
        drive(tmp_path, None, script, LARGE)


def test_a_terminal_made_small_and_large_again_keeps_what_is_there(demo: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot, source(demo))
        await typed(pilot, "a wedding list")
        await pilot.press("ctrl+r")
        await until(pilot, "1 of 2 rules fit")
        for size in ((40, 10), (20, 5), LARGE):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        screen = await until(pilot, "1 of 2 rules fit")
        assert "Base instructions" in screen
        assert "a wedding list" in screen

    drive(demo, None, script)


def test_it_is_reached_from_the_start_page_the_run_and_the_review(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("t")
        await until(pilot, f"of run {recorded.run}")
        await pilot.press("escape", "enter")
        await until(pilot, "1 Batches")
        await pilot.press("t")
        await until(pilot, f"of run {recorded.run}")
        await pilot.press("escape", "v")
        await until(pilot, "Review ")
        await pilot.press("d", "t")
        await until_true(pilot, lambda screen: "with your decisions" in screen, "the decisions")
        await pilot.press("escape")
        await until(pilot, "Review ")

    drive(recorded.folder, None, script)
