"""A dataset from a hub on loopback: the files of its splits, at the revision that is noted beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from engine.project.data import load_examples
from tests.engine.project_folders import two_drives
from tests.models.catalog.hub_server import COMMIT, Hub
from tests.promptgrad_tui.desk_project import promptgrad, result

ROWS = {name: json.dumps({"text": name, "label": "a"}).encode() + b"\n" for name in ("one", "two", "three")}
FILES = {
    "datasets/team/tickets/README.md": b"# Tickets",
    "datasets/team/tickets/data/train-00000-of-00002.jsonl": ROWS["one"],
    "datasets/team/tickets/data/train-00001-of-00002.jsonl": ROWS["two"],
    "datasets/team/tickets/data/dev.jsonl": ROWS["three"],
    "datasets/team/tickets/data/test.csv": b"text,label\nfour,b\n",
    "datasets/team/tickets/data/test.parquet": b"PAR1",
    "datasets/team/langs/en/test.jsonl": ROWS["one"],
    "datasets/team/langs/de/test.jsonl": ROWS["two"],
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(dict(FILES)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield hub


def test_splits_arrive_as_files_with_their_revision(hub: Hub, tmp_path: Path) -> None:
    done = promptgrad(
        "-C", tmp_path, "data", "pull", "hf://team/tickets@v1", "--split", "train,validation,test"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Reaching out to 127.0.0.1")
    assert done.stdout.splitlines() == [
        f"# hf://team/tickets@{COMMIT}",
        "[data]",
        'train = "data/tickets/train-001.jsonl, data/tickets/train-002.jsonl"',
        'validation = "data/tickets/validation.jsonl"',
        'test = "data/tickets/test.csv"',
    ]
    folder = tmp_path / "data" / "tickets"
    texts = {path.name: [row.values["text"] for row in load_examples(path)] for path in folder.glob("t*.*")}
    assert texts == {"train-001.jsonl": ["one"], "train-002.jsonl": ["two"], "test.csv": ["four"]}
    noted = json.loads((folder / "source.json").read_text())
    assert (noted["repository"], noted["revision"]) == ("team/tickets", COMMIT)
    assert set(noted["sha256"]) == {*texts, "validation.jsonl"}
    assert not any("/resolve/v1/" in path or "/resolve/main/" in path for path in hub.paths)


def test_files_on_another_drive_are_named_in_full(hub: Hub, tmp_path: Path) -> None:
    with two_drives():
        done = promptgrad("-C", tmp_path, "data", "pull", "hf://team/tickets@v1", "--split", "test")
    assert done.returncode == 0, done.stderr
    assert f'test = "{(tmp_path / "data" / "tickets" / "test.csv").as_posix()}"' in done.stdout


def test_of_several_configurations_one_has_to_be_named(hub: Hub, tmp_path: Path) -> None:
    pull = ("-C", tmp_path, "data", "pull", "hf://team/langs", "--split", "test")
    done = promptgrad(*pull)
    assert done.returncode == 2
    assert "several configurations of 'test': de, en" in done.stderr
    told = result(promptgrad(*pull, "--config", "en", "--json"))
    assert told["files"]["test"] == [str(tmp_path / "data" / "langs" / "test.jsonl")]
    assert load_examples(Path(told["files"]["test"][0]))[0].values["text"] == "one"


@pytest.mark.parametrize(
    ("source", "split", "said"),
    [
        ("hf://team/tickets", "holdout", "no file of the split 'holdout'"),
        ("hf://team/tickets@nowhere", "train", "The hub has no"),
        ("hf://team/absent", "train", "The hub has no"),
        ("tickets.csv", "train", "isn't a dataset of the hub"),
    ],
)
def test_what_is_not_there_is_said(hub: Hub, tmp_path: Path, source: str, split: str, said: str) -> None:
    done = promptgrad("-C", tmp_path, "data", "pull", source, "--split", split)
    assert done.returncode in (2, 3)
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "data").exists()


def test_another_file_is_never_overwritten(hub: Hub, tmp_path: Path) -> None:
    mine = tmp_path / "data" / "tickets" / "test.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("text,label\nmine,c\n")
    done = promptgrad("-C", tmp_path, "data", "pull", "hf://team/tickets", "--split", "test")
    assert done.returncode == 2
    assert "is there already" in " ".join(done.stderr.split())
    assert "mine" in mine.read_text()
