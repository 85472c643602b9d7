"""What a run works with, complete before the run begins: plan, journal, history, control and replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Self

from engine.ground.errors import ProjectError
from engine.ground.model import Messages
from engine.journal.control import RunControl
from engine.journal.event_parts import ModelUsed
from engine.journal.events import Event, Notice, RunContinued, RunPaused, RunResumed, RunStarted
from engine.journal.journal import Journal
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_judge
from engine.programs.coercion import as_metric
from engine.programs.program import base_instructions
from engine.release.artifacts import program_digest
from engine.release.run_plan import RunPlan, installed_versions

_LONGEST_SHOWN = 3000
"""Tokens of a prompt with all its demonstrations: two processor cores read them in less than a minute."""

Listener = Callable[[Event], None]


class RunEvents:
    """Writes a run's events to the journal; those that are new there go on to `on_event`."""

    def __init__(self, journal: Journal, run: str, on_event: Listener | None) -> None:
        self._journal = journal
        self._run = run
        self._on_event = on_event
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every event before it is written, replayed ones included."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Write an event."""
        for listener in self._listeners:
            listener(event)
        if self._journal.append(self._run, event) and self._on_event is not None:
            self._on_event(event)


@dataclass(frozen=True)
class RunHistory:
    """What earlier processes did in a run: how it began, the number of this attempt, seconds and pauses."""

    began: RunStarted
    attempt: int
    seconds: float
    pauses: int

    @classmethod
    def of(cls, plan: RunPlan, journal: Journal) -> Self:
        """Read it from the journal; a new run begins as its plan says."""
        starts = journal.events(plan.run, kinds=["run_started", "run_resumed"])
        began = next((event for _, event in starts if isinstance(event, RunStarted)), None)
        return cls(
            began=began or _beginning(plan),
            attempt=1 + len(starts),
            seconds=_worked_seconds(journal, plan.run, starts),
            pauses=len(journal.events(plan.run, kinds=["paused"])),
        )

    @property
    def names_machine(self) -> bool:
        """Whether the run's answers are kept under the machine that gave them: older runs' weren't."""
        models = (self.began.model, self.began.reflection, self.began.judge)
        return self.attempt == 1 or any(model.numerics for model in models if model)

    @property
    def opening(self) -> Event:
        """The first event of this attempt."""
        if self.attempt > 1:
            return RunResumed(id=f"resumed/{self.attempt}", attempt=self.attempt)
        return self.began


@dataclass(frozen=True)
class RunContext:
    """A run under way; `started` is the monotonic time at which this process took it up."""

    plan: RunPlan
    journal: Journal
    events: RunEvents
    history: RunHistory
    control: RunControl
    replay: Replay
    started: float

    @property
    def seconds(self) -> float:
        """How long the run has taken, in all its processes together."""
        return self.history.seconds + time.monotonic() - self.started

    def leaves_room(self, messages: Messages) -> bool:
        """Return whether a prompt is short enough to be read quickly, and leaves half of the context."""
        return all(
            model.count_prompt_tokens(messages) <= min(model.context_length // 2, _LONGEST_SHOWN)
            for model in self.plan.models.doing
        )

    def refuse_other_models(self) -> None:
        """Refuse to go on with other models than the run began with: its results aren't theirs.

        Raises:
            ProjectError: a model's name now means other weights, or another template.
        """
        began, models = self.history.began, self.plan.models
        for before, now in (
            (began.model, models.task),
            (began.reflection, models.reflection),
            (began.judge or began.model, models.judging),
            (began.embedder, models.embedder),
            (began.search or began.model, models.searching),
        ):
            if before is None or now is None:
                continue
            if ModelUsed.of(now).is_other_than(before):
                raise ProjectError(
                    f"Since run {self.plan.run} began, {before.uri} has moved: it was {before.short} and is "
                    f"now {now.revision.short}.",
                    hint="Bring back the model as it was, or start a new run: promptgrad run",
                )
            if before.numerics and before.numerics != now.revision.numerics:
                self._tell_other_machine(before, now.revision.numerics)

    def _tell_other_machine(self, before: ModelUsed, now: str) -> None:
        text = (
            "This run began on another machine, or with another build of llama.cpp or version of PromptGrad. "
            f"Answers of {before.uri} from there may differ, so they aren't reused: they are asked again "
            f"here. What is shown of the run so far is from there. It was: {before.numerics}. It is: {now}."
        )
        self.events.emit(Notice(id=f"machine/{self.history.attempt}", level="warning", text=text))


@contextmanager
def run_context(
    plan: RunPlan, journal: Journal, events: RunEvents, history: RunHistory, after_command: int | None
) -> Iterator[RunContext]:
    """Obey a person's commands while the context lasts, except those up to number `after_command`."""
    pauses = history.pauses

    def cancel_models() -> None:
        for model in plan.models.all:
            model.cancel()

    def report_pause(is_paused: bool) -> None:
        nonlocal pauses
        if is_paused:
            pauses += 1
            events.emit(RunPaused(id=f"paused/{pauses}", reason="a person paused the run"))
        else:
            events.emit(RunContinued(id=f"continued/{pauses}"))

    with RunControl(
        journal,
        plan.run,
        after_command=after_command,
        max_minutes=plan.max_minutes,
        on_stop=cancel_models,
        on_pause=report_pause,
    ) as control:
        replay = Replay(journal, plan.run, checkpoint=control.checkpoint, names_machine=history.names_machine)
        metric = as_metric(plan.metric, success_from=plan.config.failure_threshold)
        judged = metric.judged_by(recorded_judge(replay, plan.models.judging, plan.models.embedder))
        plan = replace(plan, metric=judged)
        yield RunContext(plan, journal, events, history, control, replay, time.monotonic())


def _beginning(plan: RunPlan) -> RunStarted:
    return RunStarted(
        id="run",
        run=plan.run,
        project=str(plan.project),
        program=program_digest(plan.program),
        model=ModelUsed.of(plan.models.task),
        reflection=ModelUsed.of(plan.models.reflection),
        search=ModelUsed.of(plan.models.search) if plan.models.search else None,
        judge=None if plan.models.judging is plan.models.task else ModelUsed.of(plan.models.judging),
        base_instructions=base_instructions(plan.program, plan.config.base_prompt_source),
        config=asdict(plan.config),
        seed=plan.config.seed or 0,
        data=plan.data,
        versions=installed_versions(),
        embedder=ModelUsed.of(plan.models.embedder) if plan.models.embedder else None,
        metric=plan.metric_name,
        carved_test=plan.carving.recorded_by(plan.run) if plan.carving else None,
    )


def _worked_seconds(journal: Journal, run: str, starts: Sequence[tuple[int, Event]]) -> float:
    """Seconds that earlier processes worked on the run: from each one's start to its last event."""
    nexts = [*(number for number, _ in starts[1:]), None]
    return sum(
        (journal.last_worked(run, before=later) or event.time) - event.time
        for (_, event), later in zip(starts, nexts, strict=False)  # no start, nothing after it
    )
