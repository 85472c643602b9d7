"""What was decided about a label, taken back later: from the files alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import DataError
from engine.journal.learning_events import DoubtedLabel
from engine.project.data import load_split
from engine.project.settings import Project, load_project
from promptgrad_tui.work.labels.correcting import correction, exclusion, taking_back
from promptgrad_tui.work.labels.doubts import Doubted, doubted_now
from tests.promptgrad_tui.labels.test_correcting import CASES, project


def doubted(found: Project) -> DoubtedLabel:
    """The second example's label, as a run would note it."""
    example = load_split(found, found.data.train)[1]
    return DoubtedLabel(
        example=example.key,
        inputs="i",
        split="train",
        file=example.file.name,
        line=example.line,
        field="label",
        expected="old",
        answer="new é",
        versions=2,
        alike=2,
    )


def now(root: Path, label: DoubtedLabel) -> tuple[Project, Doubted]:
    found = load_project(root)
    return found, doubted_now(found, [label])[0]


@pytest.mark.parametrize("name", CASES)
def test_a_corrected_label_is_found_again_and_taken_back(tmp_path: Path, name: str) -> None:
    suffix, fields, before, _ = CASES[name]
    found = project(tmp_path, suffix, fields, before)
    label = doubted(found)
    correction(found, load_split(found, found.data.train)[1], "label", "new é").make()
    found, row = now(tmp_path, label)
    assert (row.state, row.now) == ("changed", "new é")
    taking_back(found, row).make()
    assert [example.values["label"] for example in load_split(found, found.data.train)] == ["old", "old"]
    assert now(tmp_path, label)[1].state == "open"
    if suffix not in (".yaml",):  # whose quotes may be others
        assert (tmp_path / f"data{suffix}").read_bytes() == before.encode()


@pytest.mark.parametrize(
    "exclude", ["", 'exclude = ["mine"]  # why\n', 'exclude = [\n    # mine\n    "mine", # one\n]\n']
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_exclusion_taken_back_leaves_the_project_file_as_it_was(
    tmp_path: Path, exclude: str, end: str
) -> None:
    found = project(tmp_path, ".tsv", "", CASES["tsv"][2])
    text = found.file.read_text().replace("[metric]", f"{exclude}[metric]").replace("\n", end).encode()
    found.file.write_bytes(text)
    found = load_project(tmp_path)
    label = doubted(found)
    exclusion(found, load_split(found, found.data.train)[1]).make()
    found, row = now(tmp_path, label)
    assert row.state == "excluded"
    assert found.file.read_bytes().count(b"\r\n") == (
        found.file.read_bytes().count(b"\n") if end != "\n" else 0
    )
    taking_back(found, row).make()
    assert found.file.read_bytes() == text


def test_what_was_not_decided_or_is_gone_is_not_taken_back(tmp_path: Path) -> None:
    found = project(tmp_path, ".tsv", "", CASES["tsv"][2])
    label = doubted(found)
    with pytest.raises(DataError, match="nothing was corrected or excluded"):
        taking_back(*now(tmp_path, label))
    (tmp_path / "data.tsv").write_text("label\ttext\nold\ta\nnew\tanother\n")
    with pytest.raises(DataError, match="more than the label has changed"):
        taking_back(*now(tmp_path, label))


def test_a_change_is_made_only_of_the_file_that_it_was_thought_out_for(tmp_path: Path) -> None:
    found = project(tmp_path, ".tsv", "", CASES["tsv"][2])
    change = correction(found, load_split(found, found.data.train)[1], "label", "new")
    assert change.lines == ("old\tb", "new\tb")
    file = tmp_path / "data.tsv"
    file.write_text(file.read_text() + "old\tc\n")
    with pytest.raises(DataError, match="changed meanwhile"):
        change.make()
    assert file.read_text() == CASES["tsv"][2] + "old\tc\n"
