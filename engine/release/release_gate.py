"""The release gate: a measurement is compared with the gates that a project sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from engine.ground.interval import Interval
from engine.journal.event_parts import GateResult
from engine.project.gates import GateReport, Gates
from engine.project.judge_labels import Agreement
from engine.release.measurement import Measurement
from engine.release.power import smallest_shown_loss


def evaluate_gates(gates: Gates, measured: Measurement, agreement: Agreement | None = None) -> GateReport:
    """Return the verdict of every gate that is set; a gate without a measurement fails.

    Raises:
        ValueError: the measurement has no example of the test split.
    """
    if not measured.tested:
        raise ValueError("Gates need at least one example of the test split.")
    return GateReport(
        (
            *_score_gates(gates, measured),
            *_metric_gates(gates, measured),
            *_slice_gates(gates, measured),
            *_answer_gates(gates, measured),
            *_judge_gates(gates, agreement),
        )
    )


def _score_gates(gates: Gates, measured: Measurement) -> Iterator[GateResult]:
    score, gain = measured.optimized, measured.gain
    if gates.min_test_score is not None:
        yield _at_least("min_test_score", score.score, gates.min_test_score, _interval(score))
    if gates.min_test_gain > 0:
        yield _at_least("min_test_gain", gain.score, gates.min_test_gain, _interval(gain))
    else:
        yield GateResult(
            gate="min_test_gain",
            value=gain.score,
            comparison="more than",
            bound=0.0,
            passed=gain.score > 0,
            detail=_interval(gain),
        )
    if gates.min_test_gain_low is not None:
        yield _at_least("min_test_gain_low", gain.low, gates.min_test_gain_low, _interval(gain))
    if gates.non_inferiority_margin is not None:
        yield _no_worse("non_inferiority_margin", gain, gates.non_inferiority_margin)


def _metric_gates(gates: Gates, measured: Measurement) -> Iterator[GateResult]:
    metrics = measured.metrics
    for name, least in gates.metrics.items():
        if name in metrics:
            score = metrics[name].optimized.score
            yield _at_least(f"metrics.{name}", score.score, least, _interval(score))
        else:
            why = f"no test example was scored by {name!r}; run again"
            yield _unmeasured(f"metrics.{name}", "at least", least, why)
    for gate in gates.by_class:
        yield from _class_gates(gate, getattr(gates, gate), measured)


def _class_gates(gate: str, least: float, measured: Measurement) -> Iterator[GateResult]:
    figure = gate.removeprefix("min_")
    found = {
        name: interval
        for name, change in measured.metrics.items()
        if (interval := getattr(change.optimized, figure)) is not None
    }
    for name, interval in found.items():
        yield _at_least(
            gate if len(found) == 1 else f"{gate}.{name}", interval.score, least, _interval(interval)
        )
    if not found:
        yield _unmeasured(gate, "at least", least, "no test example was scored by class; run again")


def _slice_gates(gates: Gates, measured: Measurement) -> Iterator[GateResult]:
    slices = measured.slices
    for name, least in gates.slices.items():
        if name in slices:
            yield _at_least(
                f"slices.{name}", slices[name].optimized.score, least, _interval(slices[name].optimized)
            )
        else:
            yield _unmeasured(f"slices.{name}", "at least", least, f"no test example is of slice {name!r}")
    if gates.slice_non_inferiority_margin is not None:
        for name, scores in slices.items():
            yield _no_worse(
                f"slice_non_inferiority_margin.{name}", scores.gain, gates.slice_non_inferiority_margin
            )


def _answer_gates(gates: Gates, measured: Measurement) -> Iterator[GateResult]:
    for name in gates.must_pass:
        yield _must_pass(name, measured)
    if gates.max_prompt_tokens is not None:
        yield _at_most("max_prompt_tokens", measured.most_prompt_tokens, gates.max_prompt_tokens)
    yield from _latency_gates(gates, measured)
    if gates.max_unparseable_share is not None:
        yield _at_most("max_unparseable_share", measured.unparseable_share, gates.max_unparseable_share)


def _judge_gates(gates: Gates, agreement: Agreement | None) -> Iterator[GateResult]:
    least = gates.min_judge_agreement
    if least is None:
        return
    if agreement is None:
        why = "this judge was never compared with labels: promptgrad judge check"
        yield _unmeasured("min_judge_agreement", "at least", least, why)
    else:
        yield _at_least("min_judge_agreement", agreement.kappa.score, least, agreement.text)


def _latency_gates(gates: Gates, measured: Measurement) -> Iterator[GateResult]:
    limits = {
        "max_mean_latency_seconds": (measured.mean_latency, gates.max_mean_latency_seconds),
        "max_p95_latency_seconds": (measured.p95_latency, gates.max_p95_latency_seconds),
    }
    for gate, (value, most) in limits.items():
        if most is None:
            continue
        if value is None:
            yield _unmeasured(gate, "at most", most, "its run timed no call; run again with this gate set")
        else:
            detail = f"the model's time for an example, one call at a time, n = {len(measured.latencies)}"
            yield _at_most(gate, value, most, detail)


def _must_pass(name: str, measured: Measurement) -> GateResult:
    gate = f"must_pass.{name}"
    named = measured.named(name)
    if not named:
        return _unmeasured(gate, "at least", 1.0, f"no example {name!r} was measured; run again")
    wrong = next((example for example in named if not example.is_success), None)
    detail = f"answered wrong (score {wrong.optimized:g})" if wrong else "answered right"
    return _at_least(gate, float(wrong is None), 1.0, detail)


def _no_worse(gate: str, gain: Interval, margin: float) -> GateResult:
    """Non-inferiority: the lower end of the gain's interval lies above the margin (ICH E9, 3.3.2)."""
    detail = _interval(gain)
    least = smallest_shown_loss(gain.n)
    if margin < least:
        detail += f"; {gain.n} examples can't show a margin below {least:.3f}"
    return _at_least(gate, gain.low, -margin, detail)


def _at_least(gate: str, value: float, bound: float, detail: str) -> GateResult:
    return GateResult(
        gate=gate, value=value, comparison="at least", bound=bound, passed=value >= bound, detail=detail
    )


def _at_most(gate: str, value: float, bound: float, detail: str = "") -> GateResult:
    return GateResult(
        gate=gate, value=value, comparison="at most", bound=bound, passed=value <= bound, detail=detail
    )


def _unmeasured(
    gate: str, comparison: Literal["at least", "at most"], bound: float, detail: str
) -> GateResult:
    return GateResult(gate=gate, value=None, comparison=comparison, bound=bound, passed=False, detail=detail)


def _interval(interval: Interval) -> str:
    return f"{interval.score:.3f} [{interval.low:.3f}, {interval.high:.3f}], n = {interval.n}"
