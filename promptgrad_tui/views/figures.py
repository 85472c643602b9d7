"""Numbers as people read them: scores, gains, durations, counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.ground.figures import count_text, effect_text, gain_text, score_text, value_text

if TYPE_CHECKING:
    from engine.ground.interval import Interval
    from engine.journal.events import EpochFinished, SliceScore, SliceScores, Tokens

__all__ = [
    "count_text",
    "duration_text",
    "effect_text",
    "epoch_name",
    "gain_text",
    "rough_duration_text",
    "score_text",
    "size_text",
    "slice_gain_text",
    "slice_text",
    "tokens_text",
    "value_text",
]


def epoch_name(epoch: EpochFinished) -> str:
    """Return what an epoch is called."""
    return f"Epoch {epoch.epoch}" if epoch.epoch else "Baseline"


def slice_text(scores: SliceScore) -> str:
    """Return a slice's score with its interval, and how many of its answers are wrong."""
    return f"{score_text(scores.score)}, {scores.failures} of {scores.score.n} wrong"


def slice_gain_text(scores: SliceScores) -> str:
    """Return a slice's scores before and after, its gain, and how many answers are still wrong."""
    gain = effect_text(scores.gain)
    change = before_after_text(scores.baseline, scores.optimized)
    return f"{change}, {gain}, {scores.failures} of {scores.gain.n} wrong"


def before_after_text(before: Interval, after: Interval) -> str:
    """Return two scores, with an arrow between them."""
    return f"{value_text(before.score)} -> {value_text(after.score)}"


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that fits: 0.4 s, 42 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def timer_text(seconds: float) -> str:
    """Return a duration as a running clock: 0:07, 12:40, 1:02:09."""
    whole = max(int(seconds), 0)
    minutes = f"{whole // 60 % 60}:{whole % 60:02}"
    return f"{whole // 3600}:{minutes:0>5}" if whole >= 3600 else minutes


def rough_duration_text(seconds: float) -> str:
    """Return a duration that is only estimated, as rough as it is known: a few seconds, about 4 min."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 50:
        return f"about {round(seconds / 10) * 10} s"
    if seconds < 90 * 60:
        return f"about {max(round(seconds / 60), 1)} min"
    return f"about {seconds / 3600:.1f} h"


def tokens_text(tokens: Tokens) -> str:
    """Return the tokens of prompts and answers, and the share that was reused."""
    share = f" ({tokens.reused / tokens.prompt:.0%} reused)" if tokens.prompt else ""
    return f"{tokens.prompt:,} prompt tokens{share}, {tokens.completion:,} answer tokens"


def size_text(size: float) -> str:
    """Return bytes in the unit that fits: 812 B, 11.9 MB, 4.7 GB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
