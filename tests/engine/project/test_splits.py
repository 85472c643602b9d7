from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.ground.errors import DataError
from engine.journal.events import ModelUsed, RunStarted
from engine.journal.journal import Journal, journal_path
from engine.project.data import dataset_digest
from engine.project.settings import load_project
from engine.project.splits import Splits, load_splits
from tests.engine.project_folders import TOML, tickets, write_lines, write_project

INPUTS, OUTPUTS = ("ticket",), ("queue",)


def splits_of(root: Path, **overrides: str) -> Splits:
    return load_splits(load_project(root, overrides), INPUTS, OUTPUTS)


def texts(splits: Splits) -> list[str]:
    return [caution.text for caution in splits.warnings]


def refused(root: Path, **overrides: str) -> str:
    with pytest.raises(DataError) as caught:
        splits_of(root, **overrides)
    assert caught.value.hint
    return str(caught.value)


def without(*keys: str) -> str:
    return "".join(line for line in TOML.splitlines(keepends=True) if not line.startswith(keys))


def test_three_files_are_three_splits_as_they_are(tmp_path: Path) -> None:
    splits = splits_of(write_project(tmp_path))
    assert [example.values for example in splits.train] == tickets("train")
    assert splits.validation is not None
    assert splits.validation[0].values["ticket"] == "validation ticket 0"
    assert [example.line for example in splits.test] == list(range(1, 13))
    assert splits.carving is None


def test_an_example_in_two_splits_is_refused_with_both_lines(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    train = tickets("train")
    leaked = [{**train[4], "channel": "phone"}, {**train[6], "queue": "another"}]
    write_lines(root / "test.jsonl", [*tickets("test"), *leaked])
    message = refused(root)
    assert "test.jsonl, line 13 has the same inputs as" in message
    assert "train.jsonl, line 5:" in message
    assert "(2 in all)" in message


def test_a_refusal_knows_the_file_the_line_and_the_field_that_it_is_about(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    write_lines(root / "test.jsonl", [*tickets("test"), tickets("train")[4]])
    with pytest.raises(DataError) as leak:
        splits_of(root)
    assert (leak.value.file, leak.value.line) == (root / "test.jsonl", 13)
    write_lines(root / "test.jsonl", [*tickets("test")[:3], {"ticket": "no queue"}])
    with pytest.raises(DataError) as incomplete:
        splits_of(root)
    assert (incomplete.value.file, incomplete.value.line) == (root / "test.jsonl", 4)
    small = write_project(tmp_path / "small", without("test"))
    write_lines(small / "train.jsonl", tickets("train")[:5])
    with pytest.raises(DataError) as too_few:
        splits_of(small)
    assert too_few.value.field == "data.test"


def test_a_caution_knows_the_key_that_it_is_about(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    train = tickets("train")
    write_lines(root / "train.jsonl", [*train, train[1]])
    fields = {caution.text.partition(" ")[0]: caution.field for caution in splits_of(root).warnings}
    assert fields == {"train:": "data.train", "validation": "data.validation", "test": "data.test"}


def test_validation_and_test_must_differ_too(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    write_lines(root / "test.jsonl", tickets("validation")[:3])
    assert "validation.jsonl, line 1:" in refused(root)


@pytest.mark.parametrize(
    ("field", "told"),
    [("ticket", "an input of the program"), ("queue", "compared by the metric"), ("channel", "slice field")],
)
def test_a_missing_field_names_line_and_who_needs_it(tmp_path: Path, field: str, told: str) -> None:
    root = write_project(tmp_path, TOML.replace("[metric]", 'slice = "channel"\n[metric]'))
    for split in ("train", "validation", "test"):
        write_lines(root / f"{split}.jsonl", [{**ticket, "channel": "web"} for ticket in tickets(split)])
    assert splits_of(root)
    broken: list[dict[str, Any]] = [{**ticket, "channel": "web"} for ticket in tickets("validation")]
    del broken[2][field], broken[5][field]
    write_lines(root / "validation.jsonl", broken)
    message = refused(root)
    assert f"validation.jsonl, line 3: the field '{field}' is missing (and in 1 more)" in message
    assert told in message


def test_null_is_a_value(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    write_lines(root / "train.jsonl", [*tickets("train"), {"ticket": "nothing", "queue": None}])
    assert splits_of(root).train[-1].values["queue"] is None


def test_repeated_and_contradicting_examples_are_warned_of_with_their_lines(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    train = tickets("train")
    write_lines(root / "train.jsonl", [*train, train[1], {**train[3], "queue": "another"}])
    warnings = texts(splits_of(root))
    assert any(text.startswith("train: the examples on lines 2 and 13 are the same") for text in warnings)
    assert any("train: the examples on lines 4 and 14 have the same inputs" in text for text in warnings)


def test_repeats_in_several_files_name_the_files(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    train = tickets("train")
    write_lines(root / "more.jsonl", [{"ticket": "another", "queue": "general"}, train[1]])
    (root / "promptgrad.toml").write_text(TOML.replace('"train.jsonl"', '"train.jsonl, more.jsonl"'))
    [told] = [text for text in texts(splits_of(root)) if "are the same" in text]
    first, second = root / "train.jsonl", root / "more.jsonl"
    assert told.startswith(f"train: the examples in {first}, line 2 and {second}, line 2 are the same")


def test_a_field_that_the_program_does_not_see_makes_no_difference(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    train = tickets("train")
    write_lines(root / "train.jsonl", [*train, {**train[0], "id": "again", "channel": "web"}])
    assert any("lines 1 and 13 are the same" in text for text in texts(splits_of(root)))


def test_many_repeats_are_counted(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    write_lines(root / "train.jsonl", tickets("train") * 2)
    assert any("1 and 13; 2 and 14; 3 and 15; and 9 more are" in text for text in texts(splits_of(root)))


def test_a_missing_test_split_is_taken_out_of_train_in_proportion(tmp_path: Path) -> None:
    root = write_project(tmp_path, without("test ="))
    examples = [{"ticket": f"t{n}", "queue": "rare" if n % 5 == 0 else "common"} for n in range(40)]
    write_lines(root / "train.jsonl", examples)
    splits = splits_of(root)
    assert splits.carving is not None
    assert len(splits.test) == 10
    assert len(splits.train) == 30
    assert Counter(example.values["queue"] for example in splits.test) == {"rare": 2, "common": 8}
    assert not {example.key for example in splits.train} & {example.key for example in splits.test}


def test_the_carved_test_split_is_the_same_whatever_the_seed(tmp_path: Path) -> None:
    root = write_project(tmp_path, without("test ="))
    digests = {dataset_digest(splits_of(root, **{"optimizer.seed": seed}).test) for seed in ("1", "2", "3")}
    assert len(digests) == 1


def test_repeated_examples_stay_on_one_side_of_the_carving(tmp_path: Path) -> None:
    root = write_project(tmp_path, without("test ="))
    write_lines(root / "train.jsonl", tickets("train", 20) * 3)
    splits = splits_of(root)
    assert not {example.key for example in splits.train} & {example.key for example in splits.test}
    assert len(splits.test) == 15


def test_examples_that_a_program_can_no_longer_tell_apart_are_trains_for_good(tmp_path: Path) -> None:
    root = write_project(tmp_path, without("test =", "validation ="))
    examples = [{"ticket": f"t{n}", "by": "web", "queue": "q"} for n in range(40)]
    write_lines(root / "train.jsonl", examples)
    project, both = load_project(root), ("ticket", "by")
    first = load_splits(project, both, OUTPUTS)
    record(root, first)
    write_lines(root / "train.jsonl", [*examples, {**first.test[0].values, "by": "phone"}])
    assert [e.key for e in load_splits(project, both, OUTPUTS).test] == [e.key for e in first.test]
    # A program that doesn't read `by` sees the same ticket in both splits.
    second = load_splits(project, ("ticket",), OUTPUTS)
    assert [e.key for e in second.test] == [e.key for e in first.test[1:]]
    assert any("test has lost 1 of the examples that run first took" in text for text in texts(second))
    record(root, second)
    assert [e.key for e in load_splits(project, both, OUTPUTS).test] == [e.key for e in first.test[1:]]


def record(root: Path, splits: Splits) -> None:
    """Write splits down as a run does."""
    assert splits.carving is not None
    model = ModelUsed(uri="scripted:desk", revision="sha256:0")
    started = RunStarted(
        id="run",
        run="first",
        project=str(root),
        program="",
        model=model,
        reflection=model,
        base_instructions={},
        config={},
        seed=0,
        data={},
        carved_test=splits.carving.recorded_by("first"),
    )
    with Journal.open(journal_path(root)) as journal:
        journal.append(journal.create_run(root).id, started)


def test_too_few_examples_to_carve_from_are_said(tmp_path: Path) -> None:
    root = write_project(tmp_path, without("test ="))
    write_lines(root / "train.jsonl", tickets("train", 7) * 4)
    message = refused(root)
    assert "only 7 different examples" in message
    assert "[data] test" in message


def test_without_a_validation_file_the_optimizer_holds_out(tmp_path: Path) -> None:
    assert splits_of(write_project(tmp_path, without("validation ="))).validation is None


def test_sizes_too_small_are_said_before_the_run(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    warnings = "\n".join(texts(splits_of(root, **{"optimizer.batch_size": "13"})))
    assert "train has 12 examples, fewer than a batch (13)" in warnings
    assert "validation has 12 examples; a rule's test asks for 15" in warnings
    assert "test has 12 examples: a score of 50 % on it is known to within 28 points only" in warnings


def test_large_disjoint_splits_give_no_warning(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    for split in ("train", "validation", "test"):
        write_lines(root / f"{split}.jsonl", tickets(split, 40))
    assert splits_of(root).warnings == ()


def test_a_program_that_takes_anything_is_compared_by_all_fields(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    write_lines(root / "test.jsonl", [*tickets("test"), {**tickets("train")[0], "channel": "web"}])
    assert load_splits(load_project(root), (), OUTPUTS).test[-1].line == 13


def test_an_id_field_of_another_name_names_examples(tmp_path: Path) -> None:
    root = write_project(tmp_path, TOML.replace("[metric]", 'id = "number"\n[metric]'))
    for split in ("train", "validation", "test"):
        numbered = [{"number": n, **ticket} for n, ticket in enumerate(tickets(split))]
        write_lines(root / f"{split}.jsonl", numbered)
    assert [example.values["id"] for example in splits_of(root).train][:3] == [0, 1, 2]
