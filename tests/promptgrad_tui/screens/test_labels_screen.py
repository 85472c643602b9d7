"""The list of doubted labels on the full screen: opened, corrected, excluded, and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.learning_events import DoubtedLabel, LabelsDoubted
from engine.project.data import load_split
from engine.project.settings import load_project
from promptgrad_tui.screens.run import labels_screen
from promptgrad_tui.screens.run.labels_screen import LabelsScreen
from tests.promptgrad_tui.queue_desk import QUEUES
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

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
VALIDATION = Path("data", "validation.jsonl")
LINES = (3, 7)


def other_than(queue: str) -> str:
    return QUEUES[(QUEUES.index(queue) + 1) % len(QUEUES)]


@pytest.fixture
def doubting(tmp_path: Path) -> RecordedRun:
    """A recorded run that doubts the labels of two lines, one with a probability."""
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    examples = load_split(load_project(recorded.folder), str(VALIDATION))
    labels = [
        DoubtedLabel(
            example=example.key,
            inputs="i",
            split="validation",
            file=str(VALIDATION),
            line=line,
            field="queue",
            expected=example.values["queue"],
            answer=other_than(example.values["queue"]),
            versions=4,
            alike=3,
            probability=0.97 if line == LINES[0] else None,
        )
        for line in LINES
        for example in examples
        if example.line == line
    ]
    recorded.journal.append(recorded.run, LabelsDoubted(id="labels", examples=tuple(labels)))
    return recorded


def contents(recorded: RecordedRun) -> tuple[bytes, bytes]:
    """The bytes of the data file and of the project file."""
    folder = recorded.folder
    return (folder / VALIDATION).read_bytes(), (folder / "promptgrad.toml").read_bytes()


def corrected(data: bytes, line: int, queue: str) -> bytes:
    """The data file with another queue on a line, and nothing else changed."""
    rows = data.split(b"\n")
    row = json.loads(rows[line - 1])
    was = json.dumps({"queue": row["queue"]})[1:-1].encode()
    assert rows[line - 1].count(was) == 1
    rows[line - 1] = rows[line - 1].replace(was, json.dumps({"queue": queue})[1:-1].encode())
    return b"\n".join(rows)


def queue_of(data: bytes, line: int) -> str:
    return str(json.loads(data.split(b"\n")[line - 1])["queue"])


async def opened(pilot: Pilot[int]) -> str:
    await until(pilot, "improved")
    await pilot.press("W")
    return await until(pilot, "2 open")


@SIZES
def test_a_label_is_corrected_after_a_question_and_taken_back(doubting: RecordedRun, size) -> None:
    data, toml = contents(doubting)
    was = queue_of(data, LINES[0])
    answer = other_than(was)

    async def script(pilot: Pilot[int]) -> None:
        screen = await opened(pilot)
        assert "validation.jsonl:3" in screen
        row = next(line for line in screen.split("\n") if "validation.jsonl:3" in line)
        assert [word for word in row.split() if word in (was, answer)][-2:] == [was, answer]
        assert "0.97" in row
        assert "3/4" in row
        assert str(json.loads(data.split(b"\n")[2])["ticket"])[:30] in " ".join(screen.split())
        await pilot.press("C")
        asked = await until_told(pilot, "Correct the label?")
        assert "Before:" in asked
        assert f'"queue": "{was}"' in asked.split("Before:")[1].split("After:")[0]
        assert f'"queue": "{answer}"' in asked.split("After:")[1]
        await pilot.press("escape")
        assert contents(doubting) == (data, toml), "nothing is written before the answer"
        await pilot.press("C")
        await until_told(pilot, "Correct the label?")
        await pilot.press("C")
        screen = await until(pilot, "1 open")
        assert f"\u2192 {answer}" in next(line for line in screen.split("\n") if "validation.jsonl:3" in line)
        assert contents(doubting) == (corrected(data, LINES[0], answer), toml)
        await pilot.press("C")
        assert "Correct the label?" not in seen(pilot), "what is decided isn't asked about again"
        await pilot.press("u")
        await until(pilot, "2 open")
        assert contents(doubting) == (data, toml)

    drive(doubting.folder, doubting.run, script, size)


def test_another_label_is_typed_and_a_later_sitting_takes_it_back(doubting: RecordedRun) -> None:
    data, toml = contents(doubting)

    async def first(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("j", "C")
        await until_told(pilot, "Correct the label?")
        await pilot.press("t")
        await until(pilot, "queue:")
        await pilot.press("ctrl+u", *"lost", "enter")
        assert '"queue": "lost"' in await until_told(pilot, "Correct the label?")
        await pilot.press("C")
        await until(pilot, "1 open")

    drive(doubting.folder, doubting.run, first)
    assert contents(doubting) == (corrected(data, LINES[1], "lost"), toml)

    async def later(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press("W")
        screen = await until(pilot, "1 open")
        assert "\u2192 lost" in screen
        await pilot.press("u")
        assert contents(doubting)[0] != data, "the first row was never decided"
        await pilot.press("j", "u")
        await until(pilot, "2 open")

    drive(doubting.folder, doubting.run, later)
    assert contents(doubting) == (data, toml)


@SIZES
def test_an_example_is_excluded_after_a_question_and_taken_back(doubting: RecordedRun, size) -> None:
    data, toml = contents(doubting)
    key = next(
        example.key
        for example in load_split(load_project(doubting.folder), str(VALIDATION))
        if example.line == LINES[0]
    )

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("d")
        assert key in await until_told(pilot, "Exclude the example?")
        await pilot.press("d")
        assert "excluded" in await until(pilot, "1 open")
        assert load_project(doubting.folder).data.exclude == (key,)
        assert b"# data/validation.jsonl, line 3" in contents(doubting)[1]
        assert contents(doubting)[0] == data
        await pilot.press("u")
        await until(pilot, "2 open")
        assert contents(doubting) == (data, toml)

    drive(doubting.folder, doubting.run, script, size)


def test_undo_goes_back_in_turn_and_keeps_what_was_changed_meanwhile(doubting: RecordedRun) -> None:
    data, toml = contents(doubting)
    file = doubting.folder / VALIDATION

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("C")
        await until_told(pilot, "Correct the label?")
        await pilot.press("C")
        await until(pilot, "1 open")
        await pilot.press("j", "d")
        await until_told(pilot, "Exclude the example?")
        await pilot.press("d")
        await until(pilot, "0 open")
        await pilot.press("g", "u")
        await until(pilot, "1 open")
        assert contents(doubting)[1] == toml, "the exclusion was the last decision"
        more = json.dumps({"ticket": "one more", "queue": "billing"}).encode()
        file.write_bytes(file.read_bytes() + b"\n" + more + b"\n")
        await pilot.press("u")
        await until(pilot, "2 open")
        assert contents(doubting) == (data + b"\n" + more + b"\n", toml)

    drive(doubting.folder, doubting.run, script)


def test_enter_opens_the_file_at_the_line_and_the_list_is_read_again(
    doubting: RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = contents(doubting)
    calls: list[tuple[Path, int]] = []

    def edit(app: object, file: Path, line: int = 0) -> bool:
        calls.append((file, line))
        file.write_bytes(corrected(file.read_bytes(), line, "mine"))
        return True

    monkeypatch.setattr(labels_screen, "edit_outside", edit)

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("enter")
        assert "\u2192 mine" in await until(pilot, "1 open")
        await pilot.press("j", "E")
        await until(pilot, "0 open")

    drive(doubting.folder, doubting.run, script)
    assert [(file.resolve(), line) for file, line in calls] == [
        ((doubting.folder / VALIDATION).resolve(), line) for line in LINES
    ]
    assert contents(doubting)[0] == corrected(corrected(data, LINES[0], "mine"), LINES[1], "mine")


@SIZES
def test_an_empty_list_says_what_it_would_show(tmp_path: Path, size) -> None:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("W")
        text = await until_told(pilot, "No label is probably wrong.")
        assert "every version of the program answered wrong" in text
        await pilot.press("C", "d", "u", "enter")
        assert isinstance(pilot.app.screen, LabelsScreen)
        await pilot.press("escape")
        await until(pilot, "1 run")

    drive(recorded.folder, None, script, size)


def test_what_cannot_be_read_or_written_is_told_in_a_panel(doubting: RecordedRun) -> None:
    data, toml = contents(doubting)
    file = doubting.folder / VALIDATION

    async def script(pilot: Pilot[int]) -> None:
        await opened(pilot)
        await pilot.press("C")
        await until_told(pilot, "Correct the label?")
        file.write_bytes(data + b"\n")
        await pilot.press("C")
        await until_told(pilot, "has been changed meanwhile: nothing was written")
        await pilot.press("escape")
        assert file.read_bytes() == data + b"\n"
        await pilot.press("escape")
        (doubting.folder / "promptgrad.toml").write_text("[data")
        await until_true(pilot, lambda _: not isinstance(pilot.app.screen, LabelsScreen))
        await pilot.press("W")
        await until(pilot, "That didn't work")
        await pilot.press("escape")
        assert "The list can't be read at the moment." in told(pilot)
        (doubting.folder / "promptgrad.toml").write_bytes(toml)
        await pilot.press("escape", "W")
        await until(pilot, "2 open")

    drive(doubting.folder, doubting.run, script)
