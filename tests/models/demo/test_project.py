from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.project.settings import load_project
from models.demo.project import CAUSE_COUNT, SIZES, demo_examples, hidden_policy, write_demo_project
from models.demo.world import CHANNELS, QUEUES


def test_the_same_seed_writes_the_same_project(tmp_path: Path) -> None:
    write_demo_project(tmp_path / "one", 3)
    write_demo_project(tmp_path / "two", 3)
    write_demo_project(tmp_path / "other", 4)
    one, two, other = (_contents(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one["data/train.jsonl"] != other["data/train.jsonl"]


def test_the_project_is_one_that_the_engine_reads(tmp_path: Path) -> None:
    write_demo_project(tmp_path, 5)
    project = load_project(tmp_path)
    assert project.model.task == "demo"
    assert project.optimizer.seed == 5
    assert project.data.slice == "channel"
    assert set(project.gates.slices) == set(CHANNELS)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "promptgrad.toml").write_text("mine")
    with pytest.raises(FileExistsError):
        write_demo_project(tmp_path, 0)
    assert _contents(tmp_path) == {"promptgrad.toml": "mine"}


def test_splits_have_their_sizes_and_share_no_ticket() -> None:
    splits = demo_examples(11)
    assert {name: len(examples) for name, examples in splits.items()} == SIZES
    tickets = [example["ticket"] for examples in splits.values() for example in examples]
    assert len(set(tickets)) == len(tickets)


def test_every_split_shows_every_cause_and_the_topics_decide_the_rest() -> None:
    policy = hidden_policy(2)
    assert len(policy.queues) == CAUSE_COUNT >= 6
    for examples in demo_examples(2).values():
        special = [e for e in examples if any(cause in e["ticket"] for cause in policy.queues)]
        assert 0.5 <= len(special) / len(examples) <= 0.6
        for cause, queue in policy.queues.items():
            told = [e["queue"] for e in examples if cause in e["ticket"]]
            assert len(told) >= 3
            assert set(told) == {queue}
        assert all(e["queue"] in QUEUES for e in examples if e not in special)


def _contents(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_data_files_are_lines_of_json(tmp_path: Path) -> None:
    write_demo_project(tmp_path, 0)
    lines = (tmp_path / "data" / "test.jsonl").read_text().splitlines()
    assert len(lines) == SIZES["test"]
    assert set(json.loads(lines[0])) == {"id", "channel", "ticket", "queue"}
