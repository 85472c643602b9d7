"""Why a rule changed an answer: both answers and both prompts, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from engine.journal.events import RolloutFinished
from promptgrad_tui.screens.live.session import RunSession
from promptgrad_tui.screens.review.evidence import example_lines
from promptgrad_tui.views.run.details import (
    MOST_EXAMPLES,
    answered_lines,
    asked_lines,
    judged_text,
    sides_of,
    success_mark,
)
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.text_blocks import heading
from promptgrad_tui.views.toned_lines import Line, fitted, line, plain

_BESIDE_FROM = 60
"""In a narrower terminal the side with the rule stands below the other."""
_GAP = " \u2502 "
_SIDES = ("Without it", "With it")


def changed_in_full(session: RunSession, row: TestRow, columns: int) -> list[Line]:
    """Return each example that a rule broke or fixed, with the raw answers and the prompts of both sides."""
    finished = row.finished
    keys = (*finished.broken, *finished.fixed) if finished else ()
    if not keys:
        return [line("  It changed no answer from right to wrong, or from wrong to right.", "dim")]
    lines: list[Line] = []
    for key in keys[:MOST_EXAMPLES]:
        is_broken = finished is not None and key in finished.broken
        lines += heading("Broken" if is_broken else "Fixed")
        lines += example_lines(session, row, key, columns)
        lines += _both(session, key, sides_of(session, row, key), columns)
    if len(keys) > MOST_EXAMPLES:
        lines.append(line(f"and {len(keys) - MOST_EXAMPLES} more", "dim"))
    return lines[1:]


def _both(session: RunSession, key: str, sides: Sequence[RolloutFinished | None], columns: int) -> list[Line]:
    is_beside = columns >= _BESIDE_FROM
    width = (columns - len(_GAP)) // 2 if is_beside else columns
    answers, prompts = [], []
    for name, event in zip(_SIDES, sides, strict=True):
        answer: list[Line] = [(), line(name, "strong")]
        prompt: list[Line] = []
        if event is None:
            answer.append(line("  not in the journal", "dim"))
        else:
            sign, tone = success_mark(event.is_success)
            answer.append(line(f"  {sign} {judged_text(event, session.example(key) or {})}", tone))
            for completion in session.completions(event.completions):
                answer += answered_lines(completion, width)
                prompt += asked_lines(completion, width)
        answers.append(answer)
        prompts.append(prompt)
    if not is_beside:
        return [part for answer, prompt in zip(answers, prompts, strict=True) for part in answer + prompt]
    without, with_it = (_marked(mine, other) for mine, other in (prompts, reversed(prompts)))
    return [*_beside(answers[0], answers[1], width), *_beside(without, with_it, width)]


def _marked(mine: Sequence[Line], other: Sequence[Line]) -> list[Line]:
    """Return lines with those accented that only this side has."""
    known = {plain(runs) for runs in other}
    return [runs if plain(runs) in known else line(plain(runs), "accent") for runs in mine]


def _beside(left: Sequence[Line], right: Sequence[Line], width: int) -> list[Line]:
    blank: Line = ()
    return [
        (*fitted(one, width), (_GAP, "dim"), *fitted(other, width))
        for one, other in zip_longest(left, right, fillvalue=blank)
    ]
