"""A recorded run that goes on to show training examples in the prompt, and asks a person about them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from engine.journal.events import Event, ReviewAwaited, RulesChanged
from engine.journal.learning_events import LayerTested, LayerTestStarted
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Evidence
from engine.programs.state import LearnedState
from engine.project.data import load_split
from engine.project.settings import load_project
from tests.promptgrad_tui.screens.recorded import RecordedRun

_PLACE = {"epoch": 2, "batch": 1}


def shown_examples(recorded: RecordedRun, count: int) -> tuple[Demonstration, ...]:
    """Return the first training examples as demonstrations."""
    examples = load_split(load_project(recorded.folder), "data/train.jsonl")[:count]
    return tuple(
        Demonstration(
            inputs={"ticket": example.values["ticket"]},
            outputs={"queue": example.values["queue"]},
            example=example.key,
            source="balanced",
            epoch=2,
            batch=1,
        )
        for example in examples
    )


def write_shown(recorded: RecordedRun, count: int, *, asks: bool) -> tuple[Demonstration, ...]:
    """Write that so many examples passed their test together; the run `asks` about them, or goes on."""
    shown = shown_examples(recorded, count)
    for event in _events(recorded, shown, asks=asks):
        recorded.journal.append(recorded.run, event)
    return shown


def _events(recorded: RecordedRun, shown: tuple[Demonstration, ...], *, asks: bool) -> Iterator[Event]:
    before = LearnedState()
    after = before.with_demonstrations(DemonstrationSet(shown))
    about = {
        "layer": "demonstrations",
        "action": "add",
        "source": "balanced",
        "title": f"draw 1 of {len(shown)} examples",
        "before": before.digest,
        "after": after.digest,
        "demonstrations": shown,
        "time": time.time(),
        **_PLACE,
    }
    evidence = Evidence(delta=0.125, low=0.02, high=0.24, n=40)
    yield LayerTestStarted.model_validate({"id": "shown/started", "n": 40, **about})
    yield LayerTested.model_validate(
        {"id": "shown/tested", "verdict": "accepted", "reason": "it gains", "evidence": evidence, **about}
    )
    yield RulesChanged.model_validate(
        {
            "id": "shown/state",
            "reason": "demonstrated",
            "digest": after.digest,
            "rules": (),
            "demonstrations": shown,
            "time": time.time(),
            **_PLACE,
        }
    )
    if asks:
        yield ReviewAwaited.model_validate(
            {
                "id": "shown/review",
                "rules": tuple(one.id for one in shown),
                "are_demonstrations": True,
                "time": time.time(),
                **_PLACE,
            }
        )
