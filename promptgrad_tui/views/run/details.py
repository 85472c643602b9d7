"""Everything about one row, as lines to read: a rollout, an analysis, a rule's test."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Protocol

from engine.journal.completions import Completion
from engine.journal.events import Event, RolloutFinished
from engine.journal.live_text import LivePass
from engine.programs.demonstrations import Demonstration
from engine.programs.formatting import as_text
from engine.programs.rules import ParsedRule, Rule
from promptgrad_tui.views.answers import Answer
from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import count_text, effect_text, value_text
from promptgrad_tui.views.metrics import metric_facts
from promptgrad_tui.views.run.partial_answer import read_partial
from promptgrad_tui.views.run.prompts import prompts_of
from promptgrad_tui.views.run.rows import GradientRow, RolloutRow, TestRow
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.run.verdicts import VERDICTS
from promptgrad_tui.views.sanitize import one_line, visible
from promptgrad_tui.views.text_blocks import broken, fact, heading, paragraph, verbatim
from promptgrad_tui.views.toned_lines import WRITING, Line, Tone, fitted, interval_bar, line

MOST_EXAMPLES = 20
"""How many of the examples that a rule changed are shown."""

_SAME_GAIN = 1e-9


class RunArchive(Protocol):
    """A run to look at: its story, and what its journal and the project's data hold in full."""

    live: RunStory

    def rollout(self, row: RolloutRow) -> RolloutFinished | None:
        """Return everything about a rollout."""

    def completions(self, keys: tuple[str, ...]) -> list[Completion]:
        """Return the model's answers with these keys, as far as they are known."""

    def example(self, key: str) -> dict[str, Any] | None:
        """Return the example with that content, if the project's files still hold it."""

    def event(self, seq: int) -> Event | None:
        """Return the event with a number in the journal."""


def rollout_lines(archive: RunArchive, row: RolloutRow, columns: int) -> list[Line]:
    """Return a rollout: example, prediction, score, and the exact prompts and raw answers."""
    event = archive.rollout(row)
    lines: list[Line] = []
    values = archive.example(row.example) or {}
    for name, value in values.items():
        lines += fact(name, as_text(value), columns)
    if not values:
        lines += fact(
            "example", f"{row.example} (its data file has changed or no longer exists)", columns, "dim"
        )
    if event is None:
        return [*lines, line("  The journal no longer has this rollout.", "warn")]
    lines += [(), *prediction_lines(event, columns)]
    lines += fact("tokens", f"{event.tokens.prompt:,} + {event.tokens.completion:,}", columns)
    lines += fact("time", f"{event.seconds:.2f} s", columns)
    for number, completion in enumerate(archive.completions(event.completions), 1):
        lines += completion_lines(completion, columns, number if len(event.completions) > 1 else 0)
    return lines


def prediction_lines(event: RolloutFinished, columns: int) -> list[Line]:
    """Return what the program answered and how the metric scored it."""
    tone: Tone = "good" if event.is_success else "bad"
    lines: list[Line] = []
    for name, value in (event.prediction or {}).items():
        lines += fact(f"\u2192 {name}", as_text(value), columns, tone)
    if event.prediction is None:
        lines += fact("\u2192", "the answer could not be read", columns, "bad")
    lines += fact("score", value_text(event.score), columns, tone)
    if event.feedback:
        lines += fact("feedback", event.feedback, columns)
    if event.error_type:
        lines += fact("error type", event.error_type, columns)
    for name, value, own in metric_facts(event.metrics):
        lines += fact(name, value, columns, own)
    for name, value in event.metadata.items():
        lines += fact(name, as_text(value), columns)
    return lines


def completion_lines(completion: Completion, columns: int, number: int = 0) -> list[Line]:
    """Return a model call: the exact prompt, message by message, and the raw answer."""
    return [*asked_lines(completion, columns, number), *answered_lines(completion, columns, number)]


def asked_lines(completion: Completion, columns: int, number: int = 0) -> list[Line]:
    """Return the exact prompt of a model call, message by message."""
    of = f" {number}" if number else ""
    lines: list[Line] = []
    for role, text in completion.messages:
        lines += [*heading(f"Prompt{of}, {role}"), *verbatim(text, columns)]
    return lines


def answered_lines(completion: Completion, columns: int, number: int = 0) -> list[Line]:
    """Return the raw answer of a model call with its reasoning, and what it took."""
    of = f" {number}" if number else ""
    lines: list[Line] = []
    if completion.thinking:
        lines += [*heading(f"Thinking{of}"), *verbatim(completion.thinking, columns, "dim")]
    lines += [*heading(f"Raw answer{of}"), *verbatim(completion.answer, columns, "accent")]
    tokens = completion.tokens
    cost = f"{tokens.prompt:,} prompt tokens ({tokens.reused:,} reused), {tokens.completion:,} answer tokens"
    return [*lines, *paragraph(f"{cost}, {completion.seconds:.2f} s", columns, "dim")]


def gradient_lines(archive: RunArchive, row: GradientRow, columns: int) -> list[Line]:
    """Return an analysis pass with its exact prompt, or a batch's consensus, or one proposal."""
    if row.live is not None:
        now = archive.live.analysis(row.live.place) or row
        return _writing_lines(now.live, columns) if now.live else gradient_lines(archive, now, columns)
    if row.analysis is not None:
        analysis = row.analysis
        lines = fact("temperature", f"{analysis.temperature:.2f}", columns)
        if analysis.problem:
            lines += fact("problem", analysis.problem, columns, "warn")
        lines += [*heading("Analysis"), *paragraph(analysis.analysis, columns), *heading("Proposals")]
        for proposal in analysis.proposals:
            lines += proposal_lines(proposal, columns)
        if not analysis.proposals:
            lines.append(line("  none", "dim"))
        for completion in archive.completions(analysis.completions):
            lines += completion_lines(completion, columns)
        return lines
    if row.kind == "candidate":
        return candidate_lines(row, columns)
    if row.proposal is not None:
        lines = proposal_lines(row.proposal, columns)
        return lines + fact("dropped", row.reason, columns, "warn") if row.reason else lines
    return _consensus_lines(row, columns)


def candidate_lines(row: GradientRow, columns: int) -> list[Line]:
    """Return what another source proposed: its rules and demonstrations, and how it was ranked."""
    candidate, screened = row.candidate, row.screened
    title = candidate.title if candidate else screened.title if screened else ""
    lines = [*fact("candidate", title, columns, "strong"), *fact("source", row.source, columns)]
    if screened is not None:
        on = count_text(screened.n, "example")
        ranked = f"{screened.gain:+.4f}, error {screened.error:.4f}, on {on}" if screened.n else "not ranked"
        lines += fact("screening", ranked, columns)
        lines += fact("what follows", screened.reason, columns, "good" if screened.is_tested else "warn")
    if candidate is not None:
        lines += set_lines(candidate.rules, candidate.demonstrations, columns)
    return lines


def set_lines(rules: Sequence[Rule], demonstrations: Sequence[Demonstration], columns: int) -> list[Line]:
    """Return the rules and the demonstrations of a set."""
    lines: list[Line] = heading(f"Rules: {len(rules)}") if rules else []
    for rule in rules:
        lines += paragraph(f"- {rule.text}", columns)
        lines += fact("trigger", rule.trigger, columns, "dim") if rule.trigger else []
    lines += heading(f"Demonstrations: {len(demonstrations)}") if demonstrations else []
    for shown in demonstrations:
        lines += [*demonstration_lines(shown, columns), ()]
    return lines


def demonstration_lines(shown: Demonstration, columns: int) -> list[Line]:
    """Return what a demonstration shows: its inputs, and the answer."""
    lines = [part for name, value in shown.inputs.items() for part in fact(name, as_text(value), columns)]
    for name, value in shown.outputs.items():
        lines += fact(f"\u2192 {name}", as_text(value), columns, "accent")
    if shown.is_bootstrapped:
        lines += fact("", "answered by the program itself, and right", columns, "dim")
    return lines


def _writing_lines(live: LivePass, columns: int) -> list[Line]:
    written = read_partial(live.text)
    if written.raw:
        return [*heading("Being written"), *verbatim(f"{written.raw}{WRITING}", columns)]
    lines = [*heading("Analysis, being written"), *paragraph(written.analysis, columns)]
    if written.rules:
        lines += heading("Proposals so far")
    for text in written.rules:
        lines += paragraph(f"+ {text}", columns, "strong")
    return [*lines[:-1], (*lines[-1], (WRITING, "accent"))]


def _consensus_lines(row: GradientRow, columns: int) -> list[Line]:
    if row.consensus is None:
        return [line("  The analyses are still in progress.", "dim")]
    lines = [*heading(f"Agreed on by a majority of {row.consensus.passes} passes")]
    for proposal in row.consensus.kept:
        lines += proposal_lines(proposal, columns)
    lines += heading("Dropped")
    for dropped in row.consensus.dropped:
        lines += proposal_lines(dropped.proposal, columns)
        lines += fact("dropped", dropped.reason, columns, "warn")
    return lines


def proposal_lines(proposal: ParsedRule, columns: int) -> list[Line]:
    """Return everything about a proposal."""
    lines = fact(proposal.action, proposal.text, columns, "strong")
    if proposal.trigger:
        lines += fact("trigger", proposal.trigger, columns)
    if proposal.rationale:
        lines += fact("why", proposal.rationale, columns, "dim")
    said = f"{proposal.support} of the passes, confidence {proposal.confidence:.0%}"
    return [*lines, *fact("said by", said, columns, "dim"), ()]


def rule_test_lines(archive: RunArchive, row: TestRow, columns: int) -> list[Line]:
    """Return a rule's test: verdict, evidence, and the examples that it fixed and broke."""
    lines = [*fact(row.action, row.title, columns, "strong"), *judged_lines(row, columns)]
    finished = row.finished
    evidence = finished.evidence if finished else None
    if evidence is not None:
        bar = interval_bar(evidence.delta, evidence.low, evidence.high, max(min(columns - 18, 60), 10))
        lines.append((("                ", ""), *bar))
    if row.rule.rationale:
        lines += fact("why", row.rule.rationale, columns, "dim")
    if row.is_set:
        lines += fact("source", row.source, columns)
        lines += set_lines(row.members, row.demonstrations, columns)
    if finished is not None:
        lines += _changed_examples(archive, row, "Fixed by it", finished.fixed, columns)
        lines += _changed_examples(archive, row, "Broken by it", finished.broken, columns)
    return lines + _suggesting(archive, row, columns)


def judged_lines(row: TestRow, columns: int) -> list[Line]:
    """Return what is known of a tested rule: trigger, note, verdict, reason, and the gain."""
    lines = fact("trigger", row.rule.trigger, columns) if row.rule.trigger else []
    lines += fact("note", row.rule.note, columns) if row.rule.note else []
    word, tone = VERDICTS[row.state]
    lines += fact("verdict", word, columns, tone)
    finished = row.finished
    lines += fact("because", finished.reason, columns) if finished else []
    evidence = finished.evidence if finished else None
    if evidence is None:
        return lines
    gain = effect_text(evidence)
    on = f"{count_text(evidence.n, 'example')}, {count_text(evidence.calls, 'call')}"
    lines += fact("gain", f"{gain} on {on}", columns)
    if evidence.deltas and abs(fmean(evidence.deltas.values()) - evidence.delta) > _SAME_GAIN:
        lines += fact("", "weighted: examples on which its trigger fires were drawn first", columns, "dim")
    return lines


def _changed_examples(
    archive: RunArchive, row: TestRow, title: str, keys: tuple[str, ...], columns: int
) -> list[Line]:
    lines = heading(f"{title}: {len(keys)}" if keys else f"{title}: none")
    for key in keys[:MOST_EXAMPLES]:
        lines += [*example_lines(archive, key, columns), *before_and_after(archive, row, key, columns), ()]
    return lines


def example_lines(archive: RunArchive, key: str, columns: int) -> list[Line]:
    """Return an example's fields, or its key if the data no longer exists."""
    values = archive.example(key)
    if values is None:
        return fact("example", key, columns, "dim")
    return [part for name, value in values.items() for part in fact(name, as_text(value), columns)]


def before_and_after(archive: RunArchive, row: TestRow, key: str, columns: int) -> list[Line]:
    """Return what the program answered without a rule and with it, side by side."""
    expected = archive.example(key) or {}
    half = (columns - 5) // 2
    before, after = (fitted(_answer(side, expected), half) for side in sides_of(archive, row, key))
    return [(("  ", ""), *before, (" \u2192 ", "dim"), *after)]


def sides_of(archive: RunArchive, row: TestRow, key: str) -> tuple[RolloutFinished | None, ...]:
    """Return an example's rollout without a rule and with it, where the journal holds them."""
    found = (
        archive.live.rollout(key, row.before, row.started_seq),
        archive.live.rollout(key, row.after, row.finished_seq),
    )
    return tuple(archive.rollout(one) if one else None for one in found)


def _answer(event: RolloutFinished | None, expected: Mapping[str, Any]) -> Line:
    if event is None:
        return line("not in the journal", "dim")
    sign, tone = success_mark(event.is_success)
    mark: Line = ((f"{sign} {value_text(event.score)}  ", tone),)
    return (*mark, (judged_text(event, expected), "" if event.prediction is not None else "warn"))


def judged_text(event: RolloutFinished, expected: Mapping[str, Any]) -> str:
    """Return on one line what a rollout's program answered: the fields with an expected value."""
    return one_line(Answer.of([event]).judged(expected))


def success_mark(is_success: bool) -> tuple[str, Tone]:
    """Return the sign and the tone of a right or a wrong answer."""
    return ("\u2713", "good") if is_success else ("\u2717", "bad")


def _suggesting(archive: RunArchive, row: TestRow, columns: int) -> list[Line]:
    keys = row.rule.suggested_by
    if not keys:
        return []
    lines = heading(f"Suggested by the failures on {count_text(len(keys), 'example')}")
    for key in keys:
        lines += [*example_lines(archive, key, columns), ()]
    return lines


def prompt_lines(archive: RunArchive, columns: int) -> list[Line]:
    """Return each predictor's instructions with the current rules, as a diff against the frozen base."""
    live = archive.live
    if live.started is None:
        return [line("  The run hasn't started.", "dim")]
    lines: list[Line] = []
    if not live.rules_now:
        lines = paragraph("No rule has been kept so far: this is the frozen base.", columns, "dim")
    for name, (base, optimized) in prompts_of(live, live.rules_now).items():
        lines += [*heading(instructions_title(name)), *diff_lines(base, optimized, columns)]
    return lines


def instructions_title(predictor: str) -> str:
    """Return what a predictor's instructions are called; DSPy calls a program's only predictor "self"."""
    return "Instructions" if predictor == "self" else f"Instructions of {one_line(predictor)}"


def diff_lines(before: str, after: str, columns: int) -> list[Line]:
    """Return a diff of two texts: `+` before added lines, `-` before removed lines."""
    tones: Mapping[str, Tone] = {"+": "good", "-": "bad", " ": ""}
    lines: list[Line] = []
    for sign, text in line_diff(before, after):
        first, *rest = broken(visible(text), max(columns - 4, 8))
        lines += [
            line(f"  {sign} {first}", tones[sign]),
            *(line(f"    {part}", tones[sign]) for part in rest),
        ]
    return lines


def event_lines(archive: RunArchive, seq: int, columns: int) -> list[Line]:
    """Return everything in the event with that number, as JSON."""
    event = archive.event(seq)
    if event is None:
        return [line("  The journal no longer has this event.", "warn")]
    return verbatim(event.model_dump_json(indent=2), columns)


def clock_text(seconds: float) -> str:
    """Return a time as local hours, minutes and seconds."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))
