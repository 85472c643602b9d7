"""A few rollouts of a project's program, measured and repeated before a run. Nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.ground.model import Progress, RunModels
from engine.journal.completions import MemoryCompletions
from engine.journal.events import Emit, Event, RolloutFinished
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_judge
from engine.learning.findings.search_agreement import COMPARED, SearchAgreement, search_agreement
from engine.learning.rollouts import UNPARSEABLE, RolloutRunner
from engine.programs.coercion import as_metric
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
    answers: Mapping[str, str]
    """What was answered, by the key of what was asked."""


@dataclass(frozen=True)
class Repeated:
    """How many answers were asked for again, and how many of them were others then."""

    answers: int
    changed: int


def probe(
    parts: ProjectParts,
    models: RunModels,
    config: PromptGradConfig,
    rollouts: int,
    on_progress: Progress | None = None,
    *,
    first: int = 0,
) -> Probed:
    """Run the program on training examples from the `first` on, as many at a time as a run would.

    Raises:
        ModelUnavailableError: the model doesn't answer.
        ContextOverflowError: a prompt is too long.
        UnreadableAnswersError: not one of the answers can be read.
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

    store = MemoryCompletions()
    replay = Replay(store, "probe")
    runner = _runner(parts, replay, models, config, config.max_workers, keep)
    try:
        show()
        examples = [example.values for example in parts.splits.train[first : first + asked]]
        warming, *items = runner.items(examples, "train")
        runner.run(LearnedState(), [warming])  # what is loaded at the first call would be measured too
        before = replay.usage()
        started = time.perf_counter()
        runner.run(LearnedState(), items)
        seconds = time.perf_counter() - started
        runner.reading.refuse_unreadable()
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
        answers=store.answers,
    )


def repeat(
    parts: ProjectParts,
    models: RunModels,
    config: PromptGradConfig,
    rollouts: int,
    answers: Mapping[str, str],
) -> Repeated:
    """Ask for the answers of a probe again, one at a time and then as many at a time as a run would.

    Raises:
        ModelUnavailableError: the model doesn't answer any more.
    """
    count = changed = 0
    examples = [example.values for example in parts.splits.train[: rollouts + 1]]
    for workers in (1, config.max_workers):
        store = MemoryCompletions()
        runner = _runner(parts, Replay(store, "repeat"), models, config, workers, lambda _event: None)
        try:
            runner.run(LearnedState(), runner.items(examples, "train"))
        finally:
            runner.close()
        again = store.answers
        same_requests = answers.keys() & again.keys()
        count += len(same_requests)
        changed += sum(answers[key] != again[key] for key in same_requests)
    return Repeated(count, changed)


def _runner(
    parts: ProjectParts,
    replay: Replay,
    models: RunModels,
    config: PromptGradConfig,
    workers: int,
    emit: Emit,
) -> RolloutRunner:
    return RolloutRunner(
        FrozenProgram(parts.program, config.base_prompt_source),
        as_metric(parts.metric).judged_by(recorded_judge(replay, models.judging, models.embedder)),
        replay.lm(models.task),
        max_workers=workers,
        emit=emit,
    )


def probe_search(
    parts: ProjectParts,
    models: RunModels,
    config: PromptGradConfig,
    rollouts: int,
    on_progress: Progress | None,
) -> Probed:
    """Run the program on the search's model, if there are enough on examples that weren't compared on it.

    Raises:
        PromptGradError: as `probe` does.
    """
    unread = max(0, min(COMPARED, len(parts.splits.train) - rollouts - 1))
    return probe(parts, replace(models, task=models.searching), config, rollouts, on_progress, first=unread)


def compared_answers(parts: ProjectParts, models: RunModels, config: PromptGradConfig) -> SearchAgreement:
    """Return how many of the first training examples the search's model answers as the task's does.

    Raises:
        PromptGradError: as `probe` does.
    """
    replay = Replay(MemoryCompletions(), "probe")
    prover, searcher = (
        _runner(parts, replay, replace(models, task=model), config, config.max_workers, lambda _event: None)
        for model in (models.task, models.searching)
    )
    try:
        examples = [example.values for example in parts.splits.train]
        return search_agreement(prover, searcher, prover.items(examples, "train"))
    finally:
        prover.close()
        searcher.close()
