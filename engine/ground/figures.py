"""Numbers as people read them, with one precision everywhere: scores, gains, counts."""

from __future__ import annotations

from engine.ground.interval import Evidence, Interval


def score_text(interval: Interval) -> str:
    """Return a score with its 95 % interval."""
    return f"{interval.score:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def value_text(value: float) -> str:
    """Return a score."""
    return f"{value:.3f}"


def gain_text(delta: float, low: float | None = None, high: float | None = None) -> str:
    """Return a difference of scores, with its sign and its 95 % interval where there is one."""
    if low is None or high is None:
        return f"{delta:+.3f}"
    return f"{delta:+.3f} [{low:+.3f}, {high:+.3f}]"


def effect_text(found: Interval | Evidence) -> str:
    """Return a gain that was measured, with its 95 % interval."""
    return gain_text(found.delta if isinstance(found, Evidence) else found.score, found.low, found.high)


def count_text(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: 1 rule, 2 rules, 12,345 tokens."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
