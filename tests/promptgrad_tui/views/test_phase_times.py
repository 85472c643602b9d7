"""Where a run's time went, by kind of work."""

from __future__ import annotations

from typing import Any

import pytest

from engine.journal.events import (
    Event,
    Phase,
    PhaseStarted,
    RunContinued,
    RunPaused,
    RunResumed,
)
from engine.journal.learning_events import (
    LabelsDoubted,
    LayerTestStarted,
    QuestionAnswered,
    ScreeningFinished,
)
from promptgrad_tui.views.run.data import story_data
from promptgrad_tui.views.run.story import RunStory
from tests.promptgrad_tui.views.test_learning_events import layer_test


def phase(name: Phase, time: float) -> PhaseStarted:
    return PhaseStarted(id=f"{name}{time}", phase=name, time=time)


def search() -> list[Event]:
    """Questions until 30, ranking until 50, and a test until 90."""
    place: dict[str, Any] = {"epoch": 1, "batch": 1}
    question = {"source": "topics", "about": "", "number": 0, "temperature": 0, "answer": "x"}
    return [
        phase("baseline", 0),
        phase("proposals", 10),
        QuestionAnswered.model_validate({"id": "q", "time": 30, **place, **question}),
        ScreeningFinished(id="s", time=50, layer="rules", signal="likelihood", rows=(), asked=9, **place),
        LayerTestStarted.model_validate(
            {"id": "t", "time": 50, "layer": "rules", "action": "add", "source": "topics", "title": ""}
            | {"before": "a", "after": "b", "n": 60, **place}
        ),
        layer_test("rules", "accepted").model_copy(update={"time": 90}),
    ]


def test_time_belongs_to_the_work_that_was_under_way() -> None:
    story = RunStory.of([*search(), phase("test", 95), phase("labels", 195)])
    assert story_data(story)["seconds"] == {
        "scoring the baseline": 10,
        "finding rules": 25,
        "ranking candidates": 20,
        "testing rules": 40,
        "scoring the test split": 100,
    }
    assert [share for _, _, share in story.times.rows()] == [
        pytest.approx(seconds / 195) for seconds in (10, 25, 20, 40, 100)
    ]


def test_waiting_is_apart_and_nothing_counts_between_two_processes() -> None:
    story = RunStory.of(
        [
            phase("baseline", 0),
            RunPaused(id="p", time=5, reason=""),
            RunContinued(id="c", time=65),
            phase("labels", 70),
            LabelsDoubted(id="l", time=72, examples=()),
            RunResumed(id="r", time=1000, attempt=2),
            phase("test", 1003),
        ]
    )
    assert story.times.seconds == {
        "scoring the baseline": 10,
        "waiting for a person": 60,
        "looking for labels that may be wrong": 2,
        "starting, and repeating earlier work": 3,
    }
