"""A comparison of two programs as JSON-ready data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from engine.journal.events import KeptRule
from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.comparison.changes import CHANGES, SPLITS, Change, ExampleChange
from promptgrad_tui.views.comparison.comparison import ComparedProgram, Comparison, ScoreChange


def comparison_json(found: Comparison, show: Collection[Change]) -> dict[str, Any]:
    """Return the same as JSON-ready data."""
    return {
        "before": _program_json(found.before),
        "after": _program_json(found.after),
        "notes": found.notes,
        "scores": {split: _scores_json(found.scores[split]) for split in SPLITS},
        "metrics": {name: change.model_dump() for name, change in found.metrics.get(found.split, {}).items()},
        "slices": {name: scores.model_dump() for name, scores in found.slices.get(found.split, {}).items()},
        "rules": {
            "added": _rules_json(found.added),
            "removed": _rules_json(found.removed),
            "kept": len(found.after.rules) - len(found.added),
        },
        "demonstrations": {
            "added": [one.values for one in found.shown_now],
            "removed": [one.values for one in found.shown_before],
            "kept": len(found.after.demonstrations) - len(found.shown_now),
        },
        "prompts": {
            name: {"before": before, "after": after} for name, (before, after) in found.prompts.items()
        },
        "split": found.split,
        "counts": {name: found.counts(found.split)[name] for name in CHANGES},
        "examples": [
            _example_json(change) for change in found.changes.get(found.split, ()) if change.change in show
        ],
    }


def _program_json(program: ComparedProgram) -> dict[str, Any]:
    return {
        "title": program.title,
        "model": {"uri": program.uri, "revision": program.model},
        "rules": len(program.rules),
    }


def _scores_json(scores: ScoreChange) -> dict[str, Any]:
    named = {"before": scores.before, "after": scores.after, "gain": scores.gain}
    return {name: interval.model_dump() if interval else None for name, interval in named.items()}


def _rules_json(rules: Sequence[KeptRule]) -> list[dict[str, Any]]:
    return [rule.model_dump(exclude={"action"}) for rule in rules]


def _example_json(change: ExampleChange) -> dict[str, Any]:
    return {
        "key": change.key,
        "name": change.name,
        "slice": change.slice,
        "change": change.change,
        "fields": dict(change.fields),
        "before": _answer_json(change.before),
        "after": _answer_json(change.after),
    }


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "score": answer.score,
        "is_success": answer.is_success,
        "prediction": answer.prediction,
        "is_kept": answer.is_kept,
        "feedback": answer.feedback,
        "error_type": answer.error_type,
        "metadata": dict(answer.metadata),
        "metrics": {name: score.model_dump() for name, score in answer.metrics.items()},
    }
