"""The test split of a project that names none: the same examples in every run, whatever becomes of train."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.ground.examples import example_key, public_fields
from engine.journal.events import CarvedTest, Notice, RolloutFinished, RunStarted, TestOpened
from engine.journal.journal import Journal, journal_path
from engine.release.manifest import load_manifest
from tests.engine.desk import tickets
from tests.promptgrad_tui.desk_project import Done, last_events, promptgrad, result, write_project
from tests.promptgrad_tui.model_server import DeskServer, desk_server


@pytest.fixture(scope="module")
def server() -> Iterator[DeskServer]:
    with desk_server() as server:
        yield server


@pytest.fixture
def root(server: DeskServer, tmp_path: Path) -> Path:
    """A project without a test split that was run once."""
    write_project(tmp_path, server.uri, n=60, batches_per_epoch=1)
    replace_in_project(tmp_path, 'test = "data/test.jsonl"\n', "")
    run(tmp_path)
    return tmp_path


def run(root: Path) -> dict[str, Any]:
    done = promptgrad("run", root, "--json")
    assert done.returncode == 0, done.stderr
    return result(done)


def replace_in_project(root: Path, old: str, new: str) -> None:
    file = root / "promptgrad.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def artifact_of(root: Path) -> Path:
    [artifact] = root.glob("artifacts/*/*/v1")
    return artifact


def train(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "data/train.jsonl").read_text().splitlines()]


def write_train(root: Path, examples: list[dict[str, Any]]) -> None:
    (root / "data/train.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))


def started(root: Path) -> RunStarted:
    event = last_events(root)[0]
    assert isinstance(event, RunStarted)
    return event


def record(root: Path) -> CarvedTest:
    found = started(root).carved_test
    assert found is not None
    return found


def used(root: Path, split: str) -> set[str]:
    return {e.example for e in last_events(root) if isinstance(e, RolloutFinished) and e.split == split}


def notices(root: Path) -> list[str]:
    return [event.text for event in last_events(root) if isinstance(event, Notice)]


def checked(root: Path) -> list[tuple[str, str]]:
    told = result(promptgrad("-C", root, "check", "--no-model", "--json"))
    return [(finding["level"], finding["text"]) for finding in told["findings"]]


def test_a_test_split_stays_the_same_when_train_grows(root: Path) -> None:
    first, before, learned = record(root), started(root).data["test"], used(root, "train")
    assert (first.run, len(first.examples), before.n) == (started(root).run, 15, 15)
    assert notices(root) == []
    write_train(root, [*tickets(20, seed=9), *reversed(train(root))])

    told = f"test is the split of 15 examples that run {first.run} took out of train"
    assert any(level == "ok" and told in text for level, text in checked(root))
    summary = run(root)
    assert record(root) == first
    assert started(root).data["test"] == before
    assert started(root).data["train"].n == 60 + 20 - 15
    assert not used(root, "test") & learned
    assert [text for text in notices(root) if told in text]
    assert load_manifest(summary["artifact"]).data["test"] == before


def test_recorded_examples_that_are_gone_are_counted(root: Path) -> None:
    first = record(root)
    by_key = {key_of(example): example for example in train(root)}
    deleted, edited, relabelled = list(first.examples.values())[:3]
    lost = by_key.pop(deleted)
    by_key[edited]["ticket"] += " Please hurry."
    by_key[relabelled]["queue"] = "another"
    write_train(root, list(by_key.values()))
    told = f"test has lost 2 of the examples that run {first.run} took out of train"
    assert [text for level, text in checked(root) if level == "warn" and told in text]
    run(root)
    assert started(root).data["test"].n == 13
    assert key_of(by_key[edited]) not in used(root, "test")
    assert key_of(by_key[relabelled]) in used(root, "test")
    assert [text for text in notices(root) if told in text]

    # What comes back is test again: it was never learned from.
    write_train(root, [*by_key.values(), lost])
    run(root)
    assert started(root).data["test"].n == 14
    assert deleted not in used(root, "train") | used(root, "validation")


def test_another_test_seed_makes_a_new_split_and_the_old_one_is_kept_beside_it(root: Path) -> None:
    first = record(root)
    replace_in_project(root, "[metric]", "test_seed = 1\n[metric]")
    run(root)
    second = record(root)
    assert (second.seed, second.run) == (1, started(root).run)
    assert second.examples.keys() != first.examples.keys()
    replace_in_project(root, "test_seed = 1", "test_seed = 0")
    run(root)
    assert record(root) == first


def test_other_data_altogether_are_refused_until_a_new_split_is_asked_for(root: Path) -> None:
    write_train(root, tickets(40, seed=8))
    done = promptgrad("run", root, "--json")
    assert done.returncode == 2
    assert "Of the 15 examples" in done.stderr
    assert "[data] test_seed = 1" in done.stderr
    replace_in_project(root, "[metric]", "test_seed = 1\n[metric]")
    run(root)
    assert started(root).data["test"].n == 10


def test_ci_runs_and_compares_on_the_split_of_the_run_before(root: Path) -> None:
    before = started(root).data["test"]
    assert "Nothing to do" in ci(root).stdout
    write_train(root, [*tickets(4, seed=9), *train(root)])
    assert "Changed since" in ci(root).stdout
    assert started(root).data["test"] == before
    assert "of different examples" not in (root / "report.md").read_text()
    replace_in_project(root, "[metric]", "test_seed = 1\n[metric]")
    assert "data.test_seed" in ci(root).stdout
    assert "of different examples" in (root / "report.md").read_text()


def test_an_artifact_tells_the_split_where_the_journal_is_lost(root: Path) -> None:
    first = record(root)
    shutil.rmtree(root / ".promptgrad")
    write_train(root, [*tickets(20, seed=9), *train(root)])
    run(root)
    assert record(root) == first


def test_sizes_in_a_check_are_those_of_the_run(root: Path) -> None:
    write_train(root, [*tickets(20, seed=9), *train(root)])
    told = result(promptgrad("-C", root, "check", "--no-model", "--json"))
    run(root)
    data = started(root).data
    splits = {split["name"]: split["examples"] for split in told["splits"]}
    assert (splits["train"], splits["test"]) == (data["train"].n, data["test"].n) == (65, 15)
    assert told["sizes"]["test"] == 15


def test_a_transfer_measures_on_the_split_that_was_taken_out_of_train(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    artifact, kept = artifact_of(root), started(root).data["test"]
    write_train(root, [*tickets(20, seed=9), *reversed(train(root))])
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with desk_server(name="another") as other:
        told = result(promptgrad("transfer", artifact, "--to", other.uri, "--json"))
    assert told["optimized"]["n"] == kept.n == 15
    assert told["gain"]["score"] > 0
    with Journal.open(journal_path(root), read_only=True) as journal:
        opened = [event for _, event in journal.events_of_all_runs(TestOpened)]
    assert [event.purpose for event in opened] == ["release", "transfer"]
    assert [event.data for event in opened] == [kept, kept]


def test_a_recheck_knows_the_split_that_was_taken_out_of_train(root: Path) -> None:
    artifact, carved = artifact_of(root), set(record(root).examples.values())
    tested = [example for example in train(root) if key_of(example) in carved]
    file = root / "new.jsonl"
    file.write_text("".join(json.dumps(example) + "\n" for example in [*tested, *tickets(25, seed=11)]))
    told = result(promptgrad("recheck", artifact, "--data", file, "--json"))
    assert len(tested) == 15
    assert told["seen"] == 15
    assert told["scores"][0]["released"]["n"] == 15
    assert told["scores"][0]["new"]["n"] == 40
    assert told["recompile"] is False


def ci(root: Path) -> Done:
    return promptgrad("-C", root, "ci", "--report", root / "report.md", "--junit", root / "junit.xml")


def key_of(example: dict[str, Any]) -> str:
    return example_key(example, public_fields(example))
