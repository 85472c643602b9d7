"""A few rollouts of a project's program, measured before a run. Nothing is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.ground.model import Model, Progress, RunModels
from engine.journal.completions import MemoryCompletions
from engine.journal.events import Event, RolloutFinished
from engine.journal.replay import Replay
from engine.learning.rollouts import UNPARSEABLE, RolloutRunner
from engine.learning.search_agreement import SearchAgreement, search_agreement
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig
from promptgrad_tui.views.estimate import Measured
from promptgrad_tui.work.run.planning import ProjectParts


@dataclass(frozen=True)
class Probed:
    """What a few rollouts took, and how many were right or couldn't be read."""

    measured: Measured
    rollouts: int
    right: int
    unparseable: int


def probe(
    parts: ProjectParts,
    model: Model,
    config: PromptGradConfig,
    rollouts: int,
    on_progress: Progress | None = None,
) -> Probed:
    """Run the program on the first training examples, as many at a time as a run would.

    Raises:
        ModelUnavailableError: the model doesn't answer.
        ContextOverflowError: a prompt is too long.
    """
    events: list[RolloutFinished] = []
    asked = min(rollouts + 1, len(parts.splits.train)) or 1

    def keep(event: Event) -> None:
        if isinstance(event, RolloutFinished):
            events.append(event)
            show()

    def show() -> None:
        if on_progress:
            on_progress(f"Measuring: {len(events)} of {asked} answers,", len(events) / asked)

    replay = Replay(MemoryCompletions(), "probe")
    runner = RolloutRunner(
        FrozenProgram(parts.program, config.base_prompt_source),
        parts.metric,
        replay.lm(model),
        max_workers=config.max_workers,
        emit=keep,
    )
    try:
        show()
        examples = [example.values for example in parts.splits.train[: rollouts + 1]]
        first, *items = runner.items(examples, "train")
        runner.run(LearnedState(), [first])  # what is loaded at the first call would be measured too
        before = replay.usage()
        started = time.perf_counter()
        runner.run(LearnedState(), items)
        seconds = time.perf_counter() - started
    finally:
        runner.close()
    usage = replay.usage()
    calls = max(usage.calls - before.calls, 1)
    prompt = usage.tokens.prompt - before.tokens.prompt
    completion = usage.tokens.completion - before.tokens.completion
    return Probed(
        Measured(calls, seconds, prompt / calls, completion / calls),
        rollouts=len(events),
        right=sum(event.is_success for event in events),
        unparseable=sum(event.error_type == UNPARSEABLE for event in events),
    )


def compared_answers(parts: ProjectParts, models: RunModels, config: PromptGradConfig) -> SearchAgreement:
    """Return how many of the first training examples the search's model answers as the task's does.

    Raises:
        PromptGradError: as `probe` does.
    """
    replay = Replay(MemoryCompletions(), "probe")
    runners = [
        RolloutRunner(
            FrozenProgram(parts.program, config.base_prompt_source),
            parts.metric,
            replay.lm(model),
            max_workers=config.max_workers,
            emit=lambda _event: None,
        )
        for model in (models.task, models.searching)
    ]
    prover, searcher = runners
    try:
        examples = [example.values for example in parts.splits.train]
        return search_agreement(prover, searcher, prover.items(examples, "train"))
    finally:
        prover.close()
        searcher.close()
