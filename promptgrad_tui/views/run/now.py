"""What a run is doing at this moment, and what is in each of its panes: for a terminal with room for one."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrad_tui.views.figures import gain_text
from promptgrad_tui.views.run.partial_answer import read_partial
from promptgrad_tui.views.run.rows import TestRow
from promptgrad_tui.views.run.status import Status, scorings_text, waiting_text
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.run.verdicts import VERDICTS
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, Tone, line, tail

_HEAD = 11
_CHARACTERS_OF_TOKEN = 4


def tab_counts(story: RunStory, artifacts: int) -> Sequence[str]:
    """Return what is in the panes of batches, gradients, tests, artifacts and scores, in a few characters."""
    states = [test.state for test in story.tests.values() if not test.is_trial]
    kept, out = states.count("accepted"), states.count("rejected")
    scores = [epoch.validation.score for epoch in story.epochs]
    change = f"{_short(scores[0])}\u2192{_short(scores[-1])}" if len(scores) > 1 else ""
    return (
        str(len(story.batch_rows) or ""),
        "\u270e" if story.passes else "",
        f"{kept}\u2713 {out}\u2717" if kept or out else "",
        str(artifacts or ""),
        change or (_short(scores[0]) if scores else ""),
    )


def now_lines(status: Status, columns: int) -> list[Line]:
    """Return what is being written, the test that is running, the last one, and how answers turn out."""
    story, room = status.run, columns - _HEAD
    lines = [
        _named(f"pass {live.number + 1}", "accent", line(tail(_written(live.text, room), room)))
        for live in story.passes
    ]
    tests = [test for test in story.tests.values() if test.state not in ("queued", "not_tested")]
    if tests and tests[-1].state == "running":
        lines.append(_named("testing", "accent", _running(tests.pop())))
    if scored := scorings_text(status):
        lines.append(_named("screening", "accent", line(f"{scored} by likelihood, without answers")))
    if waiting := waiting_text(status):
        lines.append(_named("waiting", "warn", line(waiting)))
    if tests:
        lines.append(_named("last test", "dim", _judged(tests[-1])))
    # No answer arrives here while a method runs: the marks would be the baseline's.
    if story.rollouts and not story.progress.runs_a_method:
        lines.append(_named("answers", "dim", _marks(story, room)))
    return lines or [line(story.progress.phase, "dim")]


def _written(text: str, room: int) -> str:
    tokens = f"{len(text) // _CHARACTERS_OF_TOKEN:,} tokens  "
    return (
        f"{tokens}{one_line(read_partial(text).text)[-room:]}"
        if len(text) < room
        else one_line(read_partial(text).text)
    )


def _named(name: str, tone: Tone, runs: Line) -> Line:
    return ((f"{name:<{_HEAD}}", tone), *runs)


def _running(test: TestRow) -> Line:
    so_far = test.so_far()
    gain = f"  {gain_text(so_far[0])} so far" if so_far else ""
    return ((f"{len(test.seen)}/{test.n}{gain}  ", "strong"), (one_line(test.title), ""))


def _judged(test: TestRow) -> Line:
    evidence = test.finished.evidence if test.finished else None
    gain = f" {gain_text(evidence.delta)}" if evidence else ""
    word, tone = VERDICTS[test.state]
    return ((f"{word}{gain}  ", tone), (one_line(test.title), "dim"))


def _marks(story: RunStory, room: int) -> Line:
    most = max(min(room - 22, 60), 1)
    last = story.rollouts[-most:]
    right = sum(row.is_success for row in last)
    marks: list[tuple[str, Tone]] = [
        ("\u2713", "good") if row.is_success else ("\u2717", "bad") for row in last
    ]
    return (*marks, (f"  {right} of {len(last)} right", "dim"))


def _short(score: float) -> str:
    return f"{score:.2f}".removeprefix("0") if score < 1 else "1"
