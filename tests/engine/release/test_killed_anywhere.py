"""A whole run that learns both layers, killed with SIGKILL at any moment: it resumes to the same end."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import pytest

from engine import PromptGradConfig
from engine.ground.examples import example_key
from engine.ground.model import RunModels
from engine.journal.completions import Completion
from engine.journal.events import Event, RunSummary
from engine.journal.journal import Journal, journal_path
from engine.project.data import LoadedExample
from engine.release.run import execute
from engine.release.run_plan import RunPlan
from engine.testing import ScriptedModel
from tests.engine.desk import exact
from tests.engine.learning.clerk import Clerk, clerk_model, clerk_program, clerk_tickets

MOMENTS = 20
CONFIG = PromptGradConfig(
    seed=1,
    verbose=False,
    epochs=1,
    batches_per_epoch=2,
    sources=("topics", "contrast", "pairs", "refinement", "failure_analysis"),
    max_demonstrations=6,
    rule_selection_mode="greedy",
)
_ATTEMPTS = {"run_resumed", "run_finished"}

Count = Literal["asked", "answered", "events"]


class Kill:
    """Counts what a run does, and kills this process at one of these counts."""

    def __init__(self, count: Count | None = None, number: int = 0) -> None:
        self._moment = (count, number)
        self._lock = Lock()
        self.counts: dict[Count, int] = {"asked": 0, "answered": 0, "events": 0}

    def passes(self, count: Count) -> None:
        with self._lock:
            self.counts[count] += 1
            if (count, self.counts[count]) == self._moment:
                os.kill(os.getpid(), signal.SIGKILL)


class WatchedClerk(Clerk):
    """A clerk whose every call counts, those that it scores too."""

    def __init__(self, kill: Kill) -> None:
        super().__init__()
        self._kill = kill

    def answer(self, messages: list[dict[str, str]]) -> str:
        self._kill.passes("asked")
        return super().answer(messages)

    def score(self, messages: Sequence[Mapping[str, Any]], continuations: Sequence[str]) -> list[float]:
        self._kill.passes("asked")
        return super().score(messages, continuations)


class WatchedJournal(Journal):
    """A journal in which every new event and every new answer counts."""

    kill: Kill

    def append(self, run: str, event: Event) -> bool:
        is_new = super().append(run, event)
        if is_new:
            self.kill.passes("events")
        return is_new

    def remember_completion(self, completion: Completion) -> bool:
        is_new = super().remember_completion(completion)
        if is_new:
            self.kill.passes("answered")
        return is_new


@dataclass(frozen=True)
class Ended:
    """What a run left: summary and events without times, the saved prompts, and what its process counted."""

    summary: dict[str, Any]
    events: list[dict[str, Any]]
    prompts: list[str]
    counts: Mapping[Count, int]


def worked(folder: Path, kill: Kill) -> RunSummary:
    with WatchedJournal.open(journal_path(folder)) as journal:
        journal.kill = kill
        return execute(plan(folder, journal.run("last").id, scoring(WatchedClerk(kill))), journal)


def work_until(folder: Path, count: Count, number: int) -> None:
    worked(folder, Kill(count, number))


def scoring(clerk: Clerk) -> ScriptedModel:
    model = clerk_model(clerk)
    model.score = clerk.score  # type: ignore[attr-defined]
    return model


def plan(folder: Path, run: str, model: ScriptedModel) -> RunPlan:
    return RunPlan(
        run=run,
        project=folder,
        name="clerk",
        program=clerk_program(),
        metric=exact,
        metric_name="exact",
        config=CONFIG,
        train=loaded(folder, "train", 24, 1),
        validation=loaded(folder, "validation", 12, 2),
        test=loaded(folder, "test", 12, 3),
        models=RunModels(model, model),
        artifacts=folder / "artifacts",
    )


def loaded(folder: Path, split: str, n: int, seed: int) -> list[LoadedExample]:
    return [
        LoadedExample(values, folder / f"{split}.jsonl", line, example_key(values, ["ticket", "queue"]))
        for line, values in enumerate(clerk_tickets(n, seed), 1)
    ]


def ended(folder: Path) -> Ended:
    kill = Kill()
    summary = worked(folder, kill)
    with Journal.open(journal_path(folder), read_only=True) as journal:
        written = [event for _, event in journal.events(summary.run) if event.kind not in _ATTEMPTS]
    events = [without_times(event.model_dump()) for event in sorted(written, key=lambda event: event.id)]
    prompts = sorted(path.read_text() for path in folder.glob("artifacts/**/prompt.txt"))
    return Ended(without_times(summary.model_dump()), events, prompts, kill.counts)


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if name not in ("time", "seconds")}
        return {name: without_times(part) for name, part in kept.items()}
    return [without_times(part) for part in value] if isinstance(value, (list, tuple)) else value


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was created, and nothing more."""
    folder = tmp_path_factory.mktemp("fresh")
    with Journal.open(journal_path(folder)) as journal:
        journal.create_run(folder)
    return folder


@pytest.fixture
def folder(fresh: Path) -> Iterator[Path]:
    """A copy of that run, at one place for all tests: events name it."""
    folder = fresh.parent / "work"
    shutil.copytree(fresh, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def whole(fresh: Path) -> Ended:
    folder = fresh.parent / "work"
    shutil.copytree(fresh, folder)
    try:
        return ended(folder)
    finally:
        shutil.rmtree(folder)


def test_the_run_goes_through_every_stage(whole: Ended) -> None:
    proposed = {event["source"] for event in whole.events if event["kind"] == "candidates"}
    assert {"topics", "contrast", "pairs", "demonstrations"} <= proposed
    screened = {(event["layer"], event["signal"]) for event in whole.events if event["kind"] == "screening"}
    assert ("rules", "likelihood") in screened
    tested = {event["layer"] for event in whole.events if event["kind"] == "layer_test"}
    assert tested == {"rules", "demonstrations"}
    assert whole.summary["status"] == "improved"
    assert whole.prompts


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_killed_run_resumes_to_the_same_end_and_pays_for_nothing_twice(
    whole: Ended, folder: Path, moment: int
) -> None:
    kinds: list[Count] = ["asked", "answered", "events"]
    count = kinds[(moment + 1) % 3]
    number = 1 + moment * (whole.counts[count] - 2) // (MOMENTS - 1)
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=work_until, args=(folder, count, number))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with Journal.open(journal_path(folder), read_only=True) as journal:
        paid = journal.completions_paid(journal.run("last").id)

    resumed = ended(folder)

    assert resumed.counts["asked"] == whole.counts["asked"] - paid
    assert resumed.events == whole.events
    assert resumed.prompts == whole.prompts
    assert resumed.summary == whole.summary
