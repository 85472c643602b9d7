"""`promptgrad compress` on an artifact with demonstrations that the desk doesn't read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.release.manifest import load_manifest
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import DeskServer, desk_server
from tests.promptgrad_tui.screens.driving import SMALL, drive, until

LEVELS = ("--level", "demonstration,sentence")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, DeskServer]:
    root = tmp_path_factory.mktemp("compress")
    with desk_server() as server:
        done = promptgrad("run", write_project(root, server.uri), "--base", "labeled_few_shot", "--json")
        yield root, result(done)["artifact"], server


def test_a_shorter_artifact_is_saved_and_served(made: tuple[Path, str, DeskServer]) -> None:
    root, artifact, server = made
    done = promptgrad("-C", root, "compress", artifact, *LEVELS, "--json")
    assert done.returncode == 0, done.stderr
    told = result(done)
    demonstrations, sentences = told["steps"]
    assert (demonstrations["left_out"], demonstrations["of"]) == (12, 12)
    assert sentences["left_out"] == 0, "each rule is needed"
    assert told["ratio"] < 0.6
    assert told["n"] == 30 + 30 - 12, "what the prompt shows isn't an example"
    before, after = load_manifest(artifact), load_manifest(told["saved"])
    assert after.rules == before.rules
    assert after.optimized.test == before.optimized.test
    assert after.details["compressed"]["ratio"] == told["ratio"]
    assert after.test_opening == before.test_opening + 1
    compared = result(promptgrad("-C", root, "compare", artifact, told["saved"], "--json"))
    assert (compared["counts"]["fixed"], compared["counts"]["broken"], compared["notes"]) == (0, 0, [])
    front = json.loads(promptgrad("-C", root, "pareto", artifact, told["saved"], "--json").stdout)
    short, long = sorted(front, key=lambda one: one["prompt_tokens"])
    assert short["prompt_tokens"] < 0.6 * long["prompt_tokens"]
    assert short["is_on_front"], "as good, and shorter"
    assert short["score"]["score"] >= long["score"]["score"]
    phrase = before.rules[0].trigger
    answers = [
        result(promptgrad("predict", one, "--input", f"ticket=my {phrase} is late", "--json"))
        for one in (artifact, told["saved"])
    ]
    assert answers[0] == answers[1]
    calls = server.calls
    again = promptgrad("-C", root, "compress", artifact, *LEVELS)
    assert server.calls == calls, "every answer is in the journal"
    assert "fewer prompt tokens" in again.stdout
    assert "12 of 12" in again.stdout
    assert Path(told["saved"]).name in again.stdout, "the same artifact, and not another version"


def test_lists_and_screens_say_which_artifact_is_the_shorter_one(made: tuple[Path, str, DeskServer]) -> None:
    root, artifact, _ = made
    ratio = result(promptgrad("-C", root, "compress", artifact, *LEVELS, "--json"))["ratio"]
    shorter = f"{1 - ratio:.0%} fewer tokens"
    assert promptgrad("-C", root, "matrix").stdout.count(shorter) == 1

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "4 Artifacts 2")
        await pilot.press("4", "end")
        screen = await until(pilot, shorter)
        assert "v2" in next(row for row in screen.split("\n") if shorter in row)
        await pilot.press("enter")
        await until(pilot, f"{shorter}, tested to lose no more than 0.0")
        await pilot.press("escape", "home", "c")
        await until(pilot, f"/v2 ({shorter})")

    drive(root, load_manifest(artifact).run, script, SMALL)


def test_tests_take_a_part_of_the_examples_and_say_what_they_take(made: tuple[Path, str, DeskServer]) -> None:
    root, artifact, _ = made
    done = promptgrad("-C", root, "compress", artifact, *LEVELS, "--examples", "20", "--json")
    told = result(done)
    assert told["n"] == 20
    demonstrations, sentences = told["steps"]
    assert (demonstrations["left_out"], demonstrations["tests"]) == (12, 1)
    most = 2 * sentences["of"] - 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Tests on 20 examples, most of which end early: at most 23 of demonstrations,")
    assert "31 of sentences" in lines[0], "of four rules, and of the demonstrations that are still there"
    assert lines[1] == "demonstration: test 1 of at most 23"
    assert lines[2] == f"sentence: test 1 of at most {most}"
    validation = load_manifest(told["saved"]).optimized.validation
    assert validation is not None
    assert validation.n == 30, "the artifact's score is of the whole split"


def test_the_frozen_base_is_shown_as_a_diff(made: tuple[Path, str, DeskServer]) -> None:
    root, artifact, _ = made
    text = promptgrad("-C", root, "compress", artifact, *LEVELS, "--base").stdout
    assert "Base instructions of self" in text
    assert "  - Route the ticket to a queue. When in doubt it is general." in text


def test_what_cannot_be_is_said(made: tuple[Path, str, DeskServer]) -> None:
    root, artifact, server = made
    calls = server.calls
    words = promptgrad("-C", root, "compress", artifact, "--level", "token")
    narrow = promptgrad("-C", root, "compress", artifact, *LEVELS, "--margin", "0.01")
    unknown = promptgrad("-C", root, "compress", artifact, "--level", "letters")
    assert [done.returncode for done in (words, narrow, unknown)] == [2, 2, 2]
    assert "log-probabilities" in words.stderr
    assert "can't be shown on 48 examples" in narrow.stderr
    assert "there is no level 'letters'; there are demonstration, sentence, token" in unknown.stderr
    assert server.calls == calls


def test_a_base_that_another_optimizer_made_is_measured_with_its_demonstrations(
    made: tuple[Path, str, DeskServer],
) -> None:
    root, artifact, server = made
    prompts = len(server.desk.prompts)
    new = root / "new.jsonl"
    new.write_text('{"ticket": "my sofa is late", "queue": "general"}\n')
    assert promptgrad("-C", root, "recheck", artifact, "--data", new).returncode == 0
    assert {len(messages) for messages in server.desk.prompts[prompts:]} == {2 + 2 * 12}
