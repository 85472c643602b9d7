from __future__ import annotations

from pathlib import Path

import pytest

from engine.ground.errors import ProjectError
from engine.project.data import LoadedExample
from engine.project.gates import Gates
from engine.project.splits import Splits
from engine.release.gate_checks import decision_notes, refuse_unmeasurable


def examples(split: str, n: int, task: str = "refund") -> tuple[LoadedExample, ...]:
    return tuple(
        LoadedExample({"id": f"{split}-{line}", "task": task}, Path(split), line, f"{split}{line}")
        for line in range(n)
    )


SPLITS = Splits(examples("train", 9), None, examples("test", 12) + examples("late", 40, "delivery"), None, ())


@pytest.mark.parametrize(
    ("gates", "field", "problem"),
    [
        (Gates(slices={"refund": 0.5}), None, "names no slice field"),
        (Gates(slice_non_inferiority_margin=0.1), None, "names no slice field"),
        (Gates(slices={"refunds": 0.5}), "task", "'refunds', and no test example has that task"),
        (Gates(must_pass=("test-1", "nobody")), None, "must_pass names 'nobody'"),
    ],
)
def test_gates_that_could_never_pass_are_refused_before_the_run(gates, field, problem):
    with pytest.raises(ProjectError, match=problem):
        refuse_unmeasurable(gates, SPLITS, field)


def test_gates_on_what_the_data_have_are_fine():
    refuse_unmeasurable(Gates(slices={"refund": 0.5}, must_pass=("train-3", "test-1")), SPLITS, "task")


def test_what_so_few_examples_cannot_decide_is_said():
    gates = Gates(non_inferiority_margin=0.05, slice_non_inferiority_margin=0.1, slices={"refund": 0.9})
    notes = list(decision_notes(gates, SPLITS.test, "task"))
    assert [note.field for note in notes] == [
        "gates.non_inferiority_margin",
        "gates.slice_non_inferiority_margin",
        "gates.slices",
    ]
    assert [note.text for note in notes] == [
        "non_inferiority_margin = 0.05 can't be shown on the 52 examples of the test split; "
        "0.068 is the smallest that can.",
        "slice_non_inferiority_margin = 0.1 can't be shown on the 12 examples of slice refund; "
        "0.265 is the smallest that can.",
        "slices.refund is decided by 12 examples: each counts 0.08.",
    ]
    assert list(decision_notes(Gates(non_inferiority_margin=0.1), SPLITS.test, "task")) == []
