"""DSPy's searches over instructions, rules and demonstrations: MIPROv2, SIMBA, GEPA, InferRules and COPRO.

Each is sized to its budget in advance, from the cost of a candidate in its source code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dspy

from engine.ground.errors import ConfigError
from engine.learning.methods.few_shot import BOOTSTRAPPED, LABELED, affordable, shuffled, success_metric
from engine.learning.methods.method import MethodTask

_FEWEST_FOR_MIPRO = 10
_MIPRO_CANDIDATES = 6
_PROPOSING = 12
"""Calls by which MIPROv2 describes the data before it proposes instructions."""
_PER_PROPOSAL = 3
"""Calls by which it describes the program and the step again for each instruction, and writes it."""
_SIMBA_BATCH = 16
_SIMBA_CANDIDATES = 3
_GEPA_MINIBATCH = 3
_SHARE_OF_BOOTSTRAPPING = 4
"""The part of its calls, 1 in 4, that InferRules may bootstrap with."""
_COPRO_BREADTH = 4
_COPRO_EXAMPLES = 20


@contextmanager
def _extra(method: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{method} needs the package {error.name}, which isn't installed.",
            hint="pip install 'promptgrad-tui[optimizers]'",
        ) from error


def mipro_v2(task: MethodTask) -> dspy.Module:
    """Search instructions and demonstrations together, guided by a model of good combinations.

    Source: Opsahl-Ong et al. 2024 (arXiv 2406.11695).
    """
    if len(task.validation) < _FEWEST_FOR_MIPRO:
        raise ConfigError(
            f"mipro_v2 has {len(task.validation)} validation examples to compare candidates on: too few.",
            hint=f"Validate on {_FEWEST_FOR_MIPRO} examples or more.",
        )
    setup = (_PROPOSING + _MIPRO_CANDIDATES * (_PER_PROPOSAL + 2 * BOOTSTRAPPED)) * task.steps
    per_trial = len(task.validation) * task.steps
    task.need("mipro_v2", setup + 2 * per_trial)
    with _extra("mipro_v2"):
        import optuna  # noqa: F401
    search = dspy.MIPROv2(
        metric=success_metric(task),
        prompt_model=task.reflection_lm,
        task_model=task.lm,
        max_bootstrapped_demos=BOOTSTRAPPED,
        max_labeled_demos=LABELED,
        auto=None,
        num_candidates=_MIPRO_CANDIDATES,
        num_threads=task.threads,
        seed=task.seed,
    )
    return search.compile(
        task.program,
        trainset=shuffled(task),
        valset=task.dspy_examples(task.validation),
        # The base is scored once more than there are trials.
        num_trials=(task.calls - setup) // per_trial - 1,
        minibatch=False,
    )


def simba(task: MethodTask) -> dspy.Module:
    """Learn rules and demonstrations from the examples whose answers vary most.

    Source: DSPy's SIMBA, stochastic introspective mini-batch ascent.
    """
    batch = min(_SIMBA_BATCH, len(task.train))
    # A step samples its batch, then writes and tries one candidate more than it samples.
    per_step = (batch * _SIMBA_CANDIDATES + (batch + 1) * (_SIMBA_CANDIDATES + 1)) * task.steps
    per_example = (_SIMBA_CANDIDATES + 1) * task.steps
    task.need("simba", per_step + batch * per_example, f"a batch of {batch} training examples")
    # In the end the best candidates are compared on all examples, for half of the budget at most.
    most = min(task.calls // 2, task.calls - per_step) // per_example
    examples = shuffled(task)[: max(most, batch)]
    search = dspy.SIMBA(
        metric=lambda example, prediction: task.score(example, prediction).value,
        bsize=batch,
        num_candidates=_SIMBA_CANDIDATES,
        max_steps=(task.calls - len(examples) * per_example) // per_step,
        max_demos=BOOTSTRAPPED,
        prompt_model=task.reflection_lm,
        num_threads=task.threads,
    )
    return search.compile(task.program, trainset=examples, seed=task.seed)


def gepa(task: MethodTask) -> dspy.Module:
    """Rewrite instructions by reflection on failures, over a Pareto front of candidates.

    Source: Agrawal et al. 2025 (arXiv 2507.19457).
    """
    task.need("gepa", (len(task.validation) + 2 * _GEPA_MINIBATCH + 1) * task.steps)

    def metric(
        example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> dspy.Prediction:
        del trace, pred_name, pred_trace
        score = task.score(example, prediction)
        return dspy.Prediction(score=score.value, feedback=score.feedback or "This is right.")

    # One reflection comes with two minibatches, before and after it.
    runs = task.calls * 2 * _GEPA_MINIBATCH // ((2 * _GEPA_MINIBATCH + 1) * task.steps)
    # GEPA looks at its limit only before a candidate, whose validation may then go beyond it.
    if runs > 3 * len(task.validation):
        runs -= len(task.validation)
    with _extra("gepa"):
        search = dspy.GEPA(
            metric=metric,
            max_metric_calls=runs,
            reflection_minibatch_size=_GEPA_MINIBATCH,
            reflection_lm=task.reflection_lm,
            num_threads=task.threads,
            seed=task.seed,
            warn_on_score_mismatch=False,
        )
        return search.compile(
            task.program,
            trainset=task.dspy_examples(task.train),
            valset=task.dspy_examples(task.validation),
        )


def infer_rules(task: MethodTask) -> dspy.Module:
    """Bootstrap demonstrations, then append the best of several lists of induced rules.

    Source: DSPy's InferRules.
    """
    per_candidate = (len(task.validation) + 1) * task.steps
    examples = affordable(task, task.calls // _SHARE_OF_BOOTSTRAPPING)
    bootstrapping = len(examples) * task.steps
    on = f"{len(examples)} training and {len(task.validation)} validation examples"
    task.need("infer_rules", bootstrapping + per_candidate, on)
    search = dspy.InferRules(
        metric=success_metric(task),
        num_candidates=(task.calls - bootstrapping) // per_candidate,
        num_threads=task.threads,
        teacher_settings={"lm": task.reflection_lm},
        max_bootstrapped_demos=BOOTSTRAPPED,
        max_labeled_demos=LABELED,
    )
    while len(examples) > 1 and not _are_readable(task, search, examples):
        examples = examples[: len(examples) * 3 // 4]
    return search.compile(task.program, trainset=examples, valset=task.dspy_examples(task.validation))


def _are_readable(task: MethodTask, search: dspy.InferRules, examples: Sequence[dspy.Example]) -> bool:
    """Whether rules can be induced from these examples: all of them are in one prompt."""
    return all(
        task.fits([{"role": "user", "content": search.format_examples(examples, step.signature)}])
        for step in task.program.predictors()
    )


def copro(task: MethodTask) -> dspy.Module:
    """Climb by coordinate ascent over instructions that a model proposes from the best so far.

    Source: DSPy's COPRO, after Yang et al. 2023 (arXiv 2309.03409).
    """
    examples = shuffled(task)[:_COPRO_EXAMPLES]
    per_round = _COPRO_BREADTH * (len(examples) * task.steps + 1) * task.steps
    task.need("copro", per_round, f"{len(examples)} training examples")
    search = dspy.COPRO(
        prompt_model=task.reflection_lm,
        metric=success_metric(task),
        breadth=_COPRO_BREADTH,
        depth=task.calls // per_round,
    )
    return search.compile(
        task.program.deepcopy(),
        trainset=examples,
        eval_kwargs={"num_threads": task.threads, "display_progress": False},
    )
