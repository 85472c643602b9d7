"""An input that was tried becomes a training example, in every format, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.ground.errors import DataError
from engine.project.data import load_examples
from engine.project.settings import Project, load_project
from engine.project.splits import load_splits
from promptgrad_tui.work.code.program import ProgramFields
from promptgrad_tui.work.trying.append import append_example
from promptgrad_tui.work.trying.example import TrainingFile
from tests.promptgrad_tui.desk_project import write_project

FIELDS = ProgramFields(("ticket",), ("queue",))
NEW = {"ticket": "Case 77: my zeppelin, the \u201cgrey\u201d one, is late."}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_project(tmp_path, "demo", n=30)
    return load_project(tmp_path)


def training(project: Project, types: dict[str, Any] | None = None) -> TrainingFile:
    return TrainingFile(project, FIELDS, types or {"ticket": str, "queue": str})


def contents(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.path("data").iterdir()}


def test_a_saved_example_is_read_by_the_project_and_lies_in_train_only(project: Project) -> None:
    before = contents(project)
    saved = training(project).save(NEW, {"queue": "aviation", "id": "try-1"})
    assert saved.line == 31
    splits = load_splits(project, FIELDS.inputs, FIELDS.outputs)
    assert splits.train[-1].values == {**NEW, "queue": "aviation", "id": "try-1"}
    after = contents(project)
    assert after["train.jsonl"].startswith(before["train.jsonl"])
    assert after["validation.jsonl"] == before["validation.jsonl"]
    assert after["test.jsonl"] == before["test.jsonl"]


def test_the_form_knows_the_fields_their_values_and_a_free_id(project: Project) -> None:
    file = training(project)
    assert file.expected == ("queue", "id")
    queue, name = (file.describe(field) for field in file.expected)
    assert {"general", "aviation"} <= set(queue.choices)
    assert not queue.is_long
    assert (name.suggestion, name.choices) == ("try-1", ())
    file.save(NEW, {"queue": "aviation", "id": name.suggestion})
    assert training(project).describe("id").suggestion == "try-2"


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_inputs_that_are_an_example_already_are_refused(project: Project, split: str) -> None:
    known = load_examples(project.path(f"data/{split}.jsonl"))[4].values
    before = contents(project)
    with pytest.raises(DataError, match=f"{split}.jsonl, line 5 has the same inputs already") as refused:
        training(project).save({"ticket": known["ticket"]}, {"queue": "elsewhere", "id": "try-1"})
    wanted = f"It expects queue = {known['queue']}" if split == "train" else f"It is a {split} example"
    assert wanted in refused.value.hint
    assert contents(project) == before


def test_what_is_nearly_a_test_example_is_refused_as_the_project_would(project: Project) -> None:
    text = (
        "The quick brown fox has lost its parcel between the lazy dog and the river, says the courier. " * 3
    )
    file = project.path("data/test.jsonl")
    file.write_text(file.read_text() + json.dumps({"id": "long", "ticket": text, "queue": "general"}) + "\n")
    with pytest.raises(DataError, match=r"% like .*test.jsonl, line 31, a test example"):
        training(project).save({"ticket": text + "!x"}, {"queue": "general", "id": "try-1"})


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"id": "try-1"}, "queue is missing"),
        ({"queue": "general"}, "id is missing"),
        ({"queue": "general", "id": "1-3"}, "line 4 has the id '1-3' already"),
    ],
)
def test_what_the_project_could_not_read_is_refused(
    project: Project, expected: dict[str, str], problem: str
) -> None:
    before = contents(project)
    with pytest.raises(DataError, match=problem):
        training(project).save(NEW, expected)
    assert contents(project) == before


def test_values_keep_their_types(project: Project) -> None:
    file = project.path("data/train.jsonl")
    rows = [{"ticket": f"{n}", "queue": "a", "urgent": n % 2 == 0, "tags": ["x"]} for n in range(10)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    types = {"ticket": str, "queue": str, "urgent": bool, "tags": list[str]}
    known = training(project, types)
    assert [known.describe(name).type for name in known.expected] == ["text", "bool", "list[str]"]
    saved = known.save(NEW, {"queue": "b", "urgent": "true", "tags": '["y", "z"]'})
    assert saved.values == {**NEW, "queue": "b", "urgent": True, "tags": ["y", "z"]}
    with pytest.raises(DataError, match="urgent = 'perhaps' is not of its type"):
        known.save({"ticket": "?"}, {"queue": "b", "urgent": "perhaps", "tags": "[]"})
    with pytest.raises(DataError, match="can't be written"):
        known.save({"ticket": "\ud800"}, {"queue": "b", "urgent": "true", "tags": "[]"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.jsonl", '{"a": "1", "b": "x"}\n\n{"a": "2", "b": "y"}'),
        ("train.jsonl", '{"a": "1", "b": "x"}\r{"a": "2", "b": "y"}'),
        ("train.json", '[\n  {"a": "1", "b": "x"},\n  {"a": "2", "b": "y"}\n]\n'),
        ("train.json", '[{"a": "1", "b": "]"}, {"a": "2", "b": "y"}]'),
        ("train.json", '{"version": [1], "data": [{"a": "1", "b": "x"}], "more": ["]"]}'),
        ("train.json", "[]"),
        ("train.csv", "a,b\r\n1,x\r\n2,y"),
        ("train.csv", 'a;b\n"1;1";x\n'),
        ("train.csv", "a|b\n1|x\n"),
        ("train.csv", "sep=|\r\na|b\r\n1|x\r\n"),
        ("train.tsv", "\ufeffb\ta\nx\t1\n"),
    ],
)
def test_each_format_is_appended_to_and_keeps_what_it_holds(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    new = {"a": 'said: "so, it\nis; \u00fc"', "b": "]"}
    before = [] if text == "[]" else [example.values for example in load_examples(file)]
    append_example(file, new)
    assert [example.values for example in load_examples(file)] == [*before, new]
    head = text.rstrip("]} \n") if name != "train.json" else text[:20].rstrip("]")
    assert file.read_bytes().decode().startswith(head)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_appended_to_says_why_and_stays(tmp_path: Path) -> None:
    table = tmp_path / "train.parquet"
    table.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="would have to be rewritten"):
        append_example(table, {"a": "1"})
    rows = tmp_path / "train.csv"
    rows.write_text("a,b\n1,x\n")
    with pytest.raises(DataError, match="has no column 'c'"):
        append_example(rows, {"a": "2", "c": "?"})
    assert rows.read_text() == "a,b\n1,x\n"
    broken = tmp_path / "train.json"
    broken.write_text("[{]")
    with pytest.raises(DataError, match="not JSON"):
        append_example(broken, {"a": "1"})
    assert broken.read_text() == "[{]"
