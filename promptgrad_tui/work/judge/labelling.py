"""Answers for a person to grade: what the program says, before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from engine.ground.examples import example_name
from engine.ground.score import Score
from engine.ground.seeds import generator
from engine.journal.events import Event
from engine.learning.rollouts import RolloutRunner
from engine.programs.formatting import as_text
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from promptgrad_tui.work.judge.setting import JudgeSetting


@dataclass(frozen=True)
class GradedAnswer:
    """An answer to be graded: to which example, what the program was given, and what it answered."""

    example: str
    name: str
    inputs: Mapping[str, Any]
    answer: str


def answers_to_grade(setting: JudgeSetting, n: int) -> list[GradedAnswer]:
    """Return the program's answers to `n` examples of train and validation, drawn by the project's seed.

    The test split stays sealed. Answers that the journal knows cost nothing.

    Raises:
        PromptGradError: the model doesn't answer.
    """
    config, splits = setting.project.optimizer, setting.parts.splits
    examples = [*splits.train, *(splits.validation or ())]
    generator(config.seed or 0, "judge").shuffle(examples)
    runner = RolloutRunner(
        FrozenProgram(setting.parts.program, config.base_prompt_source),
        _unscored,
        setting.replay.lm(setting.models.task),
        max_workers=config.max_workers,
        emit=_ignore,
    )
    with closing(runner):
        items = runner.items([example.values for example in examples[:n]], "train")
        rollouts = runner.run(LearnedState(), items)
    return [
        GradedAnswer(
            item.key,
            example_name(item.values, item.key),
            item.inputs,
            as_text(rollout.prediction[setting.field]),
        )
        for item, rollout in zip(items, rollouts, strict=True)
        if rollout.prediction is not None and setting.field in rollout.prediction
    ]


def _unscored(example: Mapping[str, Any], prediction: Any) -> Score:
    del example, prediction
    return Score(0.0, False)


def _ignore(event: Event) -> None:
    del event
