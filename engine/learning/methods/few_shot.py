"""Methods that show examples: DSPy's LabeledFewShot, KNNFewShot, BootstrapFewShot and random search.

Source: Khattab et al. 2023, DSPy (arXiv 2310.03714).
"""

from __future__ import annotations

from typing import Any

import dspy
from dspy.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch, LabeledFewShot

from engine.ground.errors import ConfigError
from engine.ground.examples import example_key, public_fields
from engine.ground.score import Example
from engine.ground.seeds import generator
from engine.learning.methods.method import MethodTask
from engine.programs.conditional import ConditionalProgram
from engine.programs.demonstrations import Demonstration, DemonstrationSet

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


def affordable(task: MethodTask, calls: int) -> list[dspy.Example]:
    """Return as many shuffled training examples as can be answered once with `calls`, but enough to show."""
    return shuffled(task)[: max(calls // task.steps, LABELED + BOOTSTRAPPED)]


def success_metric(task: MethodTask) -> Any:
    """Return the metric as DSPy calls it: whether a trace is right, or how good an answer is."""

    def metric(example: dspy.Example, prediction: Any, trace: Any = None) -> float | bool:
        score = task.score(example, prediction)
        return score.value if trace is None else score.is_success

    return metric


def labeled_few_shot(task: MethodTask) -> dspy.Module:
    """Show labelled examples; this makes no model calls."""
    return LabeledFewShot(k=LABELED).compile(task.program, trainset=shuffled(task), sample=False)


def knn_few_shot(task: MethodTask) -> dspy.Module:
    """Show each input the labelled examples that are most like it; this makes no model calls.

    DSPy's KNNFewShot asks an embedding model, bootstraps again for each input, and can't be saved. Here the
    inputs' words are compared, and the program that picks is saved with the examples that it picks from.

    Raises:
        ConfigError: the examples label no output of the program.
    """
    shown = DemonstrationSet(
        demonstration
        for example in task.train
        for step, predictor in task.program.named_predictors()
        if (demonstration := _labelled(example, step, predictor.signature)) is not None
    )
    if not len(shown):
        raise ConfigError(
            "knn_few_shot shows labelled examples, and the training examples label no output of the program.",
            hint="Add the expected output to the training examples, or take bootstrap_few_shot.",
        )
    return ConditionalProgram(task.program.deepcopy(), demonstrations=shown, nearest=LABELED)


def _labelled(example: Example, step: str, signature: Any) -> Demonstration | None:
    """Return an example as a step shows it; None if it has no input or no output of the step."""
    inputs, outputs = (
        {name: example[name] for name in fields if example.get(name) is not None}
        for fields in (signature.input_fields, signature.output_fields)
    )
    if not inputs or not outputs:
        return None
    key = example_key(example, public_fields(example))
    return Demonstration(inputs=inputs, outputs=outputs, predictor=step, example=key, source="labelled")


def bootstrap_few_shot(task: MethodTask) -> dspy.Module:
    """Show examples that the program answers right, with its steps."""
    fewest = min(BOOTSTRAPPED, len(task.train))
    task.need("bootstrap_few_shot", fewest * task.steps, f"the {fewest} training examples to be shown")
    search = BootstrapFewShot(
        metric=success_metric(task), max_bootstrapped_demos=BOOTSTRAPPED, max_labeled_demos=LABELED
    )
    return search.compile(task.program, trainset=affordable(task, task.calls))


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
    )
    return search.compile(task.program, trainset=shuffled(task), valset=task.dspy_examples(task.validation))
