"""`promptgrad compare` on runs and artifacts that the engine made, with the desk as the model."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.journal.events import TestOpened
from engine.journal.journal import Journal, journal_path
from tests.engine.desk import POLICY, Desk
from tests.promptgrad_tui.desk_project import promptgrad, result
from tests.promptgrad_tui.report.runs import HOSTILE, reported, spoiling


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A project with two runs: of the four rules that each found, two are in both."""
    root = tmp_path_factory.mktemp("desk")
    first = reported(root, desk=spoiling()).record.id
    rules = [{"text": f"Tickets that mention {p} go to {POLICY[p]}.", "trigger": p} for p in list(POLICY)[2:]]
    return root, first, reported(root, desk=Desk(proposals=rules), seed=5).record.id


def compared(root: Path, *arguments: Any) -> dict[str, Any]:
    return result(promptgrad("-C", root, "compare", *arguments, "--json"))


def artifact(root: Path, run: str) -> Path:
    with Journal.open(journal_path(root), read_only=True) as journal:
        summary = journal.run(run).summary
    assert summary is not None
    path = summary.artifact or summary.withheld
    assert path is not None
    return Path(path)


def outcome(example: dict[str, Any]) -> str:
    right = example["fields"]["queue"]
    before, after = (example[side]["prediction"]["queue"] == right for side in ("before", "after"))
    return {(0, 1): "fixed", (1, 0): "broken", (0, 0): "failing", (1, 1): "same"}[before, after]


def test_a_run_against_its_baseline(made: tuple[Path, str, str]) -> None:
    root, first, _ = made
    told = compared(root, "baseline", first)
    examples = told["examples"]
    assert [example["name"] for example in examples] == [f"3-{n}" for n in range(40)]
    assert Counter(map(outcome, examples)) == Counter(told["counts"])
    assert all(told["counts"].values()), "the desk makes all four"
    assert {example["change"] == outcome(example) for example in examples} == {True}
    test = told["scores"]["test"]
    assert test["gain"]["score"] == pytest.approx(test["after"]["score"] - test["before"]["score"])
    assert test["gain"]["n"] == 40
    assert test["gain"]["low"] < test["gain"]["score"] < test["gain"]["high"]
    assert sum(scores["gain"]["n"] for scores in told["slices"].values()) == 40
    assert told["rules"]["removed"] == []
    for rule in told["rules"]["added"]:
        assert rule["text"] in told["prompts"]["self"]["after"]
        assert rule["text"] not in told["prompts"]["self"]["before"]


def test_two_runs_and_the_same_the_other_way_round(made: tuple[Path, str, str]) -> None:
    root, first, second = made
    told, turned = compared(root, first, second), compared(root, second, "last")
    assert turned["counts"]["fixed"] == turned["counts"]["broken"] == 0, "a run against itself"
    turned = compared(root, second, first)
    assert (told["counts"]["fixed"], told["counts"]["broken"]) == (
        turned["counts"]["broken"],
        turned["counts"]["fixed"],
    )
    assert told["scores"]["test"]["gain"]["score"] == -turned["scores"]["test"]["gain"]["score"]
    assert told["rules"]["added"] == turned["rules"]["removed"] != []
    known = len(told["rules"]["added"]) + told["rules"]["kept"]
    assert known == told["after"]["rules"]


def test_lines_hold_the_same(made: tuple[Path, str, str]) -> None:
    root, first, _ = made
    told = compared(root, "baseline", first)
    text = promptgrad("-C", root, "compare", "baseline", first).stdout
    gain = told["scores"]["test"]["gain"]
    assert f"{gain['score']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" in text
    assert "on 40 examples, better." in text
    counts = told["counts"]
    assert f"{counts['fixed']} fixed, {counts['broken']} broken, {counts['failing']} failing" in text
    for rule in told["rules"]["added"]:
        assert f"  + {rule['text']}" in text
        assert f"  + - {rule['text']}" in text, "the prompt's diff"
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("show", ["fixed", "broken", "failing", "same", "all", None])
def test_show_chooses_the_examples(made: tuple[Path, str, str], show: str | None) -> None:
    root, first, _ = made
    told = compared(root, "baseline", first)
    wanted = {"fixed", "broken"} if show is None else set(told["counts"]) if show == "all" else {show}
    option = ("--show", show) if show else ()
    text = promptgrad("-C", root, "compare", "baseline", first, *option).stdout
    lines = re.findall(r"^  slice +(?:chat|<i>mail</i>)$", text, re.MULTILINE)
    assert len(lines) == sum(told["counts"][name] for name in wanted)
    assert ("more examples not shown" in text) == (show != "all")
    if show is not None:
        chosen = compared(root, "baseline", first, "--show", show)["examples"]
        assert {example["change"] for example in chosen} == wanted


def test_an_artifact_and_its_run_are_the_same(made: tuple[Path, str, str]) -> None:
    root, first, _ = made
    told = compared(root, first, artifact(root, first))
    assert told["counts"] == compared(root, first, first)["counts"]
    assert told["rules"]["added"] == told["rules"]["removed"] == []
    assert all(example["after"]["is_kept"] for example in told["examples"])
    assert told["notes"] == []


def test_of_an_artifact_from_elsewhere_the_scores_are_compared(
    made: tuple[Path, str, str], tmp_path: Path
) -> None:
    root, first, second = made
    paths = [artifact(root, run).relative_to(root) for run in (first, second)]
    expected = compared(root, *paths)
    shutil.copytree(root, tmp_path / "copy", ignore=shutil.ignore_patterns(".promptgrad"))
    told = compared(tmp_path / "copy", *paths)
    for part in ("counts", "scores", "rules", "prompts"):
        known = {**expected[part], "validation": None} if part == "scores" else expected[part]
        assert ({**told[part], "validation": None} if part == "scores" else told[part]) == known
    assert not any(example["after"]["is_kept"] for example in told["examples"])
    assert "its scores alone are known" in told["notes"][0]
    text = promptgrad("-C", tmp_path / "copy", "compare", *paths).stdout
    assert "only the score was kept" in text
    base = compared(tmp_path / "copy", "baseline", paths[0])
    assert base["counts"] == compared(root, "baseline", first)["counts"]
    assert "counts as right where its score is 1" in base["notes"][0]


def test_nothing_is_run_and_the_test_split_stays_closed(made: tuple[Path, str, str], tmp_path: Path) -> None:
    root, first, second = made
    copy = shutil.copytree(root, tmp_path / "copy")
    project = copy / "promptgrad.toml"
    project.write_text(project.read_text().replace('task = "demo"', 'task = "gguf:gone.gguf"'))

    def rows() -> list[int]:
        with Journal.open(journal_path(copy), read_only=True) as journal:
            openings = len(journal.events_of_all_runs(TestOpened))
            return [openings, *(len(journal.events(run)) for run in (first, second))]

    before = rows()
    assert compared(copy, first, second)["counts"] == compared(root, first, second)["counts"]
    assert rows() == before


def test_examples_that_changed_in_between_are_not_paired(tmp_path: Path) -> None:
    first = reported(tmp_path, test=40).record.id
    second = reported(tmp_path, test=30).record.id
    told = compared(tmp_path, first, second)
    assert told["scores"]["test"]["gain"]["n"] == 30
    assert told["scores"]["test"]["before"]["n"] == 40
    assert any("test split has changed" in note for note in told["notes"])
    text = promptgrad("-C", tmp_path, "compare", first, second).stdout
    assert "on 30 examples of both" in " ".join(text.split())


def test_without_a_test_split_validation_is_compared(tmp_path: Path) -> None:
    run = reported(tmp_path, test=0).record.id
    told = compared(tmp_path, "baseline", run)
    assert told["split"] == "validation"
    scores = told["scores"]["validation"]
    assert scores["gain"]["score"] == pytest.approx(scores["after"]["score"] - scores["before"]["score"])
    assert told["scores"]["test"] == {"before": None, "after": None, "gain": None}


def test_conditional_rules_are_compared_as_each_input_met_them(tmp_path: Path) -> None:
    run = reported(tmp_path, conditional=True).record.id
    told = compared(tmp_path, "baseline", run)
    known = {rule["trigger"] for rule in told["rules"]["added"]}
    assert len(told["examples"]) == 40
    for example in told["examples"]:
        phrase = next((word for word in POLICY if word in example["fields"]["ticket"]), None)
        expected = "same" if phrase is None else "fixed" if phrase in known else "failing"
        assert example["change"] == expected


def test_a_run_that_has_scored_nothing_is_told(made: tuple[Path, str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(made[0], tmp_path / "copy")
    with Journal.open(journal_path(copy)) as journal:
        begun = journal.create_run(copy).id
    done = promptgrad("-C", copy, "compare", made[1], begun)
    assert done.returncode == 0
    assert f"! Run {begun} has scored nothing to the end." in done.stdout
    assert "! No example was answered by both: there is nothing to pair." in done.stdout


def test_text_of_data_is_shown_and_not_obeyed(made: tuple[Path, str, str]) -> None:
    text = promptgrad("-C", made[0], "compare", "baseline", made[1], "--show", "all").stdout
    assert "\u202e" in HOSTILE
    assert "\u202e" not in text
    assert "<U+202E>" in text


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("baseline", "baseline"), "A baseline has nothing to be compared with."),
        (("nobody", "last"), "there is no run 'nobody'"),
        (("artifacts", "last"), "manifest.json is missing"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    made: tuple[Path, str, str], names: tuple[str, str], problem: str
) -> None:
    done = promptgrad("-C", made[0], "compare", *names)
    assert done.returncode != 0
    assert done.stdout == ""
    assert problem in " ".join(done.stderr.split())
    assert "hint:" in done.stderr


def test_json_is_one_object_of_plain_values(made: tuple[Path, str, str]) -> None:
    done = promptgrad("-C", made[0], "compare", "baseline", "last", "--json")
    assert set(json.loads(done.stdout)) == {
        *("before", "after", "notes", "scores", "metrics", "slices", "rules", "demonstrations", "prompts"),
        *("split", "counts", "examples"),
    }
