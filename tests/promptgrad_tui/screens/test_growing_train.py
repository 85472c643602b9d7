"""An example that Try appends to train: the runs of before can still be reviewed and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.journal.events import ReviewApplied
from engine.journal.journal import Journal, journal_path
from engine.project.data import load_examples
from promptgrad_tui.work.trying.append import append_example
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.screens.driving import LARGE, drive, until, until_told, until_true

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("train", ["data/train-a.jsonl, data/train-b.jsonl", "data/train-*.jsonl"])
def test_a_run_is_resumed_after_an_example_was_appended_to_the_last_of_several_files(
    tmp_path: Path, train: str
) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri, epochs=1, batches_per_epoch=1)
        whole = tmp_path / "data" / "train.jsonl"
        first, last = tmp_path / "data" / "train-a.jsonl", tmp_path / "data" / "train-b.jsonl"
        lines = whole.read_text().splitlines(keepends=True)
        first.write_text("".join(lines[:15]))
        last.write_text("".join(lines[15:]))
        settings = tmp_path / "promptgrad.toml"
        settings.write_text(settings.read_text().replace("data/train.jsonl", train))
        stopped = result(promptgrad("run", tmp_path, "--json", "--max-calls", "92"))
        assert stopped["status"] == "budget"

        append_example(last, {"ticket": "My drone is lost.", "queue": "returns"})
        resumed = result(promptgrad("-C", tmp_path, "resume", "last", "--json", "--max-calls", "94"))
        assert resumed["status"] == "budget"

        first.write_text("".join(lines[1:15]))
        refused = promptgrad("-C", tmp_path, "resume", "last", "--quiet")
        assert "were changed, removed or moved" in " ".join(refused.stderr.split())


def test_a_review_is_applied_after_an_example_was_appended_and_not_after_one_was_changed(
    tmp_path: Path,
) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 run")
        await pilot.press("t")
        await until(pilot, "ready")
        await pilot.press(*"drone", "ctrl+s")
        await until(pilot, "Save as a training example")
        await pilot.press(*"returns", "ctrl+s", "ctrl+s")
        await until_true(pilot, lambda screen: "Save as a training" not in screen, "the form's end")
        await pilot.press("escape", "enter")
        await until(pilot, "v Review")
        await pilot.press("v", "d", "A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        await until(pilot, "1 settled")
        await pilot.press("escape")
        await until(pilot, "review 1 applied")
        # What a run has learned from can't be changed under it; the reason is told whole.
        train = tmp_path / "data" / "train.jsonl"
        _, *rest = train.read_text().splitlines(keepends=True)
        train.write_text("".join(rest))
        await pilot.press("v", "g", "a", "A")
        await until(pilot, "Apply the review?")
        await pilot.press("A")
        told = await until_told(pilot, "were changed, removed or moved")
        assert "Traceback" not in told
        assert "start a new run" in told

    with desk_server() as server:
        write_project(tmp_path, server.uri, epochs=1, batches_per_epoch=1)
        done = promptgrad("-C", tmp_path, "run", "--seed", "1", "--quiet")
        assert done.returncode in (0, 1), done.stderr
        before = len(load_examples(tmp_path / "data" / "train.jsonl"))
        drive(tmp_path, None, script, LARGE)
    assert len(load_examples(tmp_path / "data" / "train.jsonl")) == before
    with Journal.open(journal_path(tmp_path), read_only=True) as journal:
        (run,) = journal.runs()
        events = [event for _, event in journal.events(run.id)]
    assert sum(isinstance(event, ReviewApplied) for event in events) == 1
