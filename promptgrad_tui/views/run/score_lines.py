"""A run's scores as lines to read: of its result and of each epoch, with those of each slice."""

from __future__ import annotations

from collections.abc import Mapping

from engine.ground.interval import Interval
from engine.journal.events import EpochFinished, RunSummary, SliceScores, SplitScores
from engine.journal.narration import EPOCH_OUTCOMES
from promptgrad_tui.views.figures import (
    count_text,
    epoch_name,
    score_text,
    slice_gain_text,
    slice_text,
)
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.text_blocks import fact, heading
from promptgrad_tui.views.toned_lines import Line, Tone, line


def score_lines(story: RunStory, columns: int) -> list[Line]:
    """Return the result of the run, if it has ended, then the state after each epoch, latest first."""
    lines = _result(story.summary, columns) if story.summary else []
    for epoch in reversed(story.epochs):
        lines += _epoch(epoch, columns)
    return lines or [line("  The baseline is being scored.", "dim")]


def _result(summary: RunSummary, columns: int) -> list[Line]:
    lines = heading("Result")[1:]
    for name, scores in (("baseline", summary.baseline), ("optimized", summary.optimized)):
        lines += _splits(name, scores, columns)
    lines += slice_gain_lines("validation", summary.validation_slices, columns)
    return lines + slice_gain_lines("test", summary.slices, columns)


def _splits(name: str, scores: SplitScores, columns: int) -> list[Line]:
    found: list[tuple[str, Interval | None]] = [("validation", scores.validation), ("test", scores.test)]
    return [
        part
        for split, score in found
        if score is not None
        for part in fact(name, f"{split} {score_text(score)}, n = {score.n}", columns)
    ]


def slice_gain_lines(split: str, slices: Mapping[str, SliceScores], columns: int) -> list[Line]:
    """Return each slice of a split before and after; nothing without slices."""
    lines = heading(f"Slices of the {split} split") if slices else []
    for name, scores in slices.items():
        tone: Tone = "bad" if scores.gain.high < 0 else "good" if scores.gain.low > 0 else ""
        lines += fact(name, slice_gain_text(scores), columns, tone)
    return lines


def _epoch(epoch: EpochFinished, columns: int) -> list[Line]:
    outcome = EPOCH_OUTCOMES.get(epoch.outcome, "")
    validation = f"{score_text(epoch.validation)}, {count_text(epoch.n_rules, 'rule')}"
    lines = [*heading(epoch_name(epoch)), *fact("validation", validation, columns)]
    lines += (
        fact("outcome", outcome, columns, "warn" if epoch.outcome == "rolled_back" else "") if outcome else []
    )
    for name, scores in epoch.slices.items():
        lines += fact(name, slice_text(scores), columns)
    return lines
