"""The base program and DSPy's optimizers on it, on the same model object, splits, metric and budget."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from benchmarks.real.tasks import Example, Task
from benchmarks.real.usage import CountingEngine
from engine.programs.metrics import built_in_metric

THREADS = 10
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Work:
    """What an optimizer gets: the program, the examples, the metric, and what it may use."""

    program: dspy.Module
    train: Sequence[dspy.Example]
    validation: Sequence[dspy.Example]
    metric: Callable[..., Any]
    feedback_metric: Callable[..., dspy.Prediction]
    reflection: dspy.LM
    runs: int
    seed: int
    demonstrations: int


Settings = dict[str, Any]


def base(work: Work) -> tuple[dspy.Module, Settings]:
    """Return the program with its base instructions."""
    return work.program, {}


def labeled(work: Work) -> tuple[dspy.Module, Settings]:
    """Show the first examples that DSPy draws, without asking anything."""
    optimizer = dspy.LabeledFewShot(k=work.demonstrations)
    return optimizer.compile(work.program, trainset=list(work.train)), {"k": work.demonstrations}


def bootstrap_rs(work: Work) -> tuple[dspy.Module, Settings]:
    """Draw demonstrations at random and keep the set with the best validation score."""
    each = len(work.validation) + 8  # a draw bootstraps until four answers are right
    candidates = max(1, (work.runs - 2 * len(work.validation)) // each - 1)
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=work.metric,
        num_candidate_programs=candidates,
        num_threads=THREADS,
        max_errors=_NO_LIMIT,
    )
    program = optimizer.compile(work.program, trainset=list(work.train), valset=list(work.validation))
    return program, {"num_candidate_programs": candidates}


def mipro_v2(work: Work) -> tuple[dspy.Module, Settings]:
    """Search instructions and demonstrations together."""
    n = len(work.validation)
    minibatch = min(35, n)
    trials = max(1, round((work.runs - 30 - 2 * n) / (minibatch + n / 5)))
    optimizer = dspy.MIPROv2(
        metric=work.metric,
        prompt_model=work.reflection,
        auto=None,
        num_candidates=6,
        num_threads=THREADS,
        max_errors=_NO_LIMIT,
        seed=work.seed,
    )
    program = optimizer.compile(
        work.program,
        trainset=list(work.train),
        valset=list(work.validation),
        num_trials=trials,
        minibatch_size=minibatch,
    )
    return program, {"num_candidates": 6, "num_trials": trials, "minibatch_size": minibatch}


def gepa(work: Work) -> tuple[dspy.Module, Settings]:
    """Rewrite the instructions by reflection."""
    optimizer = dspy.GEPA(
        metric=work.feedback_metric,
        max_metric_calls=work.runs,
        reflection_lm=work.reflection,
        num_threads=THREADS,
        seed=work.seed,
    )
    program = optimizer.compile(work.program, trainset=list(work.train), valset=list(work.validation))
    return program, {"max_metric_calls": work.runs}


def simba(work: Work) -> tuple[dspy.Module, Settings]:
    """Climb by minibatches, with demonstrations and self-written rules."""
    batch, candidates = min(16, len(work.train)), 4
    each = batch * (2 * candidates + 1) + len(work.train)
    steps = max(1, (work.runs - len(work.train)) // each)
    optimizer = dspy.SIMBA(
        metric=work.metric,
        bsize=batch,
        num_candidates=candidates,
        max_steps=steps,
        prompt_model=work.reflection,
        num_threads=THREADS,
    )
    program = optimizer.compile(work.program, trainset=list(work.train), seed=work.seed)
    return program, {"bsize": batch, "num_candidates": candidates, "max_steps": steps}


def infer_rules(work: Work) -> tuple[dspy.Module, Settings]:
    """Bootstrap demonstrations, then append induced rules; the best candidate on validation is kept."""
    candidates = max(1, (work.runs - 8) // len(work.validation))
    optimizer = dspy.InferRules(
        metric=work.metric,
        num_candidates=candidates,
        num_threads=THREADS,
        max_errors=_NO_LIMIT,
    )
    program = optimizer.compile(work.program, trainset=list(work.train), valset=list(work.validation))
    return program, {"num_candidates": candidates, "num_rules": 10}


PEERS: dict[str, Callable[[Work], tuple[dspy.Module, Settings]]] = {
    "base": base,
    "labeled": labeled,
    "bootstrap_rs": bootstrap_rs,
    "mipro_v2": mipro_v2,
    "gepa": gepa,
    "simba": simba,
    "infer_rules": infer_rules,
}
WITHOUT_BUDGET = (base, labeled)


@dataclass(frozen=True)
class Bench:
    """One task on one opened model: runs a method and scores what it made, once, on the test split."""

    task: Task
    lm: dspy.LM
    reflection_tokens: int | None = None

    def measure(self, method: str, seed: int, runs: int) -> dict[str, Any]:
        """Return a record of one method: its scores, what it used, and its settings; or what went wrong.

        "labeled-12" is LabeledFewShot with 12 demonstrations.
        """
        name, _, demonstrations = method.partition("-")
        engine = CountingEngine(self.lm.engine, self.task.inputs, seed, self.reflection_tokens)
        lm = self.lm.copy(engine=engine)
        began = time.monotonic()
        with dspy.context(lm=lm, adapter=dspy.JSONAdapter(), max_errors=_NO_LIMIT, num_threads=THREADS):
            try:
                program, settings = PEERS[name](self._work(lm, seed, runs, int(demonstrations or 0)))
                learned = {"seconds": time.monotonic() - began, "usage": engine.reset().as_record()}
                scores = self._score(program)
            except Exception as error:
                traceback.print_exc()
                return {
                    "status": "failed",
                    "problem": f"{type(error).__name__}: {error}"[:300],
                    "seconds": time.monotonic() - began,
                    "usage": engine.reset().as_record(),
                }
        return {
            "status": "ok",
            "scores": scores,
            **learned,
            "test_seconds": time.monotonic() - began - learned["seconds"],
            "test_usage": engine.reset().as_record(),
            "settings": settings,
            "prompt": [
                {"instructions": p.signature.instructions, "demonstrations": len(p.demos)}
                for p in program.predictors()
            ],
        }

    def _work(self, lm: dspy.LM, seed: int, runs: int, demonstrations: int) -> Work:
        return Work(
            program=_program(self.task),
            train=_shuffled([self._example(e) for e in self.task.train], seed),
            validation=[self._example(e) for e in self.task.validation],
            metric=self._metric,
            feedback_metric=self._feedback_metric,
            reflection=lm.copy(temperature=1.0),
            runs=runs,
            seed=seed,
            demonstrations=demonstrations,
        )

    def _example(self, example: Example) -> dspy.Example:
        return dspy.Example(**example).with_inputs(*self.task.inputs)

    def _judge(self, example: dspy.Example, prediction: Any) -> Any:
        task = self.task
        metric = built_in_metric(task.metric, task.field, **task.metric_options)  # type: ignore[arg-type]
        return metric(example.toDict(), prediction)

    def _metric(self, example: dspy.Example, prediction: Any, trace: Any = None) -> float | bool:
        """Score an answer; while demonstrations are bootstrapped, say whether it is right."""
        score = self._judge(example, prediction)
        return score.value if trace is None else score.is_success

    def _feedback_metric(self, example: dspy.Example, prediction: Any, *_traces: Any) -> dspy.Prediction:
        score = self._judge(example, prediction)
        return dspy.Prediction(score=score.value, feedback=score.feedback or "Right.")

    def _score(self, program: dspy.Module) -> list[float]:
        """Return the score of each test example; an answer that can't be read scores 0."""
        evaluate = dspy.Evaluate(
            devset=[self._example(e) for e in self.task.test],
            metric=self._metric,
            num_threads=THREADS,
            max_errors=_NO_LIMIT,
            provide_traceback=False,
        )
        return [float(score) for _, _, score in evaluate(program).results]


def _program(task: Task) -> dspy.Module:
    signature = dspy.Signature(task.signature, task.instructions or None)
    for name, description in task.fields.items():
        signature = signature.with_updated_fields(name, desc=description)
    return dspy.ChainOfThought(signature) if task.module == "chain_of_thought" else dspy.Predict(signature)


def _shuffled(examples: list[dspy.Example], seed: int) -> list[dspy.Example]:
    """Return the examples in an order of the seed: most of the optimizers have no other use for one.

    Seed 1 leaves them in the order of the file.
    """
    if seed != 1:
        random.Random(seed).shuffle(examples)
    return examples
