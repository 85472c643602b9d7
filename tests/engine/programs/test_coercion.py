from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import dspy
import pytest

from engine.ground.errors import MetricError, ModelUnavailableError
from engine.ground.score import Score
from engine.programs.coercion import as_metric
from engine.programs.metrics import built_in_metric
from engine.programs.time_limit import uncounted

EXAMPLE = {"id": "T-7", "question": "2+2", "answer": "4"}
RIGHT, WRONG = dspy.Prediction(answer="4"), dspy.Prediction(answer="5")


def scored(metric: Callable[..., Any], prediction: Any = RIGHT, **options: Any) -> Score:
    return as_metric(metric, **options)(EXAMPLE, prediction)


def test_a_score_passes_through() -> None:
    given = Score(0.3, True, "why", "kind", {"a": 1})
    assert scored(lambda example, prediction: given) is given
    metric = built_in_metric("exact_match", "answer")
    assert as_metric(as_metric(metric))(EXAMPLE, WRONG) == metric(EXAMPLE, WRONG)


def test_a_bool_and_a_number_become_scores() -> None:
    assert scored(lambda example, prediction: True) == Score(1.0, True)
    assert scored(lambda example, prediction: 0) == Score(0.0, False)
    assert scored(lambda example, prediction: 0.4) == Score(0.4, False)
    assert scored(lambda example, prediction: 0.4, success_from=0.4) == Score(0.4, True)


def test_numbers_of_numpy_become_scores() -> None:
    numpy = pytest.importorskip("numpy")
    assert scored(lambda example, prediction: numpy.float32(0.5)) == Score(0.5, True)
    assert scored(lambda example, prediction: numpy.bool_(False)) == Score(0.0, False)


def test_score_and_feedback_become_a_score() -> None:
    answer = dspy.Prediction(score=0.2, feedback="Shorter.")
    assert scored(lambda example, prediction: answer) == Score(0.2, False, "Shorter.")


def test_metrics_of_dspy_work_as_they_are() -> None:
    assert scored(dspy.evaluate.answer_exact_match) == Score(1.0, True)
    assert scored(dspy.evaluate.answer_exact_match, WRONG) == Score(0.0, False)


def test_a_trace_is_given_where_one_is_asked_for() -> None:
    assert scored(lambda example, prediction, trace=None: trace is None).is_success
    assert scored(lambda example, prediction, trace: trace is None).is_success
    assert scored(lambda gold, pred, trace, pred_name, pred_trace: 1.0).is_success
    assert scored(lambda *given: len(given) == 2).is_success


class Rubric:
    def __call__(self, example: Any, prediction: Any) -> float:
        return 1.0


def test_an_object_that_can_be_called_is_a_metric() -> None:
    assert scored(Rubric()).is_success


def test_an_example_is_a_dict_whose_fields_are_attributes_too() -> None:
    def metric(example: Any, prediction: Any) -> bool:
        assert isinstance(example, dict)
        assert {**example} == EXAMPLE
        assert not hasattr(example, "label")
        return example["answer"] == example.answer == prediction.answer

    assert scored(metric).is_success


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (lambda example: 1.0, "<lambda>(example) can't be called"),
        (lambda example, prediction, weight: 1.0, "(example, prediction, weight) can't be called"),
        (lambda example, prediction, *, weight: 1.0, "can't be called"),
        ("exact", "'exact', which can't be called"),
    ],
)
def test_wrong_parameters_are_found_before_any_call(metric: Any, told: str) -> None:
    with pytest.raises(MetricError) as caught:
        as_metric(metric)
    assert told in caught.value.message
    assert "(example, prediction)" in caught.value.hint


async def asynchronous(example: Any, prediction: Any) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (lambda example, prediction: 1.2, "returned 1.2, which is not in 0..1"),
        (lambda example, prediction: -1, "returned -1.0, which is not in 0..1"),
        (lambda example, prediction: float("nan"), "returned nan"),
        (lambda example, prediction: float("inf"), "returned inf"),
        (lambda example, prediction: None, "returned None (NoneType), which isn't a score"),
        (lambda example, prediction: "good", "returned 'good' (str), which isn't a score"),
        (lambda example, prediction: (1.0, "fine", 3), "(tuple), which isn't a score"),
        (lambda example, prediction: {"grade": 1.0}, "(dict), which isn't a score"),
        (lambda example, prediction: dspy.Prediction(score=7), "returned 7.0"),
        (lambda example, prediction: dspy.Prediction(grade=1), "(Prediction), which isn't a score"),
    ],
)
def test_what_is_no_score_is_refused_with_the_example(metric: Any, told: str) -> None:
    with pytest.raises(MetricError) as caught:
        scored(metric)
    assert told in caught.value.message
    assert "The metric <lambda>" in caught.value.message
    assert "on the example T-7" in caught.value.message


def test_a_metric_may_be_asynchronous() -> None:
    assert scored(asynchronous) == Score(1.0, True)


def test_a_dict_and_a_pair_become_a_score() -> None:
    assert scored(lambda example, prediction: {"score": 0.2, "feedback": "Shorter.", "words": 9}) == Score(
        0.2, False, "Shorter.", metadata={"words": 9}
    )
    assert scored(lambda example, prediction: {"score": True, "error_type": "x"}) == Score(1.0, True, "", "x")
    assert scored(lambda example, prediction: (0.7, "Nearly.")) == Score(0.7, True, "Nearly.")
    assert scored(lambda example, prediction: (False,)) == Score(0.0, False)


def test_a_scale_is_brought_to_0_to_1() -> None:
    grades = {grade: scored(lambda example, prediction, g=grade: g, scale=(1, 5)) for grade in (1, 2, 3, 5)}
    assert {grade: score.value for grade, score in grades.items()} == {1: 0.0, 2: 0.25, 3: 0.5, 5: 1.0}
    assert [score.is_success for score in grades.values()] == [False, False, True, True]
    assert scored(lambda example, prediction: True, scale=(1, 5)).value == 1.0
    assert scored(lambda example, prediction: (4, "Good."), scale=(1, 5)).value == 0.75
    with pytest.raises(MetricError, match=r"returned 0.0, which is not in 1\.\.5"):
        scored(lambda example, prediction: 0, scale=(1, 5))


def test_a_metric_that_exits_fails_that_answer() -> None:
    score = scored(lambda example, prediction: sys.exit(3))
    assert score == Score(0.0, False, "The metric called sys.exit(3).", "metric exited")


def test_a_metric_that_never_ends_fails_that_answer_and_stops() -> None:
    turns = []

    def metric(example: Any, prediction: Any) -> float:
        while True:
            turns.append(1)

    assert scored(metric, time_limit=0.1) == Score(
        0.0, False, "The metric took longer than 0.1 s.", "metric timed out"
    )
    time.sleep(0.3)
    stopped_at = len(turns)
    time.sleep(0.1)
    assert len(turns) == stopped_at


def test_time_spent_with_a_model_does_not_count() -> None:
    def metric(example: Any, prediction: Any) -> float:
        with uncounted():
            time.sleep(0.5)
        return 1.0

    assert scored(metric, time_limit=0.2).is_success


def raising(example: Any, prediction: Any) -> float:
    return float(prediction["no such field"])


def test_a_metric_that_raises_is_named_with_file_and_line() -> None:
    line = raising.__code__.co_firstlineno + 1
    with pytest.raises(MetricError) as caught:
        scored(raising)
    assert "The metric raising raised KeyError on the example T-7" in caught.value.message
    assert f"(test_coercion.py, line {line})" in caught.value.message
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_asynchronous_metric_that_raises_is_named_with_its_own_line() -> None:
    async def metric(example: Any, prediction: Any) -> float:
        return float(prediction["no such field"])

    line = metric.__code__.co_firstlineno + 1
    with pytest.raises(MetricError) as caught:
        scored(metric)
    assert f"(test_coercion.py, line {line})" in caught.value.message


def test_an_example_without_a_name_is_named_by_its_key() -> None:
    with pytest.raises(MetricError, match=r"on the example [0-9a-f]{16}"):
        as_metric(raising)({"answer": "4"}, RIGHT)


def test_a_ready_made_metric_names_the_example_that_it_cannot_use_once() -> None:
    metric = as_metric(as_metric(built_in_metric("number", "question")))
    with pytest.raises(MetricError) as caught:
        metric({"id": "T-8", "question": "many"}, {"question": "1"})
    assert caught.value.message == "On the example T-8: 'many' holds no number."
    assert caught.value.hint == "Correct the example's expected value."


def test_an_error_of_ours_passes_through() -> None:
    def metric(example: Any, prediction: Any) -> float:
        raise ModelUnavailableError("gone")

    with pytest.raises(ModelUnavailableError):
        scored(metric)


def test_a_built_in_function_without_a_signature_is_taken_as_it_is() -> None:
    with pytest.raises(MetricError, match="The metric max raised"):
        scored(max)


def test_a_score_out_of_range_is_told_in_a_line() -> None:
    def metric(example: Any, prediction: Any) -> Score:
        return Score(1.5, True)

    with pytest.raises(MetricError) as caught:
        scored(metric)
    assert caught.value.message.startswith(
        "The metric metric raised ValidationError on the example T-7: "
        "value = 1.5: Input should be less than or equal to 1 (test_coercion.py, line"
    )


def test_an_id_of_zero_is_a_name() -> None:
    with pytest.raises(MetricError, match="on the example 0"):
        as_metric(lambda example, prediction: None)({"id": 0, "a": 1}, RIGHT)
