from __future__ import annotations

import pytest
from pydantic import ValidationError

from engine.learning.slices import by_slice
from engine.project.gates import Gates
from engine.release.measurement import MeasuredExample, Measurement
from engine.release.release_gate import evaluate_gates


def measured(*groups: tuple[str, int, int, int], **fields: object) -> Measurement:
    """Groups of (slice, n, right before, right after); what was right before is right after where it can."""
    examples = []
    for name, n, before, after in groups:
        for number in range(n):
            is_right = number < after
            examples.append(
                MeasuredExample(
                    key=f"{name}-{number}",
                    name=f"{name}-{number}",
                    slice=name,
                    baseline=float(number < before),
                    optimized=float(is_right),
                    is_success=is_right,
                    **fields,  # type: ignore[arg-type]
                )
            )
    return Measurement(examples=tuple(examples))


ARTICLE = measured(("late_delivery", 100, 84, 95), ("refund", 100, 91, 83))
"""The article's example: a better mean, and a critical slice that got worse."""


def verdicts(gates: Gates, measurement: Measurement) -> dict[str, bool]:
    return {result.gate: result.passed for result in evaluate_gates(gates, measurement).results}


def test_a_better_mean_does_not_release_a_worse_critical_slice() -> None:
    gates = Gates(slices={"late_delivery": 0.84, "refund": 0.88})
    report = evaluate_gates(gates, ARTICLE)
    assert ARTICLE.gain.score == pytest.approx(0.015)
    assert [result.gate for result in report.failed] == ["slices.refund"]
    assert report.reason == "slices.refund: 0.83, at least 0.88 required"


def test_any_gain_is_asked_for_even_where_nothing_is_set() -> None:
    assert verdicts(Gates(), measured(("", 20, 10, 10))) == {"min_test_gain": False}
    assert verdicts(Gates(), measured(("", 20, 10, 11))) == {"min_test_gain": True}


def test_a_gain_may_be_asked_for_by_its_mean_or_by_its_interval() -> None:
    few = measured(("", 20, 10, 13))
    assert verdicts(Gates(min_test_gain=0.1), few)["min_test_gain"]
    assert not verdicts(Gates(min_test_gain_low=0.0), few)["min_test_gain_low"]
    many = measured(("", 20, 10, 18))
    assert verdicts(Gates(min_test_gain_low=0.0), many)["min_test_gain_low"]


def test_non_inferiority_is_shown_by_the_interval_and_needs_examples() -> None:
    same = measured(("", 200, 150, 151))
    assert verdicts(Gates(non_inferiority_margin=0.02), same)["non_inferiority_margin"]
    few = evaluate_gates(Gates(non_inferiority_margin=0.02), measured(("", 20, 15, 16)))
    [failed] = few.failed
    assert failed.gate == "non_inferiority_margin"
    assert "20 examples can't show a margin below 0.168" in failed.detail


def test_non_inferiority_of_each_slice() -> None:
    gates = Gates(slice_non_inferiority_margin=0.05)
    assert verdicts(gates, ARTICLE) == {
        "min_test_gain": True,
        "slice_non_inferiority_margin.late_delivery": True,
        "slice_non_inferiority_margin.refund": False,
    }


def test_must_pass_examples() -> None:
    gates = Gates(must_pass=("refund-0", "refund-99", "elsewhere"))
    found = {r.gate: (r.passed, r.detail) for r in evaluate_gates(gates, ARTICLE).results}
    assert found["must_pass.refund-0"] == (True, "answered right")
    assert found["must_pass.refund-99"] == (False, "answered wrong (score 0)")
    assert found["must_pass.elsewhere"] == (False, "no example 'elsewhere' was measured; run again")


def test_limits_on_tokens_latency_and_unreadable_answers() -> None:
    slow = measured(("", 99, 50, 60), latency=0.5, prompt_tokens=100)
    last = MeasuredExample(
        key="last",
        name="last",
        baseline=0,
        optimized=0,
        is_success=False,
        is_unparseable=True,
        prompt_tokens=512,
        latency=50.5,
    )
    both = Measurement(examples=(*slow.examples, last))
    gates = Gates(
        min_test_score=0.6,
        max_prompt_tokens=512,
        max_mean_latency_seconds=1.0,
        max_p95_latency_seconds=0.4,
        max_unparseable_share=0.005,
    )
    results = {result.gate: (result.value, result.passed) for result in evaluate_gates(gates, both).results}
    assert results["min_test_score"] == (0.6, True)
    assert results["max_prompt_tokens"] == (512, True)
    assert results["max_mean_latency_seconds"] == (1.0, True)
    assert results["max_p95_latency_seconds"] == (0.5, False)
    assert results["max_unparseable_share"] == (0.01, False)


def test_a_model_that_was_not_timed_passes_no_latency_gate() -> None:
    [_, result] = evaluate_gates(Gates(max_p95_latency_seconds=9.0), measured(("a", 10, 1, 9))).results
    assert (result.value, result.passed) == (None, False)
    assert result.detail == "its run timed no call; run again with this gate set"


def test_a_slice_that_was_not_measured_does_not_pass() -> None:
    report = evaluate_gates(Gates(slices={"returns": 0.5}), ARTICLE)
    assert "slices.returns was not measured: no test example is of slice 'returns'" in report.reason


def test_examples_of_other_splits_count_for_must_pass_only() -> None:
    extra = MeasuredExample(
        key="k", name="t-1", split="train", baseline=0, optimized=1, is_success=True, latency=99
    )
    timed = measured(("a", 10, 1, 9), latency=0.5)
    both = Measurement(examples=(*timed.examples, extra))
    assert (both.optimized, both.p95_latency) == (timed.optimized, 0.5)
    assert verdicts(Gates(must_pass=("t-1",)), both)["must_pass.t-1"]


def test_each_example_of_a_name_must_pass() -> None:
    test, validation = (
        MeasuredExample(key=split, name="7", split=split, baseline=0, optimized=right, is_success=right)
        for split, right in (("test", True), ("validation", False))
    )
    assert verdicts(Gates(must_pass=("7",)), Measurement(examples=(test,)))["must_pass.7"]
    assert not verdicts(Gates(must_pass=("7",)), Measurement(examples=(test, validation)))["must_pass.7"]


def test_slices_by_values_that_are_no_text() -> None:
    assert by_slice([{"vip": True}, {"vip": False}, {"vip": True}, {}], "vip") == {"false": 1, "true": 2}


def test_a_gate_that_there_is_not() -> None:
    with pytest.raises(ValidationError, match="min_test_scores"):
        Gates.model_validate({"min_test_scores": 0.5})
