from __future__ import annotations

from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from engine.ground.errors import MetricError
from engine.ground.score import Score
from engine.programs.metrics import built_in_metric, normalize


def score(kind: Any, expected: Any, got: Any, **options: Any) -> Score:
    return built_in_metric(kind, "answer", **options)({"answer": expected}, dspy.Prediction(answer=got))


@pytest.mark.parametrize(
    ("kind", "expected", "got", "is_right"),
    [
        ("exact_match", "billing", " billing\n", True),
        ("exact_match", "billing", "Billing", False),
        ("exact_match", 3, "3", True),
        ("exact_match", True, "true", True),
        ("exact_match", None, None, True),
        ("exact_match", None, "something", False),
        ("exact_match", {"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("exact_match", ["a", "b"], ["b", "a"], False),
        ("normalized_match", "The Billing-Team", "billingteam.", True),
        ("normalized_match", "straße", "STRASSE", True),
        ("normalized_match", "A", "B", False),
        ("normalized_match", "A", "", False),
        ("normalized_match", "A", "a.", True),
        ("contains", "Paris", "It is paris, of course.", True),
        ("contains", "Paris", "Par is", False),
        ("contains", "A", "Both.", False),
        ("regex", r"^\d{3}$", "123", True),
        ("regex", r"^\d{3}$", "1234", False),
    ],
)
def test_text_metrics(kind: str, expected: Any, got: Any, is_right: bool) -> None:
    scored = score(kind, expected, got)
    assert (scored.value, scored.is_success) == (float(is_right), is_right)
    assert bool(scored.feedback) is not is_right
    assert bool(scored.error_type) is not is_right


def test_feedback_says_what_was_expected_and_the_error_type_groups_by_it() -> None:
    scored = score("exact_match", "billing", "shipping")
    assert scored.feedback == 'Expected "billing" but got "shipping".'
    assert scored.error_type == "expected billing"
    assert score("exact_match", "x" * 41, "shipping").error_type == "mismatch"
    assert (
        score("contains", "Paris", "Rome").feedback
        == 'Expected an answer that contains "Paris" but got "Rome".'
    )


def test_a_pattern_of_the_project_goes_before_the_example() -> None:
    scored = score("regex", "not used", "AB", pattern=r"^[A-Z]{3}$")
    assert (scored.is_success, scored.error_type) == (False, "no match")
    assert "/^[A-Z]{3}$/" in scored.feedback


@pytest.mark.parametrize(
    ("expected", "got", "is_right"),
    [
        (5, "The answer is 5.", True),
        (5, "3, 5", True),
        ("1,234.5", 1234.5, True),
        (1234567, "1 234 567 euros", True),
        (12, "room 1 12", True),
        (2021, "2020-2021", True),
        (-7, "it is \N{MINUS SIGN}7 degrees", True),
        (0.5, "x=.5", True),
        (1500, "1.5e3", True),
        (5, "5 of 8", False),
        (1, True, False),
        (5, 10**400, False),
        (5, float("inf"), False),
    ],
)
def test_number_reads_the_last_number_of_an_answer(expected: Any, got: Any, is_right: bool) -> None:
    assert score("number", expected, got).is_success is is_right


def test_number_within_tolerance_whatever_binary_rounding_does() -> None:
    assert score("number", 1.0, 1.1, tolerance=0.1).is_success
    assert not score("number", 1.0, 1.11, tolerance=0.1).is_success
    assert not score("number", 0.1, 0.1000001).is_success


def test_number_says_on_which_side_and_exactly() -> None:
    scored = score("number", 1234567, 1234568)
    assert scored.error_type == "number too high"
    assert scored.feedback == "Expected 1234567 (within 0) but got 1234568."
    assert score("number", 2, "1").error_type == "number too low"
    assert score("number", 2, "two").error_type == "no number"


def test_an_example_without_a_number_is_the_projects_mistake() -> None:
    with pytest.raises(MetricError, match="'many' holds no number"):
        score("number", "many", "2")


def test_token_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    scored = score("token_f1", "red green blue", "the red and green", threshold=0.9)
    assert scored.value == pytest.approx(2 * 2 / (3 + 3))
    assert (scored.is_success, scored.error_type) == (False, "partial overlap")
    assert scored.feedback.endswith("the answer lacks: blue.")
    verbose = score("token_f1", "red", "red or green or blue")
    assert verbose.feedback == 'Expected "red"; the answer says more than that: "red or green or blue".'
    assert score("token_f1", "red", "blue").error_type == "no overlap"
    assert score("token_f1", "red green", "green red red") == Score(0.8, True)
    assert score("token_f1", "", "").value == 1.0


def test_json_fields_gives_partial_credit() -> None:
    scored = score("json_fields", {"city": "Rome", "year": 3, "x": None}, '{"city": "Rome", "year": "3"}')
    assert scored.value == pytest.approx(2 / 3)
    assert scored.is_success
    assert scored.feedback == 'year: expected 3 but got "3".'
    assert scored.error_type == "wrong year"
    strict = score("json_fields", {"a": 1, "b": 2}, {"a": 1, "b": 3}, threshold=0.8)
    assert (strict.value, strict.is_success) == (0.5, False)
    assert score("json_fields", '{"a": 1}', {"a": 1, "more": 2}) == Score(1.0, True)
    assert score("json_fields", {}, {}).is_success


class City(BaseModel):
    name: str
    year: int


def test_typed_answers_are_compared_as_data() -> None:
    expected = {"year": 3, "name": "Rome"}
    assert score("json_fields", expected, City(name="Rome", year=3)).is_success
    assert score("exact_match", expected, City(name="Rome", year=3)).is_success


@pytest.mark.parametrize("answer", ["no json", "[1]", "[" * 100_000, "", 3, None])
def test_an_answer_that_is_no_object_is_a_failure_and_no_crash(answer: Any) -> None:
    scored = score("json_fields", {"a": 1}, answer)
    assert (scored.value, scored.error_type) == (0.0, "no object")


def test_an_expected_value_that_is_no_object_is_the_projects_mistake() -> None:
    with pytest.raises(MetricError, match="isn't a JSON object"):
        score("json_fields", "Rome", {})


def test_an_answer_without_the_field_scores_nothing() -> None:
    metric = built_in_metric("exact_match", "answer")
    for prediction in ({"other": 1}, dspy.Prediction(other=1)):
        assert metric({"answer": "x"}, prediction) == Score(
            0.0, False, 'The answer has no field "answer".', "missing field"
        )


def test_an_example_without_the_field_is_the_projects_mistake() -> None:
    with pytest.raises(MetricError, match="'answer'") as caught:
        built_in_metric("exact_match", "answer")({"label": "x", "text": "y"}, {"answer": "x"})
    assert "label, text" in caught.value.hint


def test_a_pattern_that_is_no_pattern_is_refused_at_once() -> None:
    with pytest.raises(MetricError, match="isn't a regular expression"):
        built_in_metric("regex", "answer", pattern="(")


@given(st.text(), st.text(), st.sampled_from(["exact_match", "normalized_match", "contains", "token_f1"]))
def test_no_answer_crashes_a_metric(expected: str, got: str, kind: str) -> None:
    assert 0.0 <= score(kind, expected, got).value <= 1.0
    assert score(kind, expected, expected).is_success


@given(st.text())
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)
