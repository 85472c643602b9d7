"""Answers for a person to grade: what the program says, before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from engine.ground.examples import example_name
from engine.ground.model import Progress
from engine.ground.score import Score
from engine.ground.seeds import generator
from engine.learning.rollouts import RolloutRunner
from engine.programs.formatting import as_text
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from promptgrad_tui.work.answer_progress import rollout_counter
from promptgrad_tui.work.code.program import judged_section
from promptgrad_tui.work.judge.grading import GradedAnswer, GradingTask
from promptgrad_tui.work.judge.setting import JudgeSetting


def grading_task(setting: JudgeSetting, n: int, on_progress: Progress) -> GradingTask:
    """Return the program's answers to `n` examples of train and validation, drawn by the project's seed.

    The test split stays sealed. Answers that the journal knows cost nothing. `on_progress` is called after
    each answer.

    Raises:
        PromptGradError: the model doesn't answer.
    """
    config, splits = setting.project.optimizer, setting.parts.splits
    examples = [*splits.train, *(splits.validation or ())]
    generator(config.seed or 0, "judge").shuffle(examples)
    examples = examples[:n]
    runner = RolloutRunner(
        FrozenProgram(setting.parts.program, config.base_prompt_source),
        _unscored,
        setting.replay.lm(setting.models.task),
        max_workers=config.max_workers,
        emit=rollout_counter("Asking the program", len(examples), on_progress),
    )
    with closing(runner):
        items = runner.items([example.values for example in examples], "train")
        rollouts = runner.run(LearnedState(), items)
    is_compared = judged_section(setting.project).kind == "pairwise"
    answers = [
        GradedAnswer(
            item.key,
            example_name(item.values, item.key),
            {name: as_text(value) for name, value in item.inputs.items()},
            as_text(rollout.prediction[setting.field]),
            as_text(item.values[setting.field]) if is_compared else "",
        )
        for item, rollout in zip(items, rollouts, strict=True)
        if rollout.prediction is not None and setting.field in rollout.prediction
    ]
    return GradingTask(answers, setting.criteria, setting.scale, is_compared)


def _unscored(example: Mapping[str, Any], prediction: Any) -> Score:
    del example, prediction
    return Score(0.0, False)
