from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from engine.journal.events import BatchScored, Event, ProgressEstimated, RolloutFinished, RulesChanged
from engine.journal.journal import Journal
from engine.journal.live_status import StatusFile, status_file
from engine.journal.live_text import LiveText, live_file
from promptgrad_tui.screens.run.screen import RunScreen
from promptgrad_tui.screens.widgets.table import RowTable
from tests.promptgrad_tui.queue_desk import RULES
from tests.promptgrad_tui.screens.driving import (
    LARGE,
    SMALL,
    drive,
    seen,
    until,
    until_told,
    until_true,
    watch,
)
from tests.promptgrad_tui.screens.recorded import RecordedRun

HOSTILE = " [bold red]x[/] \x1b[2J\x1b]0;t\x07 \u202egnp.exe 日本語 e\u0301 [link=x]"


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


def write_up_to_an_analysis(recorded: RecordedRun, events: Iterator[Event]) -> None:
    """Write events until the next one is the first analysis of failures."""
    for event in events:
        recorded.journal.append(recorded.run, event)
        if isinstance(event, ProgressEstimated) and event.id.endswith("/gradients/progress"):
            return


def test_a_large_terminal_shows_four_panes_the_chart_and_the_figures(recorded: RecordedRun) -> None:
    recorded.write()
    summary = recorded.journal.run(recorded.run).summary
    assert summary is not None
    reused = summary.tokens.reused / summary.tokens.prompt
    assert 0.5 < reused < 1

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "improved")
        for title in ("1 Batches", "2 Gradients", "3 Validation", "4 Artifacts", "5 Validation score"):
            assert title in screen
        assert "all epochs are done" in screen
        assert "tokens/s" in screen
        assert f"{reused:.0%} reused" in screen
        assert "seed 7" in screen

    drive(recorded.folder, recorded.run, script, LARGE)


def test_a_small_terminal_shows_one_pane_at_a_time(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "improved")
        assert "1.1" in screen
        assert "Said by" not in screen
        await pilot.press("2")
        assert "Said by" in await until(pilot, "Said by")
        await pilot.press("3")
        assert "rejected" in await until(pilot, "Verdict")
        await pilot.press("5")
        assert "base" in await until(pilot, "epoch base")
        await pilot.press("tab")
        await until(pilot, "Error types")

    drive(recorded.folder, recorded.run, script, SMALL)


def test_a_run_is_followed_while_it_is_written(recorded: RecordedRun) -> None:
    events = recorded.events()

    async def script(pilot: Pilot[int]) -> None:
        for _ in range(110):
            recorded.journal.append(recorded.run, next(events))
        await until(pilot, "running")
        screen = await until(pilot, "1.1")
        assert "%" in screen
        assert "100%" not in screen
        for event in events:
            recorded.journal.append(recorded.run, event)
        await until(pilot, "improved")
        await until(pilot, "3.3")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_space_pauses_and_resumes_and_x_stops_after_a_question(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    def commands() -> list[str]:
        return [command.name for command in recorded.journal.commands(recorded.run)]

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await until(pilot, "Stop")
        await pilot.press("space")
        await until_true(pilot, lambda _: commands() == ["pause"], "the command")
        await pilot.press("x")
        await until(pilot, "Stop the run?")
        await pilot.press("escape")
        assert commands() == ["pause"]
        await pilot.press("x")
        await until(pilot, "Stop the run?")
        await pilot.press("x")
        await until_true(pilot, lambda screen: "Stop the run?" not in screen)
        await until_true(pilot, lambda _: commands() == ["pause", "stop"], "the command")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script)


def test_a_batch_opens_to_the_exact_prompt_and_the_raw_answer(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("home", "enter")
        screen = await until(pilot, "Batch 1.1")
        assert "✗ 0.000" in screen
        await pilot.press("enter")
        screen = await until(pilot, "rollout 1 of")
        assert "Expected" in screen
        assert "Prompt, system" in screen
        await pilot.press("end")
        assert "Raw answer" in await until(pilot, "Raw answer")
        await pilot.press("escape", "escape")
        await until(pilot, "1 Batches")

    drive(recorded.folder, recorded.run, script)


def test_a_batch_without_failures_says_so_when_only_they_are_shown(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk", epochs=1, batches=6, batch_size=1)
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("1", "slash", *"no failures", "enter", "enter")
        await until(pilot, "0 of 1 example failed")
        await pilot.press("f")
        assert "yet" not in await until(pilot, "No failures.")
        await pilot.press("f")
        await until(pilot, "✓ 1.000")

    drive(recorded.folder, recorded.run, script)


def test_a_rules_test_opens_to_what_it_fixed_before_and_after(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("3", "home", "enter")
        screen = await until(pilot, "Fixed by it")
        assert "✓ accepted" in screen
        assert "→ ✓ 1.000" in screen

    drive(recorded.folder, recorded.run, script, (120, 40))


def test_a_lost_worker_is_told_and_can_be_resumed(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        with recorded.journal.lock_run(recorded.run):
            await until(pilot, "running")
        await until(pilot, "The worker has died")
        assert "Resume the run" in seen(pilot)
        await pilot.press("escape")
        assert "Resume" in await until(pilot, "R Resume")

    drive(recorded.folder, recorded.run, script)


def test_q_asks_whether_the_run_goes_on(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "Stop")
        await pilot.press("q")
        assert "type promptgrad in its folder" in await until_told(pilot, "the run continues")
        await pilot.press("g")

    with recorded.journal.lock_run(recorded.run):
        app = drive(recorded.folder, recorded.run, script)
    assert app.return_value == 0
    assert recorded.journal.commands(recorded.run) == []


def test_leaving_can_stop_the_run(recorded: RecordedRun) -> None:
    recorded.write(count=60)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "Stop")
        await pilot.press("q")
        await until(pilot, "the run continues")
        await pilot.press("s")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script)
    assert [command.name for command in recorded.journal.commands(recorded.run)] == ["stop"]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_hostile_text_is_shown_and_never_obeyed(tmp_path: Path, size: tuple[int, int]) -> None:
    recorded = RecordedRun(tmp_path / "desk", hostile=HOSTILE, epochs=1, batches=2)
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        for pane, opening in (("1", ("enter", "enter")), ("2", ("enter",)), ("3", ("enter",))):
            await pilot.press(pane, "home", "down", *opening)
            screen = seen(pilot)
            assert "\x1b" not in screen
            assert "\u202e" not in screen
            assert all(cell_len(line) <= size[0] for line in screen.split("\n"))
            await until(pilot, "[bold red]")
            while not isinstance(pilot.app.screen, RunScreen):
                await pilot.press("escape")

    drive(recorded.folder, recorded.run, script, size)


def test_a_terminal_may_become_tiny_and_large_again(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "4 Artifacts")
        await pilot.resize_terminal(40, 10)
        await until_true(pilot, lambda screen: "improved" in screen and "2 Gradients ─" not in screen)
        await pilot.press("4")
        screen = await until(pilot, "▸4 Artifacts 1  5")
        assert "esc Back  ? Help  q Quit" in screen, "how to go on is told however small it is"
        await pilot.resize_terminal(10, 3)
        await pilot.pause()
        await pilot.resize_terminal(*LARGE)
        await until(pilot, "5 Validation score")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_zoom_shows_one_pane_alone_and_all_again(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "4 Artifacts")
        await pilot.press("3", "z")
        screen = await until_true(pilot, lambda screen: "─ 2 Gradients ─" not in screen)
        assert "─ 3 Validation ─" in screen
        await pilot.press("z")
        await until(pilot, "─ 2 Gradients ─")

    drive(recorded.folder, recorded.run, script, LARGE)


def test_the_cursor_follows_new_rows_only_while_it_is_on_the_last(recorded: RecordedRun) -> None:
    recorded.write(count=400)

    async def script(pilot: Pilot[int]) -> None:
        table = pilot.app.screen.query_one("#gradients", RowTable)
        await until(pilot, "1.1")
        await pilot.press("2")
        await until_true(pilot, lambda _: len(table.rows) > 10)
        assert table.cursor == len(table.rows) - 1
        await pilot.press("home")
        recorded.write()
        before = len(table.rows)
        await until_true(pilot, lambda _: len(table.rows) > before)
        assert table.cursor == 0

    drive(recorded.folder, recorded.run, script)


def test_search_finds_a_row_and_goes_on_to_the_next(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        table = pilot.app.screen.query_one("#validation", RowTable)
        await pilot.press("3", "home", "slash", *"capitals", "enter")
        await until_true(pilot, lambda _: table.cursor == 1)
        await pilot.press("n")
        await until_true(pilot, lambda _: table.cursor == 3)
        await pilot.press("N")
        await until_true(pilot, lambda _: table.cursor == 1)
        await pilot.press("slash", *["backspace"] * 8, *"xyzzy", "enter")
        await until(pilot, "Not found: xyzzy")

    drive(recorded.folder, recorded.run, script)


def test_y_copies_the_row(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("1", "home", "y")
        await until(pilot, "Copied")
        assert pilot.app.clipboard.startswith("1.1  0.")

    drive(recorded.folder, recorded.run, script)


def test_help_shows_the_keys_that_are_valid_now(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("question_mark")
        screen = await until(pilot, "Keys that are valid here")
        assert "Show only the focused pane" in screen
        assert "Pause the run" not in screen
        await pilot.press("escape")
        await until_true(pilot, lambda screen: "Keys that are valid here" not in screen)

    drive(recorded.folder, recorded.run, script, LARGE)


def test_the_palette_finds_an_action_and_runs_it(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("ctrl+p", *"Gradients")
        await until(pilot, "Focus the gradients")
        await pilot.press("down", "enter")
        await until(pilot, "Said by")

    drive(recorded.folder, recorded.run, script)


def test_the_log_tells_the_run_and_opens_an_event(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("L")
        assert "all epochs are done" in await until(pilot, "Log of run")
        await pilot.press("enter")
        assert '"kind": "run_finished"' in await until(pilot, '"kind"')

    drive(recorded.folder, recorded.run, script)


def test_the_prompt_is_shown_as_a_diff(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("p")
        screen = await until(pilot, "Instructions")
        assert "+ - Tickets that mention a refund go to returns." in screen
        assert "  Route the ticket" in screen

    drive(recorded.folder, recorded.run, script)


def test_data_that_is_gone_is_no_reason_to_fail(recorded: RecordedRun) -> None:
    recorded.write()
    (recorded.folder / "data" / "train.jsonl").unlink()
    (recorded.folder / "promptgrad.toml").write_text("no toml [")

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("home", "enter")
        await until(pilot, "Batch 1.1")
        await pilot.press("enter")
        await until(pilot, "its data file has changed or no longer")

    drive(recorded.folder, recorded.run, script)


def test_an_analysis_is_read_along_while_it_is_written(recorded: RecordedRun) -> None:
    events = recorded.events()
    write_up_to_an_analysis(recorded, events)
    live = LiveText(live_file(recorded.journal.path, recorded.run))

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        await pilot.press("2")
        with live.writing(1, 1, 0) as hear:
            hear('{"analysis": "The failures share a wo')
            await until(pilot, "pass 1   The failures share a wo▌")
            await pilot.press("end", "enter")
            assert "The failures share a wo▌" in await until(pilot, "Analysis, being written")
            while "wrong queue" not in seen(pilot):
                hear('{"analysis": "The failures share a word.", "add": [{"text": "A wrong queue')
                await pilot.pause(0.05)
            assert "+ A wrong queue▌" in seen(pilot)
            recorded.journal.append(recorded.run, next(events))
            assert "▌" not in await until(pilot, "temperature")
            await pilot.press("escape")
            await until(pilot, "pass 1   The failures share a word. It should decide the queue.")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script)


def test_what_a_killed_worker_was_writing_is_not_shown(recorded: RecordedRun) -> None:
    write_up_to_an_analysis(recorded, recorded.events())
    writing = LiveText(live_file(recorded.journal.path, recorded.run)).writing(1, 1, 0)
    writing.__enter__()("the last words")

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "the worker has died")
        await pilot.press("2")
        await until(pilot, "Said by")
        assert "the last words" not in seen(pilot)

    drive(recorded.folder, recorded.run, script)


def test_what_a_run_waits_for_is_shown_until_it_goes_on(recorded: RecordedRun) -> None:
    events = recorded.events()
    write_up_to_an_analysis(recorded, events)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "analysing failures")
        with StatusFile(status_file(recorded.journal.path, recorded.run)) as status:
            status.show("Waiting: [b]Ollama[/b] is busy", 0.0)
            assert "running" in await until(pilot, "Waiting: [b]Ollama[/b] is busy")
            later = next(events).model_copy(update={"time": time.time() + 1})
            recorded.journal.append(recorded.run, later)
            await until_true(pilot, lambda screen: "Waiting" not in screen)

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_a_run_opens_without_a_start_page_before_it(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        assert isinstance(pilot.app.screen, RunScreen)

    drive(recorded.folder, recorded.run, script)


def test_a_journal_that_another_program_holds_is_told_and_read_again_later(
    recorded: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.journal.file.BUSY_SECONDS", 0.2)
    recorded.write(count=60)
    path = recorded.journal.path

    def commands() -> list[str]:
        with Journal.open(path, read_only=True) as journal:
            return [command.name for command in journal.commands(recorded.run)]

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await pilot.press("space")
            assert "Close the program that holds it" in await until_told(pilot, "That didn't work")
            await pilot.press("escape")
            await until(pilot, "running")
        await pilot.press("space")
        await until_true(pilot, lambda _: commands() == ["pause"], "the command")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script)


def test_two_screens_on_one_run_agree(recorded: RecordedRun) -> None:
    screens: dict[Pilot[int], str] = {}
    agreed: list[str] = []

    def agree(pilot: Pilot[int], screen: str) -> bool:
        screens[pilot] = screen
        if len(screens) == 2 and len(set(screens.values())) == 1:
            agreed.append(screen)
        return bool(agreed)

    async def write() -> None:
        with recorded.journal.lock_run(recorded.run):
            for event in recorded.events():
                recorded.journal.append(recorded.run, event)
                await asyncio.sleep(0)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "3.3")
        await until_true(pilot, lambda screen: "improved" in screen and "x Stop" not in screen)
        await until_true(pilot, lambda screen: agree(pilot, screen), "agreement")

    async def both() -> None:
        watching = (watch(recorded.folder, recorded.run, script, LARGE) for _ in range(2))
        await asyncio.gather(write(), *watching)

    asyncio.run(both())


def test_a_batch_under_way_fills_while_it_is_looked_at(recorded: RecordedRun) -> None:
    events = recorded.events()
    rollouts = 0
    for event in events:
        recorded.journal.append(recorded.run, event)
        rollouts += isinstance(event, RolloutFinished) and event.split == "train"
        if rollouts == 4:
            break

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "4 rolled out")
        await pilot.press("enter")
        await until(pilot, "4 examples rolled out so far")
        for event in events:
            recorded.journal.append(recorded.run, event)
            if isinstance(event, BatchScored):
                break
        await until(pilot, "of 10 examples failed")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_without_colours_everything_is_told_by_marks(
    recorded: RecordedRun, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "✓ improved")
        await pilot.press("3", "home", "down")
        screen = await until(pilot, "┏━ 3 Validation ")
        (chosen,) = [line for line in screen.split("\n") if "▸1.1" in line]
        assert "capitals (1.1)" in chosen
        assert "✗ rejected" in screen
        assert "✓ accepted" in screen
        if size == SMALL:
            assert "▸3 Validation" in screen
        strips = pilot.app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        colours = [colour for style in styles for colour in (style.color, style.bgcolor) if colour]
        assert all(len(set(colour.get_truecolor())) == 1 for colour in colours), "shades of grey alone"

    drive(recorded.folder, recorded.run, script, size)


def test_rules_that_begin_alike_are_told_apart_where_there_is_little_room(tmp_path: Path) -> None:
    things = ("refund", "parcel", "password", "invoice", "crash", "magazine", "wedding", "camera", "tea pot")
    rules = tuple((f"Tickets in which somebody mentions a {thing} go to returns.", thing) for thing in things)
    recorded = RecordedRun(tmp_path / "desk", rules=rules)
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("3", "home")
        screen = await until_true(pilot, lambda screen: screen.count("+ …") > 3)
        assert "refund go to" in screen
        await pilot.press("2", "home")
        await until(pilot, "+ …in which somebody mentions a refund go to returns.")

    drive(recorded.folder, recorded.run, script, SMALL)


def test_the_prompt_is_shown_with_the_rules_as_they_stand(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write(count=3)

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, "No rule has been kept so far")
        recorded.write(until=RulesChanged)
        await until(pilot, f"+ - {RULES[0][0]}")

    with recorded.journal.lock_run(recorded.run):
        drive(recorded.folder, recorded.run, script, SMALL)


def test_to_leave_and_stop_waits_for_the_journal_without_keeping_the_screen(recorded: RecordedRun) -> None:
    recorded.write(count=200)
    path = recorded.journal.path

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "running")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await pilot.press("q")
            await until(pilot, "Leave, and stop the run")
            await pilot.press("s")
            await until(pilot, "Stopping \u2026")
            await pilot.press("question_mark")
            await until(pilot, "Keys that are valid here")
            other.execute("ROLLBACK")
        await until_true(pilot, lambda _: recorded.journal.last_command(recorded.run) > 0, "the command")

    with recorded.journal.lock_run(recorded.run):
        app = drive(recorded.folder, recorded.run, script, SMALL)
    assert app.return_value == 0


def test_the_mouse_goes_to_rows_and_panes_and_opens_by_two_clicks(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "▸3.3")
        await pilot.click("#batches", offset=(10, 3))
        await until(pilot, "▸1.2")
        await pilot.click("#batches", offset=(10, 1))
        await until(pilot, "▸1.2")
        await pilot.click("#tabs", offset=(30, 0))
        await until(pilot, "▸3 Validation")
        await pilot.click("#tabs", offset=(2, 0))
        await until(pilot, "▸1 Batches")
        await pilot.click("#batches", offset=(10, 2), times=2)
        await until(pilot, "Batch 1.1")

    drive(recorded.folder, recorded.run, script, SMALL)


def test_from_an_opened_row_one_goes_on_to_the_next(recorded: RecordedRun) -> None:
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("1", "home", "enter")
        await until(pilot, "Batch 1.1")
        table = pilot.app.screen.query_one(RowTable)
        await pilot.press("enter")
        await until(pilot, "rollout 1 of")
        await pilot.press("K")
        await until(pilot, "rollout 1 of")
        await pilot.press("J", "J")
        await until(pilot, "rollout 3 of")
        await pilot.press("K")
        await until(pilot, "rollout 2 of")
        await pilot.press("escape")
        await until(pilot, "Batch 1.1")
        assert table.cursor == 1

    drive(recorded.folder, recorded.run, script, SMALL)
