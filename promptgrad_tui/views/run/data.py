"""A run's story as JSON-ready data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.journal.events import Event
from promptgrad_tui.views.run.early_stops import EarlyStops
from promptgrad_tui.views.run.prompts import prompts_of
from promptgrad_tui.views.run.rows import BatchStory
from promptgrad_tui.views.run.story import RunStory


def story_data(story: RunStory) -> dict[str, Any]:
    """Return what `promptgrad show --json` prints of a story."""
    return {
        "started": _dumped(story.started),
        "epochs": [_dumped(epoch) for epoch in story.epochs],
        "batches": [_batch(batch) for batch in story.batches.values() if not batch.is_empty],
        "early_stops": asdict(EarlyStops.of(story)),
        "seconds": {work: round(seconds, 3) for work, seconds in story.times.seconds.items()},
        "test": _dumped(story.test),
        "base": _dumped(story.base),
        "lanes": [_dumped(lane) for lane in story.lanes],
        "layers": _dumped(story.layers),
        "doubted_labels": [label.model_dump(mode="json") for label in story.doubted],
        "review": _dumped(story.review),
        "notices": [notice.text for notice in story.notices],
        "prompts": {
            name: {"base": base, "optimized": optimized}
            for name, (base, optimized) in prompts_of(story, story.best_rules).items()
        },
    }


def _batch(batch: BatchStory) -> dict[str, Any]:
    return {
        "epoch": batch.epoch,
        "batch": batch.batch,
        "scored": _dumped(batch.scored),
        "analyses": [_dumped(analysis) for analysis in batch.analyses],
        "consensus": _dumped(batch.consensus),
        "validations": [_dumped(validation) for validation in batch.validations],
        "changes": [_dumped(change) for change in batch.changes],
    }


def _dumped(event: Event | None) -> dict[str, Any] | None:
    return event.model_dump(mode="json") if event is not None else None
