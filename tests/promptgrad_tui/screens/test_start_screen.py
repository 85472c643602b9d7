from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from textual.pilot import Pilot

from engine.journal.events import RunFinished
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.work.machine.recent import RecentProjects
from tests.promptgrad_tui.queue_desk import RULES
from tests.promptgrad_tui.screens.driving import drive, until, until_told, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun


def test_a_project_shows_its_runs_and_opens_one(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "1 run")
        assert recorded.run in screen
        assert "improved" in screen
        assert "→" in screen
        await pilot.press("enter")
        await until(pilot, "1 Batches")
        await pilot.press("escape")
        await until(pilot, "1 run")

    drive(recorded.folder, None, script)


def test_who_comes_back_from_a_run_finds_the_cursor_on_it(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    newer = recorded.journal.create_run(recorded.folder)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 Batches")
        await pilot.press("escape")
        screen = await until(pilot, "2 runs")
        rows = [row for row in screen.split("\n") if recorded.run in row or newer.id in row]
        assert newer.id in rows[0]
        assert rows[1].startswith("\u2502\u25b8"), "the cursor is on the run that was watched"

    drive(recorded.folder, recorded.run, script)


def test_compare_is_not_offered_where_there_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "promptgrad.toml").write_text('[model]\ntask = "demo"\n')

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "No runs yet")
        assert "c Compare" not in screen
        assert "t Try" in screen

    drive(tmp_path, None, script)


def test_a_run_whose_rules_failed_a_gate_says_so(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    for event in recorded.events():
        if isinstance(event, RunFinished):
            held_back = {"status": "no_improvement", "artifact": None, "withheld": str(tmp_path / "v1")}
            event = event.model_copy(update={"summary": event.summary.model_copy(update=held_back)})
        recorded.journal.append(recorded.run, event)

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "failed its gates")
        assert "no improvement" not in screen
        await pilot.press("enter")
        await until(pilot, "■ failed its gates")

    drive(recorded.folder, None, script)


@contextmanager
def held(journal: Path) -> Iterator[None]:
    """Keep everybody else from a journal, as a database browser may."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_journal_that_another_program_holds_is_told_until_it_lets_go(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    recorded.journal.close()

    async def script(pilot: Pilot[int]) -> None:
        screen = await until_told(pilot, "The runs can't be read at the moment.")
        assert "Close the program that holds it" in screen
        assert "No runs yet" not in screen
        other.close()
        await until(pilot, "1 run")
        await until_true(pilot, lambda screen: recorded.run in screen and "can't be read" not in screen)
        with held(recorded.journal.path):
            await pilot.press("enter")
            await until(pilot, "That didn't work")
            await pilot.press("escape")
        await until(pilot, "1 run")
        await pilot.press("enter")
        await until(pilot, "improved")

    with ExitStack() as other:
        other.enter_context(held(recorded.journal.path))
        drive(recorded.folder, None, script)


def test_elsewhere_it_shows_recent_projects(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    RecentProjects(elsewhere / "recent.json").remember(recorded.folder)

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "Recent projects")
        assert "desk" in screen
        assert "Demo" in screen
        await pilot.press("enter")
        await until(pilot, recorded.run)
        await pilot.press("escape")
        await until(pilot, "There is no promptgrad.toml in this folder.")
        await pilot.press("enter")
        await until(pilot, recorded.run)

    drive(elsewhere, None, script)


def test_a_recent_project_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    whole, damaged = RecordedRun(tmp_path / "whole"), RecordedRun(tmp_path / "damaged")
    whole.write()
    damaged.journal.close()
    damaged.journal.path.write_bytes(b"nonsense" * 1000)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for recorded in (whole, damaged):
        RecentProjects(elsewhere / "recent.json").remember(recorded.folder)

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "whole")
        rows = screen.splitlines()
        damaged_row = next(row for row in rows if " ? " in row)
        assert "damaged" in damaged_row
        assert "the file isn't a journal" in damaged_row
        assert any("whole " in row and " 1 " in row for row in rows)
        assert "can't be read at the moment" not in screen

    drive(elsewhere, None, script, (200, 24))


def test_a_project_that_comes_and_goes_while_the_page_is_open(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    file = recorded.folder / "promptgrad.toml"
    text = file.read_text()
    file.unlink()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "There is no promptgrad.toml in this folder.")
        file.write_text(text)
        await until(pilot, recorded.run)
        await pilot.press("o")
        await until(pilot, "Run (UTC)\u25b4")
        file.unlink()
        await until(pilot, "There is no promptgrad.toml in this folder.")
        await pilot.press("down", "o")
        await until(pilot, "Project\u25b4")
        file.write_text(text)
        await until(pilot, recorded.run)
        await pilot.press("enter")
        await until(pilot, "1 Batches")

    drive(recorded.folder, None, script)


def test_a_name_waits_for_the_journal_without_keeping_the_screen(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        with closing(sqlite3.connect(recorded.journal.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await pilot.press("e", *"mine", "ctrl+s", "question_mark")
            await until(pilot, "Keys that are valid here")
            assert recorded.journal.run(recorded.run).name == ""
            other.execute("ROLLBACK")
        await pilot.press("escape")
        await until(pilot, "mine")

    drive(recorded.folder, None, script)


def test_trying_a_run_reads_nothing_of_other_runs(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    other = recorded.journal.create_run(recorded.folder).id
    recorded.write()
    with closing(sqlite3.connect(recorded.journal.path, isolation_level=None)) as journal:
        journal.execute("INSERT INTO events VALUES(100000, ?, 'x', 'epoch', 0, '{}')", (other,))

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "2 runs")
        await pilot.press("slash", *recorded.run, "enter", "t")
        await until(pilot, f"of run {recorded.run}")

    drive(recorded.folder, None, script)


def test_a_new_project_is_written_and_opened(tmp_path: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "Recent projects")
        await pilot.press("i")
        await until(pilot, "Folder of the new project")
        await pilot.press("enter")
        await until(pilot, "No runs yet")

    drive(tmp_path, None, script)
    assert (tmp_path / "project" / "promptgrad.toml").is_file()


def test_a_run_that_is_not_there_is_a_panel_with_what_to_do(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")

    async def script(pilot: Pilot[int]) -> None:
        screen = await until_told(pilot, "That didn't work")
        assert "there is no run" in screen
        assert recorded.run in screen.replace(" ", "")
        await pilot.press("escape")
        await until(pilot, "Runs")

    drive(recorded.folder, "no-such-run", script)


def test_a_damaged_journal_is_told(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.journal.close()
    recorded.journal.path.write_bytes(b"nonsense" * 1000)

    async def script(pilot: Pilot[int]) -> None:
        screen = await until_told(pilot, "the file isn't a journal")
        assert "while a run writes to it." in screen, "a hint is told to its end, however long the path is"

    drive(recorded.folder, None, script)


def test_recent_projects_forget_what_is_gone_and_survive_nonsense(tmp_path: Path) -> None:
    recent = RecentProjects(tmp_path / "state" / "recent.json")
    assert recent.folders() == []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "promptgrad.toml").touch()
        recent.remember(tmp_path / name)
    assert recent.folders() == [tmp_path / "two", tmp_path / "one"]
    (tmp_path / "two" / "promptgrad.toml").unlink()
    assert recent.folders() == [tmp_path / "one"]
    recent.file.write_text("{nonsense")
    assert recent.folders() == []


def test_a_review_that_was_applied_is_told_with_what_it_came_to(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    for rule in recorded.accepted_rules()[1:]:
        recorded.journal.decide(recorded.run, f"review/1/{rule.id}", {"choice": "drop"})
    review = recorded.apply_review()
    validation, test = review.validation, review.test
    assert test is not None
    assert validation.score != recorded.journal.run(recorded.run).summary.optimized.validation.score

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "improved, reviewed")
        row = next(line for line in screen.splitlines() if recorded.run in line)
        assert re.findall("→ ([0-9.]+)", row) == [f"{validation.score:.3f}", f"{test.score:.3f}"]
        screen = await until(pilot, "review 1")
        assert f"validation {validation.score:.3f} [{validation.low:.3f}, {validation.high:.3f}]" in screen
        assert "│ 1 rule " in screen
        assert RULES[0][0] in screen

    drive(recorded.folder, None, script, (110, 30))


def test_the_cursor_stays_on_its_run_when_another_one_begins(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    recorded.journal.create_run(recorded.folder)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "2 runs")
        await pilot.press("end")
        table = pilot.app.screen.query_one(RowTable)
        assert table.current.id == recorded.run
        recorded.journal.create_run(recorded.folder)
        await until(pilot, "3 runs")
        assert table.current.id == recorded.run
        assert table.cursor == 2

    drive(recorded.folder, None, script)


def test_escape_once_too_often_does_not_leave(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("escape", "escape", "escape")
        await until(pilot, "q quits")
        await pilot.press("enter")
        await until(pilot, "1 Batches")
        await pilot.press("q")

    assert drive(recorded.folder, recorded.run, script).return_value == 0


def test_the_keys_of_all_screens_are_told_in_80_columns(tmp_path: Path) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "1 run")
        for key in ("r Run", "p Project", "i New", "c Compare", "t Try", "? Help", "q Quit"):
            assert key in screen.splitlines()[-1]
        await pilot.press("enter")
        screen = await until(pilot, "v Review")
        assert "M Models" in screen.splitlines()[-1]
        assert "z Zoom" not in screen, "one pane is alone already"
        await pilot.press("question_mark")
        screen = await until(pilot, "Keys that are valid here")
        assert "Go back to the screen before" not in screen
        shown = screen.split("Keys that are valid here")[1].split("esc  Close")[0]
        assert "\u2026" not in shown, "no sentence is cut"

    drive(recorded.folder, None, script)
