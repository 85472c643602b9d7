"""A comparison of two programs, as lines for a person or as JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from engine.ground.interval import Interval
from engine.journal.events import KeptRule
from engine.programs.formatting import as_text
from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import count_text, gain_text, score_text, slice_gain_text
from promptgrad_tui.views.sanitize import one_line, visible, wrap
from promptgrad_tui.views.summary import evidence_text
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.work.compare.changes import CHANGES, Answer, Change, ExampleChange, HeldOut
from promptgrad_tui.work.compare.compared import SPLITS, ComparedProgram
from promptgrad_tui.work.compare.comparison import Comparison, ScoreChange

_COLOURS = {"fixed": "green", "broken": "red", "failing": "yellow", "same": None}
_SIGNS = {"+": "green", "-": "red", " ": None}
_SCORES = "{:<10}  {:<20}  {:<20}  {:<23}".format


def comparison_lines(found: Comparison, show: Collection[Change], terminal: Terminal) -> list[str]:
    """Return scores, rules, prompts, and the examples to which one of `show` happened."""
    lines = [*_program("Before", found.before, terminal), *_program("After", found.after, terminal)]
    for note in found.notes:
        lines += wrap(note, terminal.columns, "  ", "! ")
    lines += _scores(found, terminal)
    lines += _slices(found, terminal)
    lines += _rules(found, terminal)
    lines += _prompts(found, terminal)
    return lines + _examples(found, show, terminal)


def verdict_text(scores: ScoreChange, split: HeldOut) -> str:
    """Return the paired gain and what it says."""
    gain = scores.gain
    if gain is None:
        return f"{split.capitalize()}: no example was answered by both."
    word = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no clear difference"
    examples = f"{count_text(gain.n, 'example')}{' of both' if scores.is_partial else ''}"
    return f"{split.capitalize()}: {gain_text(gain.score, gain.low, gain.high)} on {examples}, {word}."


def _program(name: str, program: ComparedProgram, terminal: Terminal) -> list[str]:
    model = f"{program.uri} ({program.model.partition(':')[2][:12]})" if program.uri else "no model yet"
    head = f"{name:<7}"
    first, *rest = wrap(one_line(program.title), terminal.columns, " " * 8, f"{head} ")
    return [
        first.replace(head, terminal.style(head, bold=True), 1),
        *rest,
        *wrap(f"{one_line(model)}; {count_text(len(program.rules), 'rule')}", terminal.columns, " " * 8),
    ]


def _scores(found: Comparison, terminal: Terminal) -> list[str]:
    lines = ["", terminal.style(_SCORES("", "before", "after", "gain, paired").rstrip(), bold=True)]
    for split in SPLITS:
        scores = found.scores[split]
        if scores == ScoreChange(None, None, None):
            continue
        gain = scores.gain
        lines += [
            _SCORES(
                split,
                score_text(scores.before) if scores.before else "-",
                score_text(scores.after) if scores.after else "-",
                gain_text(gain.score, gain.low, gain.high) if gain else "-",
            ).rstrip(),
            _SCORES("", *map(_n, (scores.before, scores.after, gain))).rstrip(),
        ]
    if len(lines) == 2:
        return ["", "Nothing was scored on held-out examples to the end."]
    return [*lines, *wrap(verdict_text(found.scores[found.split], found.split), terminal.columns, "", "")]


def _n(interval: Interval | None) -> str:
    return f"n = {interval.n}" if interval else ""


def _slices(found: Comparison, terminal: Terminal) -> list[str]:
    slices = found.slices.get(found.split, {})
    lines = ["", terminal.style(f"Slices of the {found.split} split", bold=True)] if slices else []
    for name, scores in slices.items():
        lines += wrap(f"{one_line(name)}: {slice_gain_text(scores)}", terminal.columns, "    ", "  ")
    return lines


def _rules(found: Comparison, terminal: Terminal) -> list[str]:
    kept = len(found.after.rules) - len(found.added)
    counts = f"Rules: {len(found.added)} added, {len(found.removed)} removed, {kept} in both"
    lines = ["", terminal.style(counts, bold=True)]
    for sign, rules in (("+", found.added), ("-", found.removed)):
        for rule in rules:
            head, *rest = wrap(one_line(rule.text), terminal.columns, "    ", f"  {sign} ")
            lines += [terminal.style(head, fg=_SIGNS[sign]), *rest]
            lines += wrap(evidence_text(rule), terminal.columns, "    ")
    return lines


def _prompts(found: Comparison, terminal: Terminal) -> list[str]:
    lines: list[str] = []
    for name, (before, after) in found.prompts.items():
        of = f" of {one_line(name)}" if len(found.prompts) > 1 else ""
        lines += ["", terminal.style(f"Instructions{of}{'' if before != after else ': the same'}", bold=True)]
        if before == after:
            continue
        for sign, text in line_diff(before, after):
            for part in wrap(visible(text), terminal.columns, "    ", f"  {sign} "):
                lines.append(terminal.style(part, fg=_SIGNS[sign]))
    return lines


def _examples(found: Comparison, show: Collection[Change], terminal: Terminal) -> list[str]:
    changes = found.changes.get(found.split, ())
    if not changes:
        return []
    counts = found.counts(found.split)
    told = ", ".join(f"{counts[name]} {name}" for name in CHANGES)
    lines = ["", terminal.style(f"Examples of the {found.split} split: {told}", bold=True)]
    for change in changes:
        if change.change in show:
            lines += _example(change, terminal)
    hidden = sum(count for name, count in counts.items() if name not in show)
    if hidden:
        lines += ["", f"{count_text(hidden, 'more example')} not shown: --show all"]
    return lines


def _example(change: ExampleChange, terminal: Terminal) -> list[str]:
    word = terminal.style(change.change, fg=_COLOURS[change.change])
    of = f"  ({one_line(change.slice)})" if change.slice else ""
    lines = ["", f"  {word}  {one_line(change.name)}{of}"]
    for name, value in change.inputs.items():
        lines += _fact(name, value, terminal)
    if not change.fields:
        lines += _fact("fields", "no longer in the project's files", terminal)
    expected = change.expected
    for name, value in expected.items():
        lines += _fact("expected", value if len(expected) == 1 else f"{name}: {value}", terminal)
    for name, answer in (("before", change.before), ("after", change.after)):
        lines += _fact(name, f"{answer.score:.2f}  {one_line(answer.judged(expected))}", terminal)
    if change.after.feedback:
        lines += _fact("feedback", change.after.feedback, terminal)
    for name, value in change.after.metadata.items():
        lines += _fact(name, as_text(value), terminal)
    return lines


def _fact(name: str, value: str, terminal: Terminal) -> list[str]:
    return wrap(value, terminal.columns, " " * 14, f"    {one_line(name):<9} ")


def comparison_json(found: Comparison, show: Collection[Change]) -> dict[str, Any]:
    """Return the same as JSON-ready data."""
    return {
        "before": _program_json(found.before),
        "after": _program_json(found.after),
        "notes": found.notes,
        "scores": {split: _scores_json(found.scores[split]) for split in SPLITS},
        "slices": {name: scores.model_dump() for name, scores in found.slices.get(found.split, {}).items()},
        "rules": {
            "added": _rules_json(found.added),
            "removed": _rules_json(found.removed),
            "kept": len(found.after.rules) - len(found.added),
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
    }
