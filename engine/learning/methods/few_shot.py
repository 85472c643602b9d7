"""Methods that show examples: DSPy's LabeledFewShot, BootstrapFewShot and random search over both.

Source: Khattab et al. 2023, DSPy (arXiv 2310.03714).
"""

from __future__ import annotations

from typing import Any

import dspy
from dspy.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch, LabeledFewShot

from engine.ground.seeds import generator
from engine.learning.methods.method import MethodTask

LABELED = 12
"""Examples shown as they are labelled."""
BOOTSTRAPPED = 4
"""Examples shown as the program itself answered them, where it was right."""
_SETS_THAT_COME_FIRST = 3
"""Random search begins with no examples, labelled ones, and bootstrapped ones in order."""


def shuffled(task: MethodTask) -> list[dspy.Example]:
    """Return the training examples in an order that the run's seed decides."""
    examples = task.dspy_examples(task.train)
    generator(task.seed, "method", "train").shuffle(examples)
    return examples


def success_metric(task: MethodTask) -> Any:
    """Return the metric as DSPy calls it: whether a trace is right, or how good an answer is."""

    def metric(example: dspy.Example, prediction: Any, trace: Any = None) -> float | bool:
        score = task.score(example, prediction)
        return score.value if trace is None else score.is_success

    return metric


def labeled_few_shot(task: MethodTask) -> dspy.Module:
    """Show labelled examples; this makes no model calls."""
    return LabeledFewShot(k=LABELED).compile(task.program, trainset=shuffled(task), sample=False)


def bootstrap_few_shot(task: MethodTask) -> dspy.Module:
    """Show examples that the program answers right, with its steps."""
    task.need("bootstrap_few_shot", len(task.train) * task.steps)
    search = BootstrapFewShot(
        metric=success_metric(task),
        max_bootstrapped_demos=BOOTSTRAPPED,
        max_labeled_demos=LABELED,
        max_errors=len(task.train),
    )
    return search.compile(task.program, trainset=shuffled(task))


def bootstrap_random_search(task: MethodTask) -> dspy.Module:
    """Try several sets of bootstrapped and labelled examples, and keep the best on validation."""
    # A set costs its bootstrapping, which stops after enough successes, and one validation.
    per_set = (len(task.validation) + 2 * BOOTSTRAPPED) * task.steps
    sets = task.calls // per_set - _SETS_THAT_COME_FIRST
    task.need("bootstrap_random_search", (_SETS_THAT_COME_FIRST + 1) * per_set)
    search = BootstrapFewShotWithRandomSearch(
        metric=success_metric(task),
        max_bootstrapped_demos=BOOTSTRAPPED,
        max_labeled_demos=LABELED,
        num_candidate_programs=sets,
        num_threads=task.threads,
        max_errors=len(task.validation),
    )
    return search.compile(task.program, trainset=shuffled(task), valset=task.dspy_examples(task.validation))
