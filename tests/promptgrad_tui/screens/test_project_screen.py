from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from promptgrad_tui.screens.project.fields import FormField, FormSection, form_rows
from promptgrad_tui.screens.project.screen import ProjectScreen
from promptgrad_tui.screens.run.screen import RunScreen
from tests.engine.desk import tickets
from tests.engine.project_folders import TOML
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, Script, drive, seen, until, until_true

TINY = (40, 10)
HOSTILE = "\x1b[31m[red]\u202egnp.exe[/red]"


def write_project(folder: Path, toml: str = TOML) -> Path:
    """A project of three small splits with a slice field."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "promptgrad.toml").write_text(toml, encoding="utf-8")
    for split, seed in {"train": 1, "validation": 2, "test": 3}.items():
        lines = [json.dumps({**ticket, "channel": "web"}) for ticket in tickets(20, seed)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "desk", f"# mine\n{TOML}[optimizer]\nepochs = 2   # few\n")


def text_of(project: Path) -> str:
    return (project / "promptgrad.toml").read_text(encoding="utf-8")


def at_the_form(script: Script) -> Script:
    """Open the project's screen from the start page first."""

    async def opened(pilot: Pilot[int]) -> None:
        await until(pilot, "No runs yet")
        await pilot.press("p")
        await until(pilot, "1 Settings")
        await script(pilot)

    return opened


async def go_to(pilot: Pilot[int], name: str) -> None:
    """Search for a setting; its name may stand in what others mean."""
    await pilot.press("g", "slash", *name, "enter")
    while not (current(pilot) == name or current(pilot).endswith(f".{name}")):
        await pilot.press("n")


def current(pilot: Pilot[int]) -> str:
    screen = pilot.app.screen
    assert isinstance(screen, ProjectScreen)
    row = screen.query_one("ProjectForm").current  # type: ignore[attr-defined]
    return row.id if isinstance(row, FormField) else str(row.name)


def test_a_search_finds_the_setting_of_that_name_before_what_others_mean(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("slash", *"epochs", "enter")
        assert current(pilot) == "optimizer.epochs"
        # No setting is called so: then its explanation is found.
        await pilot.press("g", "slash", *"held out of train", "enter")
        assert current(pilot) == "data.validation"

    drive(project, None, at_the_form(script), SMALL)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_every_field_is_seen_on_the_way_down(project: Path, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        last = ".".join(form_rows()[-1].place)
        told = seen(pilot)
        while current(pilot) != last:
            await pilot.press("pagedown")
            told += seen(pilot)
        names = [row.title if isinstance(row, FormSection) else f" {row.name} " for row in form_rows()]
        assert [name for name in names if name not in told] == []

    drive(project, None, at_the_form(script), size)


@pytest.mark.parametrize("size", [SMALL, LARGE, TINY], ids=["small", "large", "tiny"])
def test_a_value_is_typed_judged_and_saved(project: Path, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "epochs")
        await pilot.press("enter", "backspace", "0")
        await until(pilot, "greater than or equal")
        await pilot.press("backspace", "7")
        await until_true(pilot, lambda screen: "greater" not in screen)
        await pilot.press("enter")
        await until(pilot, "1 change not saved")
        await pilot.press("s")
        await until_true(pilot, lambda screen: "not saved" not in screen)

    before = text_of(project)
    drive(project, None, at_the_form(script), size)
    assert text_of(project) == before.replace("epochs = 2 ", "epochs = 7 ")


def test_what_is_wrong_is_not_saved(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "epochs")
        await pilot.press("enter", "backspace", "0", "enter")
        await until(pilot, "1 problem")
        await pilot.press("g", "s")
        await until(pilot, "Nothing was saved")
        assert current(pilot) == "optimizer.epochs"
        await pilot.press("u")
        await until_true(pilot, lambda screen: "1 problem" not in screen)

    before = text_of(project)
    drive(project, None, at_the_form(script))
    assert text_of(project) == before


def test_choices_switches_defaults_and_undo(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "review")
        await pilot.press("space")
        await until(pilot, "◂ after ▸")
        await pilot.press("left")
        await until(pilot, "saved")
        await go_to(pilot, "validate_rules")
        await pilot.press("space")
        await until(pilot, "◂ no ▸")
        await go_to(pilot, "epochs")
        await pilot.press("d")
        screen = await until(pilot, "2 changes not saved")
        assert "in the file" in screen
        await pilot.press("Z")
        await until(pilot, "Undo 2 changes?")
        await pilot.press("escape")
        await until(pilot, "2 changes not saved")
        await pilot.press("Z", "Z")
        await until_true(pilot, lambda screen: "not saved" not in screen)

    drive(project, None, at_the_form(script))


def test_a_text_of_several_lines(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "instructions")
        await pilot.press("enter", "enter", "T", "w", "i", "c", "e", "ctrl+s")
        await until(pilot, "1 change not saved")
        await pilot.press("s")
        await until_true(pilot, lambda screen: "not saved" not in screen)

    drive(project, None, at_the_form(script))
    assert 'instructions = """\nRoute the ticket.\nTwice"""' in text_of(project)


def test_escape_leaves_an_editor_and_asks_about_changes(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "epochs")
        await pilot.press("enter", "5", "escape")
        await until_true(pilot, lambda screen: "25" not in screen)
        await pilot.press("enter", "5", "enter", "escape")
        await until(pilot, "Changes are not saved")
        await pilot.press("escape")
        await until(pilot, "1 change not saved")
        await pilot.press("escape", "d")
        await until(pilot, "No runs yet")

    before = text_of(project)
    drive(project, None, at_the_form(script))
    assert text_of(project) == before


def test_a_file_that_changes_on_the_disk_is_read_again(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "epochs")
        (project / "promptgrad.toml").write_text(text_of(project).replace("epochs = 2", "epochs = 9"))
        await until(pilot, "read again")
        await until(pilot, " 9")

    drive(project, None, at_the_form(script))


def test_a_change_on_the_disk_is_never_overwritten(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "epochs")
        await pilot.press("enter", "backspace", "6", "enter")
        (project / "promptgrad.toml").write_text(text_of(project) + "seed = 5\n")
        await until(pilot, "changed on disk")
        await pilot.press("s")
        await until(pilot, "The file has changed")
        assert "epochs = 2" in text_of(project)
        await pilot.press("k")
        await until_true(pilot, lambda screen: "changed on disk" not in screen)
        await pilot.press("s")
        await until_true(pilot, lambda screen: "not saved" not in screen)

    drive(project, None, at_the_form(script))
    assert "epochs = 6   # few\nseed = 5\n" in text_of(project)


def test_a_broken_file_shows_the_line_and_is_read_again_once_it_is_mended(tmp_path: Path) -> None:
    project = write_project(tmp_path / "desk", f"{TOML}[optimizer]\nepochs = \n")

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "isn't TOML")
        assert "epochs =" in screen
        assert f"line {TOML.count(chr(10)) + 2}" in screen
        assert "can't be read" in screen
        await pilot.press("s", "2", "Z")
        (project / "promptgrad.toml").write_text(TOML)
        await until(pilot, "[program]")

    drive(project, None, at_the_form(script))


def test_the_demo_project_is_checked_and_its_cost_is_a_range(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        screen = await until(pilot, "20 examples, train.jsonl")
        assert "20 train, 20 validation, 20 test" in screen
        await pilot.press("4")
        screen = await until(pilot, "at least")
        assert "b measures" in screen
        before = calls_of(seen(pilot))
        await pilot.press("1")
        await go_to(pilot, "epochs")
        await pilot.press("enter", "backspace", "9", "enter", "4")
        await until_true(pilot, lambda screen: "at least" in screen and calls_of(screen) != before)

    drive(project, None, at_the_form(script), LARGE)


def calls_of(screen: str) -> str:
    return next(row for row in screen.splitlines() if " calls " in row and " to " in row)


def test_what_is_wrong_with_the_data_leads_to_the_field(project: Path) -> None:
    (project / "test.jsonl").write_text((project / "train.jsonl").read_text())

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, "The data could not be read.")
        await pilot.press("enter")
        await until_true(pilot, lambda _: current(pilot).startswith("data."), "a field of [data]")

    drive(project, None, at_the_form(script), LARGE)


def test_a_model_is_picked(project: Path) -> None:
    (project / "promptgrad.toml").write_text(text_of(project).replace('"demo"', '"gguf:gone.gguf"  # mine'))

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("3")
        await until(pilot, 'task = "demo"')
        await pilot.press("enter")
        await until(pilot, "● task")
        await pilot.press("s")
        await until_true(pilot, lambda screen: "not saved" not in screen)

    drive(project, None, at_the_form(script), LARGE)
    assert re.search(r'\ntask = "demo" +# mine\n', text_of(project))


def test_a_run_is_started_with_what_was_saved(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await go_to(pilot, "epochs")
        await pilot.press("enter", "backspace", "1", "enter", "r")
        await until(pilot, "Start a run of")
        await until(pilot, " calls, ")
        await pilot.press("S")
        await until_true(pilot, lambda _: isinstance(pilot.app.screen, RunScreen), "the run")
        session = pilot.app.screen.session  # type: ignore[attr-defined]
        session.worker.kill()
        session.worker.wait()

    drive(project, None, at_the_form(script))
    assert "epochs = 1   # few" in text_of(project)


def test_a_measurement_is_not_lost_by_a_save(tmp_path: Path) -> None:
    goes_on = threading.Event()

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("b")
        await until(pilot, "Measuring")
        await until_true(pilot, lambda screen: "b Benchmark" not in screen, "the end of the key")
        await go_to(pilot, "epochs")
        await pilot.press("enter", "backspace", "7", "enter", "s")
        await until(pilot, "Saved.")
        goes_on.set()
        await pilot.press("4")
        await until(pilot, "answer tokens/s in")
        await until(pilot, "b Benchmark")

    with desk_server() as server:
        answer = server.desk.answer

        def later(messages: Any) -> str:
            assert goes_on.wait(PATIENCE_SECONDS)
            return answer(messages)

        server.desk.answer = later  # type: ignore[method-assign]
        project = write_project(tmp_path / "desk", TOML.replace('"demo"', f'"{server.uri}"'))
        drive(project, None, at_the_form(script), LARGE)
    assert "epochs = 7" in text_of(project)


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    name, key = json.dumps(HOSTILE), json.dumps(f"k{HOSTILE}")
    project = write_project(tmp_path / "desk", f"name = {name}\n{key} = 1\n{TOML}")

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "␛[31m[red]<U+202E>gnp.exe")
        await pilot.press("down", "enter")
        await until(pilot, "can't be edited here")
        await pilot.press("right_square_bracket", "up")
        screen = await until(pilot, "is unknown")
        assert "\x1b" not in screen
        assert "\u202e" not in screen

    drive(project, None, at_the_form(script), LARGE)


def test_without_a_terminal_to_lend_the_editor_is_an_error_with_a_way_out(project: Path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("E")
        await until(pilot, "can't be lent to an editor")

    drive(project, None, at_the_form(script))
