"""The lines above the panes: the state of the run, its progress and its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from engine.ground.interval import Interval
from engine.journal.events import ReviewApplied, RunSummary
from promptgrad_tui.views.figures import count_text, duration_text, timer_text, value_text
from promptgrad_tui.views.run.early_stops import EarlyStops
from promptgrad_tui.views.run.headline import headline_of
from promptgrad_tui.views.run.story import RunState, RunStory
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
    "lost": ("! the worker has died", "bad"),
    "finished": ("\u25a0 finished", "strong"),
}
_PAUSING: tuple[str, Tone] = ("\u2016 pausing", "warn")
_SILENT_SECONDS = 3.0
"""A wait for an answer that a person may wonder about."""


@dataclass(frozen=True)
class Status:
    """A run, and what isn't in its events: whether a process works on it, the time, and its options.

    `awaited` counts the rules on which the run waits for a person. `started_at` is when its process was
    started from here, `is_pausing` says that it was asked to pause and is finishing its current work.

    Until the journal has been read for the first time, nothing is known of the run.
    """

    run: RunStory
    is_running: bool
    now: float
    options: dict[str, Any]
    problem: str = ""
    is_starting: bool = False
    is_applying: bool = False
    is_read: bool = True
    awaited: int = 0
    started_at: float = 0.0
    is_pausing: bool = False


def state_of(status: Status) -> tuple[str, Tone]:
    """Return the state of the run: a sign and a word or two, with their tone."""
    if status.is_applying:
        return _STATES["running"]
    if status.is_starting:
        return _STATES["waiting"]
    state = status.run.state(is_running=status.is_running)
    if state in ("running", "paused") and _is_pausing(status):
        return _PAUSING
    summary = status.run.summary
    end = headline_of(summary.status, summary) if state == "finished" and summary else None
    return end.run if end else _STATES[state]


def status_lines(status: Status, columns: int) -> list[Line]:
    """Return three lines: state and progress, cost and speed, model and seed."""
    return [
        _progress(status, columns),
        joined_within(_cost(status), columns),
        joined_within(_identity(status), columns),
    ]


def short_status_lines(status: Status, columns: int) -> list[Line]:
    """Return two lines for a small terminal: state and progress, then what it cost and on which model."""
    return [_progress(status, columns), joined_within([*_cost(status), *_identity(status)], columns)]


def _progress(status: Status, columns: int) -> Line:
    if not status.is_read:
        return line("\u25cb reading the journal", "accent")
    progress, state = status.run.progress, state_of(status)
    if status.run.finished is not None and (status.is_applying or not status.is_starting):
        return _end(status, status.run.finished.summary, columns)
    head = joined([(state,), line(_doing(status))], "   ")
    if status.is_starting and status.started_at:
        # Beside the state: the run's own clock begins with its first event, and would seem to go back.
        return joined([head, line(timer_text(status.now - status.started_at), "dim")], "  ")
    if not progress.expected or status.is_starting:
        return head
    tail = joined(
        [
            line(f"{progress.fraction:>3.0%}", "strong"),
            line(progress.time_left_text(status.now) if status.is_running else "", "dim"),
        ],
        "  ",
    )
    room = columns - _width(tail) - 6
    bar = progress_bar(progress.fraction, max(min(room - _width(head), 40), 0))
    if len(plain(bar)) >= _SHORTEST_BAR:
        return joined([head, joined([bar, tail], " ")], "   ")
    if _width(head) > columns - _width(tail) - 2:
        # Half a number would be another number: the wait is also in the pane "now".
        head = joined([(state,), line(_doing(status, names_wait=False))], "   ")
    return joined([fitted(head, min(_width(head), columns - _width(tail) - 2)), tail])


def _end(status: Status, summary: RunSummary, columns: int) -> Line:
    run, state = status.run, state_of(status)
    if status.is_applying:
        return joined_within([(state,), *applying_parts(status), line("x stops it", "dim")], columns)
    if run.review is not None:
        return joined_within([(state,), *_reviewed(run.review)], columns)
    reason = line(one_line(summary.reason.split("\n")[0]))
    whole = joined([(state,), *_result(summary), reason], "   ")
    # The reason matters if the run didn't end by itself.
    return joined_within([(state,), *_result(summary), reason], columns) if summary.is_done else whole


def applying_parts(status: Status) -> list[Line]:
    """Return what is said while a review is applied: what it waits for, its calls so far, and a clock."""
    run = status.run
    doing, waits = f"applying review {run.reviews_applied + 1}", _waits_for(status)
    began, done = run.review_began
    parts = [line(f"{doing}: {waits}" if waits else doing)]
    if run.has_begun_review:
        parts.append(line(f"{count_text(run.progress.done - done, 'call')} so far"))
    if since := (began if run.has_begun_review else status.started_at):
        parts.append(line(timer_text(status.now - since), "dim"))
    return parts


def _result(summary: RunSummary) -> list[Line]:
    """Return the scores before and after on both held-out splits, as far as they are known."""
    found: list[Line] = []
    for split in ("validation", "test"):
        before, after = getattr(summary.baseline, split), getattr(summary.optimized, split)
        if before is not None and after is not None:
            tone: Tone = "good" if after.score > before.score else "warn"
            change: Line = (
                (f"{split} ", "dim"),
                (f"{value_text(before.score)} \u2192 ", ""),
                (value_text(after.score), tone),
            )
            found.append(change)
    return found


def _reviewed(review: ReviewApplied) -> list[Line]:
    """Return the result of the latest review of a finished run."""
    scores: list[tuple[str, Interval | None]] = [("validation", review.validation), ("test", review.test)]
    return [
        line(f"review {review.number} applied: {count_text(len(review.rules), 'rule')}", "accent"),
        *(
            ((f"{name} ", "dim"), (value_text(score.score), ""))
            for name, score in scores
            if score is not None
        ),
    ]


def _width(runs: Line) -> int:
    return cell_len(plain(runs))


def _waits_for(status: Status) -> str:
    said = status.run.waits_for
    # The next event shows that the wait is over; the last words of a killed process remain.
    if said is not None and said.time > status.run.last_time and (status.is_starting or status.is_running):
        return one_line(str(said))
    return ""


def _doing(status: Status, *, names_wait: bool = True) -> str:
    if waits := _waits_for(status):
        return waits
    if status.is_starting or not status.run.last_seq:
        return "loading the model"
    if _is_pausing(status):
        return "after the answers that it has begun"
    if status.run.state(is_running=status.is_running) == "paused":
        if not status.awaited:
            return status.run.pause_reason
        return f"{count_text(status.awaited, status.run.awaited_noun)} to review: press v"
    parts = [status.run.progress.phase, scorings_text(status), waiting_text(status) if names_wait else ""]
    return ", ".join(part for part in parts if part)


def scorings_text(status: Status) -> str:
    """Return how many prompts were scored so far, while the run scores them."""
    scored = status.run.scored
    if scored is None or not status.is_running or scored.time <= status.run.last_time:
        return ""
    return f"{count_text(scored.count, 'prompt')} scored"


def _is_pausing(status: Status) -> bool:
    """Whether a run that was asked to pause is still finishing its current work."""
    return status.is_running and (
        status.is_pausing or (status.run.progress.is_paused and bool(status.run.passes))
    )


def waiting_text(status: Status) -> str:
    """Return for which answer the run has been waiting, where that takes long and nothing else says so."""
    run = status.run
    if not run.last_seq or run.progress.is_waiting:
        return ""
    scored = run.scored if run.scored is not None and run.scored.time > run.last_time else None
    silent = status.now - (scored.time if scored else run.last_time)
    if not status.is_running or run.passes or silent < _SILENT_SECONDS:
        return ""
    asked = f"prompt {scored.count + 1}" if scored else f"answer {run.progress.done + 1}"
    return f"{asked} for {timer_text(silent)}"


def _cost(status: Status) -> list[Line]:
    run, progress = status.run, status.run.progress
    summary = run.finished.summary if run.finished else None
    tokens = summary.tokens if summary else run.tokens
    seconds = summary.seconds if summary else None
    parts: list[Line] = []
    if progress.expected:
        parts = [_figure(f"{progress.done:,}", f"of about {progress.expected:,} calls")]
    if summary:
        parts = [
            _figure(f"{summary.calls:,}", "calls, scorings included" if run.has_scored else "calls")
            if summary.calls
            else line("every answer was known", "dim")
        ]
    limit = status.options.get("budget", {}).get("max_calls")
    if limit:
        parts.append(_figure(f"{limit:,}", "calls allowed"))
    if tokens.prompt:
        parts.append(_figure(f"{tokens.prompt + tokens.completion:,}", "tokens"))
    rate = run.tokens_per_second(status.now) if status.is_running else None
    if rate is None and seconds and summary and summary.calls:
        rate = (tokens.prompt + tokens.completion) / seconds
    if rate is not None:
        parts.append(_figure(f"{rate:,.0f}", "tokens/s"))
    if tokens.prompt:
        parts.append(_figure(f"{tokens.reused / tokens.prompt:.0%}", "reused"))
    saved = EarlyStops.of(run).calls
    return [
        *parts,
        *_duration(status, seconds),
        *([_figure(f"{saved:,}", "calls saved by stopping tests early")] if saved else []),
    ]


def _duration(status: Status, seconds: float | None) -> list[Line]:
    """Return how long the run took, or a running clock."""
    run = status.run
    if status.is_starting:
        # Until a resumed run's first event, its clock would count the time in which no process worked.
        return []
    if status.is_running and run.first_time and not status.is_applying:
        return [_figure(timer_text(run.progress.seconds_worked(status.now)), "")]
    return (
        [_figure(duration_text(seconds or run.progress.seconds_worked(run.last_time)), "")]
        if run.first_time
        else []
    )


def _figure(number: str, noun: str) -> Line:
    return ((number, "strong"), (f" {noun}" if noun else "", "dim"))


def _identity(status: Status) -> list[Line]:
    started = status.run.started
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
