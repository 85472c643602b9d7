"""A run of the engine on a scripted model, recorded once, and written again for each test that watches it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from engine.ground.model import RunModels
from engine.journal.completions import Completion
from engine.journal.decisions import Decision
from engine.journal.events import (
    AnalysisFinished,
    ArtifactSaved,
    Event,
    ReviewApplied,
    RolloutFinished,
    RulesChanged,
    RunFinished,
    event_adapter,
)
from engine.journal.journal import Journal, RunRecord, journal_path
from engine.programs.formatting import FieldFormatter
from engine.programs.rules import Rule
from engine.project.fingerprint import project_fingerprint
from engine.project.settings import load_project
from engine.release.manifest import load_manifest
from engine.release.run import apply_review, execute, try_edit
from engine.release.run_plan import RunPlan
from promptgrad_tui.work.run.budget import Budget
from promptgrad_tui.work.run.job import create_run
from promptgrad_tui.work.run.planning import load_parts
from tests.promptgrad_tui.queue_desk import QueueDesk

_SECONDS = 0.08
"""How long an answer takes when a run is written again: a script answers at once, a model doesn't."""
_FOLDERS = tempfile.TemporaryDirectory(prefix="recordings-")


def plan_of(folder: Path, record: RunRecord, desk: QueueDesk) -> RunPlan:
    """Return the plan of a run of the project in `folder`, on the desk's scripted model."""
    project = load_project(folder)
    parts = load_parts(project)
    model = desk.model()
    return RunPlan(
        run=record.id,
        project=folder,
        name="desk",
        program=parts.program,
        metric=parts.metric,
        metric_name="exact_match(queue)",
        config=replace(project.optimizer, seed=record.options["seed"], max_workers=1),
        train=parts.splits.train,
        validation=parts.splits.validation or (),
        test=parts.splits.test,
        models=RunModels(model, model),
        artifacts=folder / "artifacts",
        formatter=FieldFormatter(parts.fields.inputs, ["channel"]),
        gates=project.gates,
        slice_field=project.data.slice,
        details={"fingerprint": project_fingerprint(project)},
    )


@dataclass(frozen=True)
class Recording:
    """What a real run left: its folder with the artifact, its id, its events and the answers behind them."""

    folder: Path
    run: str
    events: tuple[Event, ...]
    completions: dict[str, Completion]


@cache
def recording(desk: QueueDesk) -> Recording:
    """Run the engine on a desk, once in a process, and return what it left."""
    folder = Path(tempfile.mkdtemp(dir=_FOLDERS.name)) / "desk"
    desk.write_project(folder)
    with Journal.open(journal_path(folder)) as journal:
        record = create_run(journal, load_project(folder), {}, None, Budget())
        execute(plan_of(folder, record, desk), journal)
        events = [event for _, event in journal.events(record.id)]
        keys = {key for event in events for key in _keys(event)}
        completions = {key: found for key in keys if (found := journal.completion(key))}
    return Recording(folder, record.id, tuple(_in_order(events)), completions)


def _in_order(events: list[Event]) -> list[Event]:
    """Return the events with the passes of each analysis in the order of their numbers; they end in any."""
    ordered = list(events)
    passes = [place for place, event in enumerate(events) if isinstance(event, AnalysisFinished)]
    found = [event for event in events if isinstance(event, AnalysisFinished)]
    found.sort(key=lambda event: (event.epoch, event.batch, event.number))
    for place, event in zip(passes, found, strict=True):
        ordered[place] = event
    return ordered


def _keys(event: Event) -> tuple[str, ...]:
    return event.completions if isinstance(event, RolloutFinished | AnalysisFinished) else ()


class RecordedRun:
    """Writes a recorded run into a new project's journal again: all of it, or up to some event.

    `clock` gives the time of each event, `task` is the model that the project names; `sizes` are those of a
    `QueueDesk`.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.time, task: str = "demo", **sizes: Any
    ) -> None:
        self._desk = QueueDesk(**sizes)
        self._clock = clock
        self._recording = recording(self._desk)
        self._rules: tuple[Rule, ...] = ()
        self.folder = folder
        self._desk.write_project(folder, task)
        self.journal = Journal.open(journal_path(folder))
        self.run = create_run(self.journal, load_project(folder), {}, None, Budget()).id

    def write(self, until: type[Event] | None = None, count: int | None = None) -> int:
        """Write events until one of the kind `until`, or `count` of them, or all; return how many."""
        number = 0
        for event in self.events():
            self.journal.append(self.run, event)
            number += 1
            if (until is not None and isinstance(event, until)) or number == count:
                break
        return number

    def events(self) -> Iterator[Event]:
        """Yield the run's events in order; what belongs to an event is there before it."""
        for recorded in self._recording.events:
            event = self._here(recorded)
            for key in _keys(event):
                answer = replace(self._recording.completions[key], run=self.run, seconds=_SECONDS)
                self.journal.remember_completion(replace(answer, time=event.time))
            if isinstance(event, ArtifactSaved):
                self._copy_artifact(Path(event.path), event.time)
            if isinstance(event, RulesChanged):
                self._rules = event.rules
            yield event

    def accepted_rules(self) -> tuple[Rule, ...]:
        """Return the rules that the run has kept so far."""
        return self._rules

    def apply_review(self) -> ReviewApplied:
        """Have the engine apply what the journal's decisions say to the finished run."""
        return apply_review(self._plan(), self.journal)

    def try_edit(self, rule: Rule, text: str) -> None:
        """Have the engine test another text of a rule of the finished run."""
        try_edit(self._plan(), self.journal, rule.id, Decision(choice="edit", text=text))

    def _plan(self) -> RunPlan:
        return plan_of(self.folder, self.journal.run(self.run), self._desk)

    def _here(self, event: Event) -> Event:
        """Return an event as a run in this folder would have written it now."""
        text = self._renamed(event.model_dump_json())
        changed: dict[str, Any] = {"time": self._clock()}
        here = event_adapter.validate_json(text)
        if isinstance(here, RolloutFinished):
            changed["seconds"] = _SECONDS * len(here.completions)
        if isinstance(here, RunFinished):
            seconds = _SECONDS * here.summary.calls
            changed["summary"] = here.summary.model_copy(update={"seconds": seconds})
        return here.model_copy(update=changed)

    def _renamed(self, text: str) -> str:
        recorded = self._recording
        return text.replace(str(recorded.folder), str(self.folder)).replace(recorded.run, self.run)

    def _copy_artifact(self, path: Path, time: float) -> None:
        if path.exists():
            return
        shutil.copytree(self._recording.folder / path.relative_to(self.folder), path)
        created = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
        manifest = load_manifest(path).model_copy(update={"run": self.run, "created": created})
        (path / "manifest.json").write_bytes(manifest.as_json().encode())
