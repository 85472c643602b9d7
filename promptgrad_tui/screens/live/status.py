"""What stands above the panes: how the run stands, how far it is, what it has cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from engine.ground.interval import Interval
from engine.journal.events import ReviewApplied, RunSummary
from promptgrad_tui.screens.live.run import LiveRun, RunState
from promptgrad_tui.views.figures import count_text, duration_text, rough_duration_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import (
    Line,
    Tone,
    fitted,
    joined,
    joined_within,
    line,
    plain,
    progress_bar,
)

_SHORTEST_BAR = 6

_STATES: dict[RunState, tuple[str, Tone]] = {
    "waiting": ("\u25cb starting", "accent"),
    "running": ("\u25b6 running", "accent"),
    "paused": ("\u2016 paused", "warn"),
    "lost": ("! the worker is gone", "bad"),
    "finished": ("\u25a0 finished", "strong"),
}
ENDS: dict[str, tuple[str, Tone]] = {
    "improved": ("\u2713 improved", "good"),
    "no_improvement": ("\u25a0 no improvement", "warn"),
    "budget": ("\u25a0 budget used up", "warn"),
    "stopped": ("\u25a0 stopped", "warn"),
    "error": ("! ended by an error", "bad"),
    "interrupted": ("! interrupted", "warn"),
}
"""How a run that no process works on has ended, by its status."""
_WITHHELD: tuple[str, Tone] = ("\u25a0 failed its gates", "warn")


@dataclass(frozen=True)
class Status:
    """A run, and what isn't in its events: whether a process works on it, the time, and its options.

    `awaited` counts the rules on which the run waits for a person.

    Until the journal has been read for the first time, nothing is known of the run.
    """

    run: LiveRun
    is_running: bool
    now: float
    options: dict[str, Any]
    problem: str = ""
    is_starting: bool = False
    is_applying: bool = False
    is_read: bool = True
    awaited: int = 0


def state_of(status: Status) -> tuple[str, Tone]:
    """Return how the run stands, in a sign and a word or two, with its tone."""
    if status.is_applying:
        return _STATES["running"]
    if status.is_starting:
        return _STATES["waiting"]
    state = status.run.state(is_running=status.is_running)
    if state == "finished" and status.run.finished is not None:
        summary = status.run.finished.summary
        return end_of(summary.status, summary)
    return _STATES[state]


def end_of(status: str, summary: RunSummary | None) -> tuple[str, Tone]:
    """Return how a run ended: by its status, and whether a gate held back what it had found."""
    return _WITHHELD if summary is not None and summary.is_held_back else ENDS[status]


def status_lines(status: Status, columns: int) -> list[Line]:
    """Return three lines: state and progress, cost and speed, model and seed."""
    return [
        _progress(status, columns),
        joined_within(_cost(status), columns),
        joined_within(_identity(status), columns),
    ]


def _progress(status: Status, columns: int) -> Line:
    if not status.is_read:
        return line("\u25cb reading the journal", "accent")
    progress, state = status.run.progress, state_of(status)
    if status.run.finished is not None and (status.is_applying or not status.is_starting):
        return _end(status, status.run.finished.summary, columns)
    head = joined([(state,), line(_doing(status))], "   ")
    if not progress.expected or status.is_starting:
        return head
    tail = joined([line(f"{progress.fraction:>3.0%}", "strong"), line(_time_left(status), "dim")], "  ")
    room = columns - _width(tail) - 6
    bar = progress_bar(progress.fraction, max(min(room - _width(head), 40), 0))
    if len(plain(bar)) >= _SHORTEST_BAR:
        return joined([head, joined([bar, tail], " ")], "   ")
    return joined([fitted(head, min(_width(head), columns - _width(tail) - 2)), tail])


def _end(status: Status, summary: RunSummary, columns: int) -> Line:
    run, state = status.run, state_of(status)
    if status.is_applying:
        doing = f"applying review {run.reviews_applied + 1}"
        waits = _waits_for(status)
        return joined_within([(state,), line(f"{doing}: {waits}" if waits else doing)], columns)
    if run.review is not None:
        return joined_within([(state,), *_reviewed(run.review)], columns)
    reason = line(one_line(summary.reason.split("\n")[0]))
    whole = joined([(state,), *_result(summary), reason], "   ")
    # Why it ended is news where it did not end by itself.
    return joined_within([(state,), *_result(summary), reason], columns) if summary.is_done else whole


def _result(summary: RunSummary) -> list[Line]:
    """Return the scores before and after on both held-out splits, as far as they are known."""
    found: list[Line] = []
    for split in ("validation", "test"):
        before, after = getattr(summary.baseline, split), getattr(summary.optimized, split)
        if before is not None and after is not None:
            tone: Tone = "good" if after.score > before.score else "warn"
            change: Line = (
                (f"{split} ", "dim"),
                (f"{before.score:.3f} \u2192 ", ""),
                (f"{after.score:.3f}", tone),
            )
            found.append(change)
    return found


def _reviewed(review: ReviewApplied) -> list[Line]:
    """Return what the latest review of a finished run came to."""
    scores: list[tuple[str, Interval | None]] = [("validation", review.validation), ("test", review.test)]
    return [
        line(f"review {review.number} applied: {count_text(len(review.rules), 'rule')}", "accent"),
        *(((f"{name} ", "dim"), (f"{score.score:.3f}", "")) for name, score in scores if score is not None),
    ]


def _width(runs: Line) -> int:
    return cell_len(plain(runs))


def _waits_for(status: Status) -> str:
    said = status.run.waits_for
    # The next event shows that the wait is over; what a killed process said last stays behind it.
    if said is not None and said.time > status.run.last_time and (status.is_starting or status.is_running):
        return one_line(str(said))
    return ""


def _doing(status: Status) -> str:
    if waits := _waits_for(status):
        return waits
    if status.is_starting or not status.run.last_seq:
        return "the model is being loaded"
    if status.run.state(is_running=status.is_running) == "paused":
        awaited = status.awaited
        return f"{count_text(awaited, 'rule')} to review: press v" if awaited else status.run.pause_reason
    return status.run.progress.phase


def _time_left(status: Status) -> str:
    if not status.is_running:
        return ""
    left = status.run.progress.seconds_left(status.now)
    return f"{rough_duration_text(left)} left" if left is not None else ""


def _cost(status: Status) -> list[Line]:
    run, progress = status.run, status.run.progress
    summary = run.finished.summary if run.finished else None
    tokens = summary.tokens if summary else run.story.tokens
    seconds = summary.seconds if summary else None
    parts: list[Line] = []
    if progress.expected:
        parts = [_figure(f"{progress.done:,}", f"of about {progress.expected:,} calls")]
    if summary:
        parts = [_figure(f"{summary.calls:,}", "calls")]
    limit = status.options.get("budget", {}).get("max_calls")
    if limit:
        parts.append(_figure(f"{limit:,}", "calls allowed"))
    if tokens.prompt:
        parts.append(_figure(f"{tokens.prompt + tokens.completion:,}", "tokens"))
    rate = run.tokens_per_second(status.now) if status.is_running else None
    if rate is None and seconds:
        rate = (tokens.prompt + tokens.completion) / seconds
    if rate is not None:
        parts.append(_figure(f"{rate:,.0f}", "tokens/s"))
    if tokens.prompt:
        parts.append(_figure(f"{tokens.reused / tokens.prompt:.0%}", "reused"))
    if run.first_time:
        parts.append(_figure(duration_text(seconds or run.last_time - run.first_time), ""))
    return parts


def _figure(number: str, noun: str) -> Line:
    return ((number, "strong"), (f" {noun}" if noun else "", "dim"))


def _identity(status: Status) -> list[Line]:
    started = status.run.story.started
    if status.problem:
        return [line(f"! {one_line(status.problem)}", "bad")]
    if started is None:
        return []
    return [
        line(one_line(started.model.uri)),
        line(started.model.short, "dim"),
        line(f"seed {started.seed}", "dim"),
        line(f"{count_text(len(status.run.rules_now), 'rule')} now", "dim"),
        line(started.run, "dim"),
    ]
