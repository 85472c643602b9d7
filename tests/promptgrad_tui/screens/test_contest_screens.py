"""A contest on the screens: its methods, what they made, and what is tried and compared of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine.ground.interval import Interval
from engine.journal.contest_events import LaneFinished
from promptgrad_tui.screens.live.project_runs import read_runs
from promptgrad_tui.screens.run.panes.lanes import score_lines
from promptgrad_tui.screens.run.screen import RunScreen
from promptgrad_tui.screens.trying.source import source_of_project, source_of_session
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.screens.driving import SMALL, drive, seen, until, until_true

CONTEST = ("--with", "labeled_few_shot,ape", "--calls", "40", "--seeds", "1", "--quiet", "--json")


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    root = tmp_path_factory.mktemp("contest")
    with desk_server() as server:
        done = promptgrad("contest", write_project(root, server.uri), *CONTEST)
        assert done.returncode == 0, done.stderr
        yield root, result(done)


def test_its_methods_stand_where_other_runs_have_batches(contest: tuple[Path, dict[str, Any]]) -> None:
    root, told = contest

    async def script(pilot: Pilot[int]) -> None:
        screen = await until(pilot, "1 Methods 2/2")
        assert "batch" not in screen.lower()
        assert "Review" not in screen, "a contest has no rules of its own"
        score = told["contest"]["standings"][0]["validation"]["score"]
        assert any(
            row.startswith("│ labeled_few_shot") and f"{score:.3f} [" in row for row in screen.split("\n")
        )
        await pilot.press("g", "enter")
        screen = await until(pilot, "labeled_few_shot, seed 1")
        assert "0 rules, 12 demonstrations" in screen
        await pilot.press("escape", "3")
        await until(pilot, "1 shows its methods")
        await pilot.press("4")
        await until_true(
            pilot,
            lambda screen: any("v1" in row and "labeled_few_shot" in row for row in screen.split("\n")),
            "which method made the artifact",
        )

    drive(root, told["run"], script, SMALL)


def test_their_scores_are_bars_beside_the_baseline(contest: tuple[Path, dict[str, Any]]) -> None:
    root, told = contest
    first = told["contest"]["standings"][0]

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 Methods 2/2")
        await pilot.press("5")
        screen = await until(pilot, "5 Validation score by method")
        [bar] = [row for row in screen.split("\n") if "seed 1" in row]
        assert f"{first['method']}, seed 1" in bar
        assert f" {first['validation']['score']:.3f} " in bar
        assert "\u25cf" in bar

    drive(root, told["run"], script, SMALL)


def test_the_best_score_stands_above_and_all_have_the_baseline_at_the_same_place() -> None:
    def lane(method: str, score: float) -> LaneFinished:
        validation = Interval(score=score, n=60, low=score - 0.1, high=score + 0.1)
        return LaneFinished(
            id=method, lane=method, method=method, number=1, seed=1, calls=9, validation=validation
        )

    baseline = Interval(score=0.45, n=60, low=0.3, high=0.6)
    drawn = score_lines([lane("ape", 0.5), lane("promptgrad", 0.9)], baseline, 78)
    first, second, scale = ("".join(text for text, _ in line) for line in drawn)
    assert first.startswith(" promptgrad, seed 1 0.900 ")
    assert second.startswith(" ape, seed 1        0.500 ")
    assert first.index("\u250a") == second.index("\u253f")
    assert scale.endswith("1")
    assert len(scale) == len(first) == 78


def test_its_winner_is_tried(contest: tuple[Path, dict[str, Any]]) -> None:
    root, told = contest
    [run] = read_runs(root)
    source = source_of_project(root, run)
    saved = told["artifact"] or told["withheld"]
    assert (str(source.artifact), source.title) == (saved, f"run {run.id}, labeled_few_shot")

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 Methods 2/2")
        assert isinstance(pilot.app.screen, RunScreen)
        assert source_of_session(pilot.app.screen.session) == source

    drive(root, told["run"], script, SMALL)


def test_it_is_compared_as_its_winner(contest: tuple[Path, dict[str, Any]]) -> None:
    root, told = contest

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "1 Methods 2/2")
        await pilot.press("c")
        screen = await until(pilot, "without rules")
        assert "labeled_few_shot: " in screen
        await pilot.press("enter")
        gain = told["contest"]["standings"][0]["gain"]["score"]
        await until(pilot, f"Test: {gain:+.3f}")
        assert ", labeled_few_shot" in seen(pilot).split("\n")[0], "the end of a title is what counts"

    drive(root, told["run"], script, SMALL)
