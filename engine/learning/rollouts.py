"""Rollouts: the program run on examples, in parallel, each at most once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel

from engine.ground.errors import (
    ContextOverflowError,
    MetricError,
    ProjectError,
    PromptGradError,
)
from engine.ground.examples import Item, Split, example_key, example_name, public_fields
from engine.ground.score import Example, Metric, Score
from engine.ground.seeds import derive_seed, sampling_lm
from engine.journal.completions import Used
from engine.journal.event_base import Tokens
from engine.journal.events import Emit, Notice, RolloutFinished
from engine.journal.replay import cause_of, recording
from engine.programs.coercion import EXITED, TIMED_OUT, as_metric
from engine.programs.faults import fault_of, program_error
from engine.programs.judge import Judge
from engine.programs.program import FrozenProgram, run_program, trace_text
from engine.programs.selection import Selection
from engine.programs.state import LearnedState
from engine.programs.steps import Step, trace_steps
from engine.programs.unreadable import Reading, Unreadable
from engine.programs.user_calls import raised_at

UNPARSEABLE = "unparseable"

_MODULES_KEPT = 64
"""Programs that are kept ready: with a selection nearly every input has its own."""


@dataclass(frozen=True)
class Rollout:
    """One run of a program on one example: what it answered, the score, its prompts' tokens, its calls.

    `steps` are what each predictor that was asked saw and answered, in order. `error` is what the program
    raised after the model had answered, `unreadable` an answer that couldn't be read. `tokens` are those of
    the answer, without a judge's, and `seconds` is how long the model took for it when it was generated.
    """

    key: str
    score: Score
    prediction: dict[str, Any] | None
    trace: str
    prompt_tokens: int = 0
    calls: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float = 0.0
    steps: tuple[Step, ...] = ()
    error: ProjectError | None = None
    unreadable: Unreadable | None = None


@dataclass(frozen=True)
class _Answer:
    """What a program returned; None if nothing that can be scored, and then why, and the kind of failure."""

    prediction: Any | None
    trace: str
    problem: str = ""
    error_type: str = ""
    error: ProjectError | None = None
    unreadable: Unreadable | None = None
    steps: tuple[Step, ...] = ()


class RolloutRunner:
    """Runs programs on examples with up to `max_workers` threads and remembers every rollout.

    A rollout is known by the state that the example met, the example and the number of the repeat: with
    conditional rules or demonstrations, two states of which an example meets the same share its rollout. A
    training example never meets itself as a demonstration.
    `performed` counts the rollouts that were run and not remembered, `calls` those of the model in them;
    `reading` knows whether any answer could be read.

    Rollouts that only search for candidates (`searches`) are on another model than those that prove them.

    Whatever a model answers is scored. That includes an answer at which the program raises, unless it
    raises at all of them: then it is the program that is wrong.
    """

    def __init__(
        self,
        program: FrozenProgram,
        metric: Metric,
        lm: dspy.LM,
        *,
        adapter: dspy.Adapter | None = None,
        max_workers: int = 10,
        seed: int = 0,
        selection: Selection | None = None,
        searches: bool = False,
        emit: Emit,
    ) -> None:
        self.program = program
        self._metric = as_metric(metric).judged_by(Judge(lm), is_default=True)
        self._lm = lm
        self._adapter = adapter or dspy.JSONAdapter()
        self._seed = seed
        self._selection = selection
        self._searches = searches
        self._emit = emit
        self._pool = ThreadPoolExecutor(max_workers, thread_name_prefix="rollout")
        self._known: dict[tuple[str, str, int], Rollout] = {}
        self._modules: dict[str, dspy.Module] = {}
        self._lock = threading.Lock()
        self._has_worked = False
        self._told: set[str] = set()
        self.reading = Reading()
        self.performed = 0
        self.calls = 0
        self._samples = lm.kwargs.get("temperature") != 0  # without one, the server's own counts

    def items(self, examples: Iterable[Example], split: Split) -> list[Item]:
        """Return `examples` with their content keys; the same content has the same key."""
        made = []
        for example in examples:
            values = dict(example)
            key = example_key(values, public_fields(values))
            made.append(Item(key, split, values, self.program.take_inputs(values)))
        return made

    def run(self, state: LearnedState, items: Sequence[Item], repeat: int = 0) -> list[Rollout]:
        """Return the rollouts of the program with a learned state on `items`, in their order.

        Raises:
            ContextOverflowError: a prompt is too long; the message names the example.
            ModelUnavailableError: the model stopped answering.
            MetricError, ProjectError: the user's metric or program raised.
            UnreadableAnswersError: not one of the first answers could be read, and these are enough to tell.
        """
        futures = [
            self._pool.submit(copy_context().run, self._rollout, state, item, repeat) for item in items
        ]
        rollouts = _results(futures)
        self._tell_raised(rollouts)
        self.reading.note({rollout.key: rollout.unreadable for rollout in rollouts})
        return rollouts

    def latencies(self, state: LearnedState, items: Sequence[Item]) -> list[float]:
        """Return how long the model takes for each item, in seconds, when it is asked nothing else.

        Each is asked again, once in a run: how long a known answer took with others under way says little.
        Ask before `run` does: a model is faster with a prompt that it has just seen.

        Raises:
            PromptGradError: as `run` does.
        """
        found = []
        for item in items:
            with recording(apart="latency") as used:
                self._answer(self._module(self._effective(state, item)), item, 0, used)
            found.append(used.seconds)
            with self._lock:
                self.performed += 1
                self.calls += len(used.completions)
        return found

    def is_known(self, state: LearnedState, item: Item, repeat: int = 0) -> bool:
        """Return whether this rollout would cost nothing."""
        return self._cache_key(state, item, repeat) in self._known

    @property
    def metric_name(self) -> str:
        """What the metric is called."""
        return self._metric.name

    @property
    def calls_per_rollout(self) -> float:
        """How many calls of the model a rollout took on average; 0 before the first one."""
        with self._lock:
            return self.calls / self.performed if self.performed else 0.0

    def close(self) -> None:
        """Give the threads back."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _effective(self, state: LearnedState, item: Item) -> LearnedState:
        if item.split == "train" and item.key in state.demonstrations.examples:
            state = state.with_demonstrations(state.demonstrations.without_examples([item.key]))
        return state if self._selection is None else self._selection(state, item.inputs)

    def _cache_key(self, state: LearnedState, item: Item, repeat: int) -> tuple[str, str, int]:
        return (self._effective(state, item).digest, item.key, repeat)

    def _rollout(self, state: LearnedState, item: Item, repeat: int) -> Rollout:
        effective = self._effective(state, item)
        key = (effective.digest, item.key, repeat)
        known = self._known.get(key)
        if known is None:
            known = self._run_program(self._module(effective), effective.digest, item, repeat)
            with self._lock:
                self._known[key] = known
                self.performed += 1
                self.calls += known.calls
        return known

    def _module(self, state: LearnedState) -> dspy.Module:
        with self._lock:
            if state.digest not in self._modules:
                if len(self._modules) >= _MODULES_KEPT:
                    del self._modules[next(iter(self._modules))]
                self._modules[state.digest] = self.program.with_state(state)
            return self._modules[state.digest]

    def _lm_for(self, item: Item, repeat: int) -> dspy.LM:
        if not self._samples:
            return self._lm
        return sampling_lm(self._lm, derive_seed(self._seed, "rollout", item.key, repeat))

    def _run_program(self, module: dspy.Module, digest: str, item: Item, repeat: int) -> Rollout:
        started = time.monotonic()
        with recording() as used:
            answer = self._answer(module, item, repeat, used)
        with recording() as judged:
            score = self._scored(item, answer)
        self._tell_unfinished(score, item)
        shown = None if answer.prediction is None else dict(answer.prediction.items())
        self._emit(
            RolloutFinished(
                id=f"{'search' if self._searches else 'rollout'}/{digest}/{item.key}/{repeat}",
                example=item.key,
                split=item.split,
                rules=digest,
                repeat=repeat,
                score=score.value,
                is_success=score.is_success,
                feedback=score.feedback,
                error_type=score.error_type,
                metadata=score.plain_metadata,
                metrics=score.metrics,
                prediction=None if shown is None else {key: _plain(value) for key, value in shown.items()},
                completions=(*used.keys, *judged.keys),
                judged=judged.keys,
                tokens=used.tokens + judged.tokens,
                seconds=time.monotonic() - started,
                searched=self._searches,
            )
        )
        return Rollout(
            item.key,
            score,
            shown,
            _with_feedback(answer.trace, score),
            prompt_tokens=used.tokens.prompt,
            calls=len(used.completions) + len(judged.completions),
            tokens=used.tokens,
            seconds=used.seconds,
            steps=answer.steps,
            error=answer.error,
            unreadable=answer.unreadable,
        )

    def _scored(self, item: Item, answer: _Answer) -> Score:
        """Return the metric's score; what its judge failed at is the judge's error and not the metric's."""
        if answer.prediction is None:
            return self._metric.unanswered(item.values, answer.problem, answer.error_type)
        try:
            return self._metric(item.values, answer.prediction, answer.steps)
        except MetricError as error:
            cause = cause_of(error.__cause__) if error.__cause__ is not None else None
            if cause is None or isinstance(cause, MetricError):
                raise
            raise cause from error

    def _answer(self, module: dspy.Module, item: Item, repeat: int, used: Used) -> _Answer:
        trace: list[Any] = []
        try:
            with dspy.context(lm=self._lm_for(item, repeat), adapter=self._adapter, trace=trace):
                prediction = run_program(module, item.inputs)
        except AdapterParseError as error:
            unreadable = _unreadable(error, used)
            problem = f"The answer could not be read: {unreadable.answer}"
            text = trace_text(module, trace)
            return _Answer(None, text, problem=problem, error_type=UNPARSEABLE, unreadable=unreadable)
        except Exception as error:
            explained = _explained(error, item)
            if not trace or not isinstance(explained, ProjectError) or fault_of(error) == "code":
                raise explained from error
            explained.__cause__ = error
            kind = type(error).__name__
            problem = f"The program raised {kind}: {error}"
            text = trace_text(module, trace)
            return _Answer(None, text, problem=problem, error_type=f"raised {kind}", error=explained)
        if not hasattr(prediction, "items"):
            raise ProjectError(
                f"The program returned {type(prediction).__name__} on the example "
                f"{example_name(item.values, item.key)}, and not a prediction.",
                hint="Its forward() has to return a dspy.Prediction, as a predictor does.",
                example=item.key,
            )
        return _Answer(prediction, trace_text(module, trace), steps=trace_steps(module, trace))

    def _tell_unfinished(self, score: Score, item: Item) -> None:
        """Say once that the metric ended without a score; such an answer counts as wrong."""
        if score.error_type in (EXITED, TIMED_OUT):
            where = example_name(item.values, item.key)
            text = f"{score.feedback} That was on the example {where}; such answers count as wrong."
            self._emit(Notice(id=score.error_type, level="warning", text=text))

    def _tell_raised(self, rollouts: Sequence[Rollout]) -> None:
        """Say at which example the program raised, once for each place in its code.

        Raises:
            ProjectError: it has raised at every answer so far.
        """
        errors = [rollout.error for rollout in rollouts if rollout.error is not None]
        self._has_worked = self._has_worked or len(errors) < len(rollouts)
        for error in errors:
            if not self._has_worked:
                raise error
            assert isinstance(error.__cause__, Exception)
            place = f"{type(error.__cause__).__name__}/{raised_at(error.__cause__)}"
            if place not in self._told:
                self._told.add(place)
                text = f"{error.message} Answers at which it raises count as wrong."
                self._emit(Notice(id=f"raised/{place}", level="warning", text=text))


def _results(futures: Sequence[Future[Rollout]]) -> list[Rollout]:
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()
        raise


def _explained(error: Exception, item: Item) -> PromptGradError:
    """Return the error as one made for people; it names the example."""
    where = example_name(item.values, item.key)
    known = cause_of(error)
    if isinstance(known, ContextOverflowError):
        message = f"The example {where} is too long. {known.message}"
        return ContextOverflowError(message, hint=known.hint, example=item.key)
    if known is not None:
        return known
    return program_error(error, where=where, example=item.key)


def _with_feedback(trace: str, score: Score) -> str:
    """Return a trace with what the metric said of each step."""
    said = score.metadata.get("steps")
    if not trace or not isinstance(said, Mapping):
        return trace
    steps = {name.removesuffix(".predict"): text for name, text in said.items()}
    return "\n".join((trace, *(f"feedback on step {name}: {text}" for name, text in steps.items())))


def _unreadable(error: AdapterParseError, used: Used) -> Unreadable:
    """Return what couldn't be read; of a model that isn't recorded only the adapter's error is known."""
    if not used.completions:
        return Unreadable.of(error)
    last = used.completions[-1]
    _, prompt = last.messages[-1]
    return Unreadable.recorded(error, prompt, last.answer, last.thinking)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
