"""How the Try screen draws an answer, the rules that fired for it, and what it took."""

from __future__ import annotations

from promptgrad_tui.screens.trying.state import Answer, Problem, TryState
from promptgrad_tui.views.figures import count_text, tokens_text
from promptgrad_tui.views.sanitize import one_line, wrap
from promptgrad_tui.views.text_blocks import heading, paragraph
from promptgrad_tui.views.toned_lines import Line, joined, line
from promptgrad_tui.work.trying.messages import Answered, Described, Side, TriedRule

_WAITING = "Type an input and press enter."
_WANTED = "It is answered as soon as the model is open."


def answer_lines(state: TryState, side: Side, columns: int) -> list[Line]:
    """Return one side's answer: its fields, then figures, then the rules."""
    answer = state.answers.get(side)
    lines = paragraph(_WANTED, columns, "accent") if state.is_wanted else []
    if answer is None:
        return lines or paragraph(_WAITING, columns, "dim")
    differing = state.differing()
    # The requested fields first: where there is little room, the reasoning may be out of sight.
    for name, text in sorted(answer.fields().items(), key=lambda field: field[0] == "reasoning"):
        differs = name in differing
        lines += [((f"  {one_line(name)}", "dim"), ("  \u2260 differs" if differs else "", "warn"))]
        lines += [line(part, "strong" if differs else "") for part in wrap(text, columns, "    ")]
    lines += _standing(answer, columns)
    if answer.answered is not None:
        lines += _rules(state, side, answer.answered, columns)
    return lines


def problem_lines(problem: Problem, columns: int) -> list[Line]:
    """Return what happened, and what to do about it."""
    message, hint = problem
    return [*paragraph(message, columns, "bad"), *(paragraph(hint, columns, "accent") if hint else [])]


def title_lines(state: TryState, name: str, source: str) -> list[Line]:
    """Return the two lines above: what is tried, and the state of the model."""
    described, ready = state.described, state.ready
    learned = learned_text(described) if described else ""
    is_base = described is not None and "optimized" not in described.sides
    origin = f"of {one_line(source)}" if source and not is_base else ""
    parts = [line(" Try", "strong"), line(one_line(name), "accent")]
    if described:
        parts += [line("no rules yet: only the base instructions" if is_base else learned)]
        parts += [line(origin, "dim")]
    if ready:
        second = [line(f" {one_line(ready.model)}"), line(one_line(ready.revision), "dim")]
        second += [_activity(state)]
    else:
        second = [_loading(state)]
    notes = [line(f"! {note}", "warn") for note in described.notes] if described else []
    return [joined(parts), joined([*second, *notes])]


def learned_text(described: Described) -> str:
    """Return what is tried besides the base: 3 rules, 12 demonstrations."""
    counts = (("rule", described.rules), ("demonstration", described.demonstrations))
    learned = ", ".join(count_text(count, noun) for noun, count in counts if count) or "no rules"
    return f"{learned} (the nearest {described.nearest} shown)" if described.nearest else learned


def _activity(state: TryState) -> Line:
    if not state.is_running:
        return line("ready", "good")
    return line("cancelling \u2026", "warn") if state.is_cancelling else line("answering", "accent")


def _loading(state: TryState) -> Line:
    if state.phase == "failed":
        return line(" \u2717 not open", "bad")
    if state.phase == "gone":
        return line(" \u2717 the model's process is gone", "bad")
    loading = state.loading
    if loading is None:
        return line(" Starting", "accent")
    share = f"  {loading.share:.0%}" if 0 < loading.share < 1 else ""
    return line(f" {one_line(loading.text)}{share}", "accent")


def _standing(answer: Answer, columns: int) -> list[Line]:
    if answer.problem is not None:
        return problem_lines(answer.problem, columns)
    if answer.answered is not None:
        return [(), *paragraph(_figures(answer.answered), columns, "dim")]
    if answer.state == "cancelled":
        return [line("  cancelled", "warn")]
    return [line("  \u2026", "accent")]


def _figures(answered: Answered) -> str:
    calls = f"{answered.calls} calls, " if answered.calls > 1 else ""
    return f"{calls}{tokens_text(answered.tokens)}, {answered.seconds:.2f} s"


def _rules(state: TryState, side: Side, answered: Answered, columns: int) -> list[Line]:
    if side == "base":
        return [*heading("  No rules"), *paragraph("only the base instructions", columns, "dim")]
    conditional = state.described is not None and state.described.is_conditional
    if not answered.rules:
        return []
    fired = [rule for rule in answered.rules if (rule.in_prompt if conditional else rule.fires)]
    others = [rule for rule in answered.rules if rule not in fired]
    count = f"{len(fired)} of {count_text(len(answered.rules), 'rule')}"
    title = f"  {count} in the prompt" if conditional else f"  {count} fit this input; all are in the prompt"
    lines = [(), *(line(part, "strong") for part in wrap(title, columns, "  "))]
    for rule in fired:
        lines += _rule(rule, columns, has_fired=True)
    for rule in others:
        lines += _rule(rule, columns, has_fired=False)
    return lines


def _rule(rule: TriedRule, columns: int, *, has_fired: bool) -> list[Line]:
    mark = "  \u25cf " if has_fired else "  \u25cb "
    lines = [
        line(part, "" if has_fired else "dim") for part in wrap(one_line(rule.text), columns, "    ", mark)
    ]
    if has_fired:
        lines += [line(part, "accent") for part in wrap(_why(rule), columns, "    ")]
    return lines


def _why(rule: TriedRule) -> str:
    if not rule.trigger:
        return "no trigger: it applies to every input"
    share = "all" if rule.overlap >= 1 else f"{rule.overlap:.0%}"
    return f"trigger \u201c{one_line(rule.trigger)}\u201d: {share} of its words are in the input"
