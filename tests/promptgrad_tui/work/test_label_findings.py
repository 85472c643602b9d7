"""What a check says of labels: which are probably wrong, and which are too few."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.project.data import LoadedExample, load_examples
from engine.project.splits import Splits
from promptgrad_tui.work.check.labels import label_findings


def splits(root: Path, train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Splits:
    def load(name: str, pairs: list[tuple[str, str]]) -> tuple[LoadedExample, ...]:
        path = root / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps({"ticket": text, "queue": queue}) for text, queue in pairs))
        return tuple(load_examples(path))

    return Splits(load("train", train), None, load("test", test), None, ())


def told(found: Splits) -> list[str]:
    return [finding.text for finding in label_findings(found, ["ticket"], ["queue"])]


MANY = [(f"My parcel {word} has not arrived at my house", "ship") for word in "abcdefghij"]
MONEY = [(f"The invoice of {word} was charged twice to me", "money") for word in "klmnopqrst"]


def test_near_duplicates_with_different_answers_are_named_with_both_lines(tmp_path: Path) -> None:
    wrong = (
        ("My parcel a has not arrived at my house!!", "ship"),
        ("my Parcel abc has not arrived at my house", "money"),
    )
    found = told(splits(tmp_path, [*MANY[:1], *MONEY], [*wrong, *MONEY]))
    assert "3 pairs" not in found[0]
    assert "train.jsonl, line 1 expects 'ship'" in found[0]
    assert "test.jsonl, line 2" in found[0]
    assert "'money'" in found[0]


@pytest.mark.parametrize(
    ("one", "other", "is_told"),
    [
        ("My parcel is late!", "my parcel is late", True),
        ("My parcel has not arrived at my house!", "my parcel has not arrived at my house", True),
        ("My parcel is late", "My parcel is lame", False),
        ("\N{THUMBS UP SIGN}", "\N{THUMBS DOWN SIGN}", False),
    ],
    ids=["short", "long", "short, and another word", "no words"],
)
def test_case_and_punctuation_make_no_other_text(tmp_path: Path, one: str, other: str, is_told: bool) -> None:
    train = [(one, "ship"), (other, "money"), *MANY, *MONEY]
    found = told(splits(tmp_path, train, [*MANY, *MONEY]))
    assert any("line 1 expects 'ship'" in text and "line 2" in text for text in found) is is_told


def test_numbers_make_a_difference_and_free_text_is_left_alone(tmp_path: Path) -> None:
    sums = [(f"What is the sum of {n} and five, please?", str(n % 3)) for n in range(30)]
    assert not [text for text in told(splits(tmp_path, sums, sums[:3])) if "nearly the same" in text]
    free = [(f"Please sum up the story of the {word} wolf", f"Story {word}") for word in "abcdefgh"]
    assert told(splits(tmp_path, free, [("Please sum up the fox", "Story of a fox")])) == []


def test_rare_answers_say_what_cannot_be_learned_or_proved(tmp_path: Path) -> None:
    legal = ("A lawyer writes about the contract", "legal")
    found = told(splits(tmp_path, [*MANY, *MONEY, legal], [*MANY, *MONEY]))
    assert found == [
        "Too few examples of some answers: queue = 'legal' has 1 in train; queue = 'legal' has 0 in test."
    ]


def test_a_single_answer_leaves_nothing_to_learn(tmp_path: Path) -> None:
    assert told(splits(tmp_path, MANY[:7], MANY[7:])) == [
        "All examples have queue = 'ship': a program that always says so is always right."
    ]


def test_spaces_around_a_label_make_no_other_answer(tmp_path: Path) -> None:
    spaced = [(f"{ticket}s", f"{queue} ") for ticket, queue in MANY]
    assert told(splits(tmp_path, [*MANY, *MONEY], [*spaced, *MONEY])) == []


def test_skewed_answers_say_what_saying_the_usual_would_score(tmp_path: Path) -> None:
    most = [(f"{a}{b} asks where the thing is", "ship") for a in "abcdefghij" for b in "klmno"]
    found = splits(tmp_path, [*most, *MONEY[:3]], most)
    first = next(label_findings(found, ["ticket"], ["queue"]))
    assert first.text.startswith("97% of the examples have queue = 'ship'")
    assert "scores 0.97" in first.text
    assert "[metric] by_class = true" in first.advice
    assert "[gates] min_balanced_accuracy" in first.advice


def test_skewed_answers_are_told_with_many_classes_too(tmp_path: Path) -> None:
    most = [(f"ticket of {number}", "ship") for number in range(400)]
    others = [(f"a question about {number}", f"class {number}") for number in range(29)]
    found = told(splits(tmp_path, [*most, *others], [*most, *others]))
    assert found[0].startswith("93% of the examples have queue = 'ship'")
    assert found[1].endswith("; and 53 more.")
