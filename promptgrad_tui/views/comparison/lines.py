"""A comparison of two programs as lines: scores, rules and prompts, and an example side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len

from engine.ground.interval import Interval
from engine.ground.revision import short_digest
from engine.journal.events import KeptRule
from engine.programs.demonstrations import Demonstration
from engine.programs.formatting import as_text
from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.comparison.changes import CHANGES, SPLITS, Change, ExampleChange, HeldOut
from promptgrad_tui.views.comparison.comparison import ComparedProgram, Comparison, ScoreChange
from promptgrad_tui.views.demonstrations import demonstration_text
from promptgrad_tui.views.figures import count_text, effect_text, score_text, slice_gain_text, value_text
from promptgrad_tui.views.metrics import metric_facts, metric_sentences
from promptgrad_tui.views.run.details import diff_lines, instructions_title, success_mark
from promptgrad_tui.views.run.slices import hidden_text, shown_slices
from promptgrad_tui.views.run.summary import evidence_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.views.text_blocks import fact, heading, paragraph
from promptgrad_tui.views.toned_lines import Line, Tone, fitted, interval_bar, line, score_bar

MARKS: Mapping[Change, tuple[str, Tone]] = {
    "fixed": ("\u2713 fixed", "good"),
    "broken": ("\u2717 broken", "bad"),
    "failing": ("\u2717 failing", "warn"),
    "same": ("\u2713 same", "dim"),
}
_SIDE_BY_SIDE_FROM = 56
_NAME, _VALUE_AT, _BAR_AT, _BAR = 13, 16, 50, 24
_GAP: tuple[str, Tone] = (" \u2502 ", "dim")


def comparison_lines(found: Comparison, show: Collection[Change], terminal: Terminal) -> list[str]:
    """Return scores, rules, prompts, and the examples to which one of `show` happened."""
    columns = terminal.columns
    verdict = verdict_text(found.scores[found.split], found.split)
    lines = [*score_lines(found, found.split, columns), (), *paragraph(verdict, columns)]
    lines += [(), *prompt_lines(found, columns), *_examples(found, show, columns)]
    return terminal.rendered(lines)


def _examples(found: Comparison, show: Collection[Change], columns: int) -> list[Line]:
    counts = found.counts(found.split)
    totals = ", ".join(f"{counts[name]} {name}" for name in CHANGES)
    lines = heading(f"Examples of the {found.split} split: {totals}") if counts else []
    for change in found.changes.get(found.split, ()):
        if change.change in show:
            lines += [(), *example_lines(change, columns)]
    hidden = sum(count for name, count in counts.items() if name not in show)
    if hidden:
        lines += [(), line(f"{count_text(hidden, 'more example')} not shown: --show all")]
    return lines


def verdict_text(scores: ScoreChange, split: HeldOut) -> str:
    """Return the paired gain and what it says."""
    gain = scores.gain
    if gain is None:
        return f"{split.capitalize()}: no example was answered by both."
    word = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no clear difference"
    examples = f"{count_text(gain.n, 'example')}{' of both' if scores.is_partial else ''}"
    return f"{split.capitalize()}: {effect_text(gain)} on {examples}, {word}."


def example_lines(change: ExampleChange, columns: int) -> list[Line]:
    """Return an example with both answers, side by side where there is room."""
    word, tone = MARKS[change.change]
    lines = _title(one_line(change.name), f"{word}: {CHANGES[change.change]}", columns, tone)
    if change.slice:
        lines += fact("slice", change.slice, columns)
    for name, value in change.inputs.items():
        lines += fact(name, value, columns)
    expected = change.expected
    for name, value in expected.items():
        lines += fact("expected", value if len(expected) == 1 else f"{name}: {value}", columns, "accent")
    if not change.fields:
        lines += fact("fields", "no longer in the project's files", columns, "dim")
    return [*lines, (), *_answers(change, columns)]


def _title(name: str, what: str, columns: int, tone: Tone) -> list[Line]:
    """Return an example's name and what happened to it; a content hash is wider than the column of names."""
    if _NAME < cell_len(name) <= columns - cell_len(what) - 4:
        return [((f"  {name}  ", "dim"), (what, tone))]
    return fact(name, what, columns, tone)


def _answers(change: ExampleChange, columns: int) -> list[Line]:
    if columns < _SIDE_BY_SIDE_FROM:
        width = columns - 2
        sides = (_side(name, answer, change, width) for name, answer in _named(change))
        return [((("  ", "")), *text) for side in sides for text in (*side, ())]
    half = (columns - 2 - len(_GAP[0])) // 2
    before, after = (_side(name, answer, change, half) for name, answer in _named(change))
    return [
        (("  ", ""), *fitted(left, half), _GAP, *fitted(right, half))
        for left, right in zip_longest(before, after, fillvalue=())
    ]


def _named(change: ExampleChange) -> Iterable[tuple[str, Answer]]:
    return (("before", change.before), ("after", change.after))


def _side(name: str, answer: Answer, change: ExampleChange, columns: int) -> list[Line]:
    sign, tone = success_mark(answer.is_success)
    lines: list[Line] = [((f"{sign} {value_text(answer.score)}", tone), (f"  {name}", "strong"))]
    if answer.prediction is None:
        lines += [line(part, "warn") for part in wrap(answer.text, columns)]
    else:
        for field, value in answer.shown.items():
            judged: Tone = tone if field in change.expected else ""
            lines += [line(part, judged) for part in wrap(f"{field}: {value}", columns, "  ", "")]
    if answer.feedback:
        lines += [line(part, "dim") for part in wrap(answer.feedback, columns, "  ", "! ")]
    if answer.error_type:
        lines += [line(part, "dim") for part in wrap(answer.error_type, columns, "  ", "error type: ")]
    for name, value, tone in metric_facts(answer.metrics):
        lines += [line(part, tone) for part in wrap(value, columns, "  ", f"{name}: ")]
    for name, value in answer.metadata.items():
        lines += [line(part, "dim") for part in wrap(as_text(value), columns, "  ", f"{name}: ")]
    return lines


def score_lines(found: Comparison, split: HeldOut, columns: int) -> list[Line]:
    """Return all scores with their intervals, a split's slices, the rules added and removed, and notes."""
    lines: list[Line] = []
    for name, program in (("before", found.before), ("after", found.after)):
        lines += fact(name, one_line(program.title), columns, "strong")
        lines += fact("", _origin(program), columns, "dim")
    for note in found.notes:
        lines += fact("note", f"! {note}", columns, "warn")
    for name in SPLITS:
        lines += _split_lines(found.scores[name], name.capitalize(), columns)
    metrics = found.metrics.get(split, {})
    lines += heading(f"Metrics of the {split} split") if metrics else []
    for name, text in metric_sentences(metrics):
        lines += fact(name, text, columns)
    slices = found.slices.get(split, {})
    lines += heading(f"Slices of the {split} split") if slices else []
    for name, scores in shown_slices(slices).items():
        lines += fact(one_line(name), slice_gain_text(scores), columns, tone_of(scores.gain))
    hidden = hidden_text(slices, "promptgrad compare --json")
    lines += fact("", hidden, columns, "dim") if hidden else []
    if found.before.rules or found.after.rules:
        lines += heading(f"Rules in both: {len(found.after.rules) - len(found.added)}")
        lines += _rule_lines(f"Rules added: {len(found.added)}", "+ ", "good", found.added, columns)
        lines += _rule_lines(f"Rules removed: {len(found.removed)}", "- ", "bad", found.removed, columns)
    lines += _demonstration_lines("Demonstrations added", "+ ", "good", found.shown_now, columns)
    return lines + _demonstration_lines("Demonstrations removed", "- ", "bad", found.shown_before, columns)


def _demonstration_lines(
    title: str, sign: str, tone: Tone, shown: Sequence[Demonstration], columns: int
) -> list[Line]:
    lines = heading(f"{title}: {len(shown)}") if shown else []
    for one in shown:
        lines += [line(row, tone) for row in wrap(demonstration_text(one), columns, "    ", f"  {sign}")]
    return lines


def _origin(program: ComparedProgram) -> str:
    learned = count_text(len(program.rules), "rule")
    if program.demonstrations:
        learned += f", {count_text(len(program.demonstrations), 'demonstration')}"
    if not program.uri:
        return learned
    return f"{one_line(program.uri)} ({short_digest(program.model)}), {learned}"


def _split_lines(scores: ScoreChange, name: str, columns: int) -> list[Line]:
    if scores == ScoreChange(None, None, None):
        return []
    lines = heading(name)
    for side, interval in (("before", scores.before), ("after", scores.after)):
        if interval is None:
            lines += fact(side, "not measured completely", columns, "dim")
            continue
        text = f"{score_text(interval)}  n = {interval.n}"
        lines += _with_bar(
            fact(side, text, columns),
            score_bar(interval.score, interval.low, interval.high, _BAR + 1),
            columns,
        )
    if scores.gain is not None:
        return lines + _gain_lines("gain, paired", scores.gain, columns)
    return lines + fact("gain, paired", "no example was answered by both", columns, "dim")


def _gain_lines(name: str, gain: Interval, columns: int) -> list[Line]:
    text = f"{effect_text(gain)}  n = {gain.n}"
    bar = interval_bar(gain.score, gain.low, gain.high, _BAR + 1)
    return _with_bar(fact(name, text, columns, tone_of(gain)), bar, columns)


def _with_bar(lines: list[Line], bar: Line, columns: int) -> list[Line]:
    """Return a fact with a bar beside it, or below it where there is less room, or without it."""
    if columns > _BAR_AT + _BAR and len(lines) == 1:
        return [(*fitted(lines[0], _BAR_AT), *bar)]
    return [*lines, ((" " * _VALUE_AT, ""), *bar)] if columns > _VALUE_AT + _BAR else lines


def _rule_lines(title: str, sign: str, tone: Tone, rules: Iterable[KeptRule], columns: int) -> list[Line]:
    lines = heading(title)
    for rule in rules:
        lines += [line(part, tone) for part in wrap(one_line(rule.text), columns, "    ", f"  {sign}")]
        lines += [line(part, "dim") for part in wrap(evidence_text(rule), columns, "    ")]
    return lines


def prompt_lines(found: Comparison, columns: int) -> list[Line]:
    """Return each predictor's instructions before and after, as a diff."""
    lines: list[Line] = []
    for name, (before, after) in found.prompts.items():
        is_same = before == after
        lines += heading(f"{instructions_title(name)}{': the same' if is_same else ''}")
        lines += diff_lines(before, after, columns)
    return lines[1:] or paragraph("Neither run has started.", columns, "dim")


def tone_of(gain: Interval | None) -> Tone:
    """Return the tone of a gain: good or bad where its interval excludes 0."""
    if gain is None:
        return "dim"
    return "good" if gain.low > 0 else "bad" if gain.high < 0 else ""
