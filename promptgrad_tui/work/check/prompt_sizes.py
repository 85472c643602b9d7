"""How long a project's prompts are: its longest example through the real adapter, and an analysis."""

from __future__ import annotations

from dataclasses import dataclass

import dspy

from engine.ground.model import RunModels
from engine.ground.score import Score
from engine.learning.analysis.prompts import analysis_inputs
from engine.learning.analysis.signatures import AnalyzeFailures
from engine.programs.formatting import FieldFormatter, as_text
from engine.programs.program import FrozenProgram
from engine.project.settings import Project
from promptgrad_tui.work.run.planning import ProjectParts

_COUNTED = 5
_SUCCESSES = 3


@dataclass(frozen=True)
class PromptSizes:
    """Tokens of the longest task prompt, with the example it is of, and of the longest analysis.

    `longest` is None for a program whose first step takes something else than the example's inputs. `picked`
    are the tokens of the demonstrations that are picked for each input; 0 where all meet the same.
    """

    longest: int | None
    longest_at: str
    analysis: int
    picked: int = 0


def prompt_sizes(project: Project, parts: ProjectParts, models: RunModels) -> PromptSizes:
    """Return the sizes of a project's prompts, counted by the models themselves."""
    adapter = dspy.JSONAdapter()
    frozen = FrozenProgram(parts.program)
    examples = sorted(
        parts.splits.examples,
        key=lambda example: sum(len(as_text(value)) for value in frozen.take_inputs(example.values).values()),
    )[-_COUNTED:]
    _, step = parts.program.named_predictors()[0]
    names = step.signature.input_fields
    sizes = [
        (
            models.task.count_prompt_tokens(
                adapter.format(step.signature, step.demos, {name: example.values[name] for name in names})
            ),
            example.where,
        )
        for example in examples
        if all(name in example.values for name in names)
    ]
    longest, where = max(sizes, default=(None, ""))
    shown = project.optimizer.gradient_failure_display_limit
    failures = [example.values for example in examples][-shown:]
    inputs = analysis_inputs(
        task=frozen.task(),
        rules=(),
        failures=[(values, Score(0.0, False), None, "") for values in failures],
        successes=failures[-_SUCCESSES:],
        formatter=FieldFormatter(frozen.inputs or ()),
    )
    analysis = models.reflection.count_prompt_tokens(adapter.format(AnalyzeFailures, [], inputs))
    return PromptSizes(longest, where, analysis, _picked(project, parts, models))


def _picked(project: Project, parts: ProjectParts, models: RunModels) -> int:
    """Return how many tokens the first step's demonstrations have that are picked for each input.

    They are counted on the first training examples, with the fields that these label.
    """
    config, adapter = project.optimizer, dspy.JSONAdapter()
    most = min(config.conditional_demonstrations, config.max_demonstrations)
    if not most:
        return 0
    _, step = parts.program.named_predictors()[0]
    fields = step.signature.fields
    shown = [
        {name: example.values[name] for name in fields if name in example.values}
        for example in parts.splits.train[:most]
    ]
    inputs = dict.fromkeys(step.signature.input_fields, "")
    without, tokens = (
        models.task.count_prompt_tokens(adapter.format(step.signature, [*step.demos, *own], inputs))
        for own in ([], shown)
    )
    return tokens - without
