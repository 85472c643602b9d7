"""Several metrics as one: the weighted mean, what is said of failures, and each metric beside it."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from engine.ground.metric_scores import columns_of, mean_of, metrics_of
from engine.ground.score import MetricScore, Score
from engine.journal.metric_figures import change_of, figures_of
from engine.programs.coercion import as_metric
from engine.programs.metrics import built_in_metric
from engine.programs.metrics.combined import CombinedMetric, WeightedMetric, class_by
from engine.programs.steps import Step

EXAMPLE = {"id": "7", "question": "Which queue?", "queue": "billing"}


def matches() -> WeightedMetric:
    return WeightedMetric(
        "queue", as_metric(built_in_metric("exact_match", "queue")), 3.0, "queue", class_by("exact_match")
    )


def short(weight: float = 1.0) -> WeightedMetric:
    def brief(example: Any, prediction: Any) -> dict[str, Any]:
        words = len(prediction.queue.split())
        return {
            "score": 1.0 if words < 3 else 0.2,
            "feedback": "" if words < 3 else f"{words} words.",
            "words": words,
        }

    return WeightedMetric("brief", as_metric(brief, name="brief"), weight)


def scored(*parts: WeightedMetric, answer: str = "shipping and so on") -> Score:
    return CombinedMetric(parts, "sum")(EXAMPLE, dspy.Prediction(queue=answer))


def test_the_value_is_the_mean_by_weight_and_every_metric_is_kept() -> None:
    score = scored(matches(), short())
    assert score.value == pytest.approx((3 * 0.0 + 1 * 0.2) / 4)
    assert not score.is_success
    assert score.metrics == {
        "queue": MetricScore(value=0.0, is_success=False, expected="billing", answered="shipping and so on"),
        "brief": MetricScore(value=0.2, is_success=False),
    }


def test_what_costs_most_is_said_first_and_names_the_failure() -> None:
    score = scored(short(), matches())
    assert score.feedback == 'queue: Expected "billing" but got "shipping and so on".\nbrief: 4 words.'
    assert score.error_type == "queue: expected billing"
    assert score.metadata == {"brief: words": 4}


def test_an_answer_is_right_if_every_metric_that_counts_says_so() -> None:
    assert scored(matches(), short(), answer="billing").is_success
    half = scored(
        matches(), WeightedMetric("never", as_metric(lambda example, prediction: 0.0)), answer="billing"
    )
    assert (half.value, half.is_success) == (0.75, False)
    watched = WeightedMetric("never", as_metric(lambda example, prediction: 0.0), weight=0.0)
    told = scored(matches(), watched, answer="billing")
    assert (told.value, told.is_success, told.feedback) == (1.0, True, "")
    assert told.metrics["never"].value == 0.0


def test_no_answer_is_wrong_by_every_metric() -> None:
    score = CombinedMetric([matches(), short()], "sum").unanswered(EXAMPLE, "Not readable.", "unparseable")
    assert (score.value, score.error_type) == (0.0, "unparseable")
    assert score.metrics["queue"] == MetricScore(value=0.0, is_success=False, expected="billing")
    assert score.metrics["brief"] == MetricScore(value=0.0, is_success=False)


def test_feedback_on_a_step_is_joined() -> None:
    def own(word: str) -> WeightedMetric:
        def metric(
            gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
        ) -> Any:
            return {"score": 0.0, "feedback": f"{word} {pred_name or 'all'}"}

        return WeightedMetric(word, as_metric(metric))

    steps = [Step(name, None, {}, None) for name in ("read", "route")]
    score = CombinedMetric([own("one"), own("two")], "sum")(EXAMPLE, dspy.Prediction(queue="x"), steps)
    assert score.feedback == "one: one all\ntwo: two all"
    assert score.metadata == {
        "steps": {"read": "one: one read\ntwo: two read", "route": "one: one route\ntwo: two route"}
    }


def test_figures_of_a_metric() -> None:
    before = [MetricScore(value=value, is_success=value > 0.5) for value in (0.0, 1.0, 0.25)]
    after = [MetricScore(value=1.0, is_success=True)] * 3
    change = change_of(before, after)
    assert change.baseline.score.score == pytest.approx(1.25 / 3)
    assert change.baseline.std == pytest.approx(0.4249, abs=1e-4)
    assert (change.baseline.min, change.baseline.failures) == (0.0, 2)
    assert (change.optimized.std, change.optimized.min, change.optimized.failures) == (0.0, 1.0, 0)
    assert change.gain.score == pytest.approx(1.75 / 3)
    assert change.baseline.macro_f1 is None


def test_figures_by_class_are_there_where_classes_are() -> None:
    scores = [scored(matches(), answer=answer).metrics["queue"] for answer in ("billing", "billing", "x")]
    figures = figures_of(scores)
    assert figures.balanced_accuracy is not None
    assert figures.macro_f1 is not None
    assert figures.balanced_accuracy.score == pytest.approx(2 / 3)
    assert figures.macro_f1.score == pytest.approx(0.8)


def test_columns_hold_what_every_example_was_scored_by() -> None:
    rows = [metrics_of(Score(1.0, True), "sum"), metrics_of(scored(matches(), short()), "sum")]
    assert list(columns_of(rows)) == ["sum"]
    assert list(columns_of(rows[1:])) == ["sum", "queue", "brief"]
    assert columns_of([]) == {}


def test_repeats_are_averaged_and_one_wrong_answer_counts_as_wrong() -> None:
    right = {"m": MetricScore(value=1.0, is_success=True, expected="a", answered="a")}
    wrong = {"m": MetricScore(value=0.5, is_success=False, expected="a", answered="b")}
    assert mean_of([right, wrong]) == {
        "m": MetricScore(value=0.75, is_success=False, expected="a", answered="b")
    }
