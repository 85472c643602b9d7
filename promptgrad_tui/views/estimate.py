"""What a run will cost, in sentences: always a range, and never more exact than it is known."""

from __future__ import annotations

from promptgrad_tui.views.figures import count_text, rough_duration_text
from promptgrad_tui.work.check.estimate import Cost, Measured, PlannedCalls, expected_cost


def calls_text(calls: PlannedCalls) -> str:
    """Return how many calls a run takes, and what that depends on."""
    return (
        f"{range_text(calls.few, calls.many)} calls: the few if one rule is all that is missing, the many if "
        f"every batch brings three to test; at least {calls.least:,} in any case, and at most {calls.most:,} "
        f"with {count_text(calls.proposals, 'proposal')} a batch"
    )


def cost_text(calls: PlannedCalls, measured: Measured, analysis_tokens: int) -> str:
    """Return how many tokens and minutes that is at a measured rate."""
    few, many = costs(calls, measured, analysis_tokens)
    return (
        f"{range_text(few.tokens, many.tokens)} tokens and {duration_range_text(few, many)}, by "
        f"{count_text(measured.calls, 'measured call')}; tokens that are shared make it less"
    )


def costs(calls: PlannedCalls, measured: Measured, analysis_tokens: int) -> tuple[Cost, Cost]:
    """Return what the few calls cost and what the many do."""
    return (
        expected_cost(calls.few, calls.few_analyses, measured, analysis_tokens),
        expected_cost(calls.many, calls.many_analyses, measured, analysis_tokens),
    )


def range_text(few: float, many: float) -> str:
    """Return two estimated numbers as a range, as rough as they are known: 520 to 1,200."""
    low, high = _rough(few), _rough(many)
    return f"about {low}" if low == high else f"{low} to {high}"


def duration_range_text(few: Cost, many: Cost) -> str:
    """Return two estimated durations as a range: about 20 s to about 2 min."""
    low, high = rough_duration_text(few.seconds), rough_duration_text(many.seconds)
    return low if low == high else f"{low} to {high.removeprefix('about ')}"


def _rough(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}"
