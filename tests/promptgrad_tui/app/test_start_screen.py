from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from textual.pilot import Pilot

from promptgrad_tui.app.recent import RecentProjects

from .driving import drive, until, until_told, until_true
from .recorded import RecordedRun


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
        screen = await until_told(pilot, "The runs can't be read now.")
        assert "Close the program that holds it" in screen
        assert "No run yet" not in screen
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

    drive(elsewhere, None, script)


def test_a_new_project_is_written_and_opened(tmp_path: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "Recent projects")
        await pilot.press("i")
        await until(pilot, "Folder of the new project")
        await pilot.press("enter")
        await until(pilot, "No run yet")

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
        screen = await until_told(pilot, "the file is no journal")
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
