"""The metric tried before a run: on what is expected, on wrong and empty answers, and twice on one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import dspy

from engine.ground.errors import MetricError
from engine.ground.score import Score
from engine.programs.coercion import EXITED, TIMED_OUT, as_metric
from engine.programs.time_limit import TimeLimitError
from engine.project.data import LoadedExample, placing_errors
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.work.run.planning import ProjectParts

_TRIED = 12
_NO_JUDGE = "asks a judge, and no model is open"
_NO_EMBEDDER = "no embedding model is open"
_NO_LM = "No LM is loaded"  # DSPy's words
_LIMIT_SECONDS = 10.0


def metric_trial(parts: ProjectParts) -> Iterator[Finding]:
    """Yield what a metric makes of answers whose worth is known.

    Raises:
        MetricError: it can't score an expected output.
    """
    examples, outputs = parts.splits.examples, parts.fields.outputs
    told = [example for example in examples if all(name in example.values for name in outputs)]
    if not told:
        names = ", ".join(outputs)
        yield Finding("ok", "metric", f"not tried: no example holds the outputs ({names}) to try it on")
        return
    try:
        with placing_errors(told):
            scores = [(example, _score(parts, example, _gold(parts, example))) for example in told]
    except MetricError as error:
        if not _asks_a_model(error):
            raise
        whom = "an embedding model" if _NO_EMBEDDER in error.message else "a judge"
        yield Finding("ok", "metric", f"not tried: it asks {whom}, which answers in a run only")
        return
    wrong = [example for example, score in scores if not score.is_success]
    tried = f"the expected outputs of {len(told) - len(wrong)} of {len(told)} examples count as right"
    if wrong:
        yield Finding(
            "warn",
            "metric",
            f"{tried}; not those of {wrong[0].where}",
            "Correct the metric or these examples: what is expected should be right.",
            field="metric.kind",
        )
    else:
        yield Finding("ok", "metric", tried)
    yield from _each_metric(scores)
    yield from _unfinished(scores)
    yield from _on_other_answers(parts, told)
    yield from _twice(parts, told[0])


def _each_metric(scores: Sequence[tuple[LoadedExample, Score]]) -> Iterator[Finding]:
    """Tell of each of several metrics how many expected outputs it counts as right."""
    names = list(scores[0][1].metrics)
    for name in names if len(names) > 1 else ():
        wrong = [example for example, score in scores if not score.metrics[name].is_success]
        text = f"{name}: the expected outputs of {len(scores) - len(wrong)} of {len(scores)} count as right"
        yield Finding("ok", "metric", f"{text}; not those of {wrong[0].where}" if wrong else text)


def _asks_a_model(error: MetricError) -> bool:
    return any(words in error.message for words in (_NO_JUDGE, _NO_EMBEDDER, _NO_LM))


def _on_other_answers(parts: ProjectParts, told: Sequence[LoadedExample]) -> Iterator[Finding]:
    """Try answers that are expected elsewhere, and empty ones: a run meets both."""
    step = max(1, len(told) // _TRIED)
    scores: list[tuple[LoadedExample, Score]] = []
    for example in told[::step][:_TRIED]:
        for kind, answer in _other_answers(parts, example, told):
            try:
                scores.append((example, _score(parts, example, answer)))
            except MetricError as error:
                yield Finding(
                    "fail",
                    "metric",
                    f"{error.message} It was tried on {kind} answer; a run would end there.",
                    "Return a score for every answer: 0 for one that can't be compared.",
                    exit_code=error.exit_code,
                    field="metric.python",
                )
                return
    yield from _unfinished(scores)
    if scores and all(score.is_success for _, score in scores):
        best = max(score.value for _, score in scores)
        yield Finding(
            "warn",
            "metric",
            f"all {len(scores)} wrong and empty answers that were tried count as right too",
            "Correct the metric: it has to tell answers apart."
            if best == 1
            else f"They score up to {best:g}: raise the score from which an answer is right "
            "([metric] threshold; in Python, return a Score).",
            field="metric.kind",
        )


def _other_answers(
    parts: ProjectParts, example: LoadedExample, told: Sequence[LoadedExample]
) -> Iterator[tuple[str, dspy.Prediction]]:
    gold = _gold(parts, example)
    other = next((_gold(parts, one) for one in told if _gold(parts, one).items() != gold.items()), None)
    if other is not None:
        yield "a wrong", other
    if all(isinstance(value, str) for _, value in gold.items()):
        yield "an empty", dspy.Prediction(**{name: "" for name, _ in gold.items()})


def _twice(parts: ProjectParts, example: LoadedExample) -> Iterator[Finding]:
    first, second = (_score(parts, example, _gold(parts, example)).value for _ in range(2))
    if first != second:
        yield Finding(
            "warn",
            "metric",
            f"it scored one answer twice, once {first:g} and once {second:g} ({example.where})",
            "A rule is kept for a difference of scores: one that comes by chance misleads. Fix its seed.",
            field="metric.python",
        )


def _unfinished(scores: Sequence[tuple[LoadedExample, Score]]) -> Iterator[Finding]:
    """Tell of answers on which a metric exits or never ends: a run counts them as wrong."""
    for example, score in scores:
        if score.error_type in (EXITED, TIMED_OUT):
            yield Finding(
                "warn",
                "metric",
                f"{score.feedback} That was on {example.where}.",
                "Such answers count as wrong; correct the metric.",
                field="metric.python",
            )
            return


def _score(parts: ProjectParts, example: LoadedExample, answer: dspy.Prediction) -> Score:
    with _alarm(_LIMIT_SECONDS):
        return as_metric(parts.metric).untimed(example.values, answer)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Interrupt what runs in here after `seconds`; in the main thread that stops an endless `re` too."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise TimeLimitError

    handler, timer = signal.signal(signal.SIGALRM, ring), signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def _gold(parts: ProjectParts, example: LoadedExample) -> dspy.Prediction:
    expected: dict[str, Any] = {name: example.values[name] for name in parts.fields.outputs}
    return dspy.Prediction(**expected)
