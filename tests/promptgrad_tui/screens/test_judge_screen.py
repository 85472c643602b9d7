"""Grading answers on the full screen, with the real child process that asks the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.project.judge_labels import Label, load_labels, save_labels
from promptgrad_tui.work.judge.grading import GradedAnswer, Grading, GradingTask
from tests.promptgrad_tui.commands.test_judge import JudgingDesk, judged_project
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.screens.driving import LARGE, SMALL, drive, seen, until, until_told

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])


@pytest.fixture
def server():
    with desk_server(JudgingDesk()) as running:
        yield running


async def begin(pilot: Pilot[int]) -> None:
    await pilot.press("Y")
    await until(pilot, "Grade answers?")
    await pilot.press("a")


def answer_shown(screen: str) -> str:
    found = re.search(r"Case (\d+)", screen)
    assert found, screen
    return found[1]


@SIZES
def test_grades_are_kept_at_once_taken_back_and_taken_up_again(server, tmp_path, size) -> None:
    project = judged_project(tmp_path, server.uri)
    asked: list[str] = []

    async def first(pilot: Pilot[int]) -> None:
        await until(pilot, "New")
        await begin(pilot)
        screen = await until(pilot, "answer 1 of 40")
        assert "Is it good? y or n" in screen
        assert "names the right queue" in screen
        asked.append(answer_shown(screen))
        await pilot.press("y")
        screen = seen(pilot)
        assert "answer 2 of 40" in screen
        assert "1 graded" in screen
        assert [label.grade for label in load_labels(project)] == [1]
        asked.append(answer_shown(screen))
        await pilot.press("n", "u")
        assert "answer 2 of 40" in seen(pilot)
        assert answer_shown(seen(pilot)) == asked[1]
        assert [label.grade for label in load_labels(project)] == [1]
        await pilot.press("s", "n", "5")
        assert "answer 4 of 40" in seen(pilot)
        assert [label.grade for label in load_labels(project)] == [1, 0]

    drive(project, None, first, size)
    calls = server.calls

    async def again(pilot: Pilot[int]) -> None:
        await until(pilot, "New")
        await begin(pilot)
        screen = await until(pilot, "answer 1 of 38")
        assert "2 graded" in screen
        assert answer_shown(screen) == asked[1], "what was skipped is asked about again"

    drive(project, None, again, size)
    assert server.calls == calls, "answers that the journal knows cost nothing"


def test_a_scale_has_its_own_keys_and_the_end_says_what_to_do(server, tmp_path) -> None:
    project = judged_project(tmp_path, server.uri)
    file = project / "promptgrad.toml"
    file.write_text(file.read_text().replace('criteria = ["names', 'scale = [1, 3]\ncriteria = ["names'))
    task = GradingTask.from_json(result(promptgrad("-C", project, "judge", "answers", "--json")))
    assert (len(task.answers), task.keys) == (40, ["1", "2", "3"])
    labels = [Label(example=one.example, answer=one.answer, grade=0, grades=3) for one in task.answers[:-2]]
    save_labels(project, labels)

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "New")
        await begin(pilot)
        assert "How good is it? 1 to 3" in await until(pilot, "answer 1 of 2")
        await pilot.press("y", "4", "3", "1")
        await until_told(pilot, "40 answers have a grade. Measure the judge by them: promptgrad judge check")

    drive(project, None, script)
    assert [label.grade for label in load_labels(project)][-2:] == [2, 0]


def test_the_checks_of_a_criterion_stand_behind_it(server, tmp_path) -> None:
    project = judged_project(tmp_path, server.uri)
    file = project / "promptgrad.toml"
    checked = 'criteria = [{ text = "names the right queue", contains = "e", max_words = 40 }]'
    file.write_text(file.read_text().replace('criteria = ["names the right queue"]', checked))

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "New")
        await begin(pilot)
        screen = await until(pilot, "answer 1 of 40")
        assert 'names the right queue (contains "e"; at most 40 words)' in screen

    drive(project, None, script)


def test_a_project_without_a_judge_says_so(server, tmp_path) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "New")
        await pilot.press("Y")
        screen = await until(pilot, "The project's metric asks no judge.")
        assert "Grade answers?" not in screen, "there is nothing to ask about"
        await pilot.press("escape")
        assert "New" in seen(pilot)

    drive(write_project(tmp_path, server.uri), None, script)


def test_an_error_leaves_no_empty_screen_behind(server, tmp_path) -> None:
    project = judged_project(tmp_path, server.uri)
    (project / "data" / "train.jsonl").write_text("not JSON\n")

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "New")
        await begin(pilot)
        await until(pilot, "That didn't work")
        await pilot.press("escape")
        assert "New" in seen(pilot)

    drive(project, None, script)


def graded(folder: Path, *answers: str) -> Grading:
    return Grading(folder, GradingTask([GradedAnswer(one, one, {"q": one}, one) for one in answers]))


def test_undo_goes_back_over_a_skipped_answer(tmp_path: Path) -> None:
    grading = graded(tmp_path, "a", "b", "c")
    grading.grade("y")
    grading.skip()
    assert grading.current is not None
    assert (grading.current.name, grading.place) == ("c", "3 of 3")
    grading.undo()
    assert grading.current.name == "b"
    assert [label.grade for label in load_labels(tmp_path)] == [1]
    grading.undo()
    assert (grading.current.name, load_labels(tmp_path), grading.can_undo) == ("a", [], False)
    grading.undo()
    assert grading.current.name == "a"


def test_answers_are_graded_again_where_the_scale_has_changed(tmp_path: Path) -> None:
    first = graded(tmp_path, "a", "b")
    first.grade("y")
    first.grade("n")
    again = Grading(tmp_path, GradingTask(first.task.answers, scale=(1, 3)))
    assert (again.place, again.graded) == ("1 of 2", 0)
    again.grade("3")
    assert again.graded == 1
    assert [(label.grade, label.grades) for label in load_labels(tmp_path)] == [(2, 3), (0, 2)]
    again.undo()
    assert [(label.grade, label.grades) for label in load_labels(tmp_path)] == [(1, 2), (0, 2)]


def test_a_task_survives_being_written() -> None:
    task = GradingTask(
        [GradedAnswer("k", "n", {"q": "x"}, "a", "r")], ["is short"], (1, 5), is_compared=False
    )
    assert GradingTask.from_json(task.as_json()) == task
    assert GradingTask([], is_compared=True).question.startswith("Is it at least as good")
