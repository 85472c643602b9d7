"""What happens in a run, event by event, as lines for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.journal.events import (
    AnalysisFinished,
    ArtifactSaved,
    BatchScored,
    ConsensusReached,
    DataUsed,
    EpochFinished,
    Event,
    ModelUsed,
    Notice,
    ReviewApplied,
    ReviewAwaited,
    RulesChanged,
    RunContinued,
    RunPaused,
    RunResumed,
    RunStarted,
    TestFinished,
    ValidationFinished,
)
from promptgrad_tui.views.figures import (
    EPOCH_OUTCOMES,
    count_text,
    gain_text,
    score_text,
    slice_gain_text,
    slice_text,
)
from promptgrad_tui.views.sanitize import fit, one_line, pad, wrap
from promptgrad_tui.views.terminal import Terminal

_VERDICT_COLOURS = {"accepted": "green", "rejected": "red", "needs_review": "yellow"}
_CHANGES = {
    "merged": "similar rules merged",
    "pruned": "too many rules, pruned",
    "rolled_back": "rolled back to the best state",
    "reviewed": "rules reviewed",
}


class EventLines:
    """Turns events into lines that fit a terminal; `in_full` spells out what is otherwise cut to a line."""

    def __init__(self, terminal: Terminal, *, in_full: bool = False) -> None:
        self._terminal = terminal
        self._in_full = in_full
        self._baseline: float | None = None

    def lines(self, event: Event) -> list[str]:  # noqa: C901 - one case for each kind of event
        """Return the lines of an event, none for those that only move a progress bar."""
        match event:
            case RunStarted():
                return self._started(event)
            case RunResumed():
                return self._heading("Resumed: what was paid for before is not asked again.")
            case BatchScored():
                return self._batch(event)
            case AnalysisFinished():
                return self._analysis(event)
            case ConsensusReached():
                return self._consensus(event)
            case ValidationFinished():
                return self._verdict(event)
            case RulesChanged(reason="merged" | "pruned" | "rolled_back" | "reviewed"):
                left = count_text(len(event.rules), "rule")
                return self._wrapped(f"  {_CHANGES[event.reason]}: {left} now", "    ")
            case EpochFinished():
                return self._epoch(event)
            case TestFinished():
                return self._test(event)
            case ArtifactSaved():
                what = "Saved" if event.passed else "Withheld, since a gate failed:"
                return self._wrapped(f"{what} {shown_path(event.path)}", "  ")
            case Notice():
                return self._notice(event)
            case ReviewAwaited():
                rules = count_text(len(event.rules), "rule")
                return self._heading(f"Waits for a person to decide on {rules}: type `promptgrad` here.")
            case ReviewApplied():
                return self._reviewed(event)
            case RunPaused():
                return self._heading(f"Paused: {event.reason}")
            case RunContinued():
                return self._heading("Going on.")
            case _:
                return []

    def _started(self, event: RunStarted) -> list[str]:
        lines = self._heading(f"Run {event.run}, seed {event.seed}")
        lines += self._fact("project", shown_path(event.project))
        lines += self._fact("model", model_text(event.model))
        if event.reflection != event.model:
            lines += self._fact("reflection", model_text(event.reflection))
        lines += self._fact("examples", _splits_text(event.data.items()))
        lines += self._fact("plan", _plan_text(event.config))
        return [*lines, ""]

    def _batch(self, event: BatchScored) -> list[str]:
        n, failed = len(event.examples), len(event.failures)
        place = f"Epoch {event.epoch}, batch {event.batch}"
        kinds = ", ".join(
            f"{one_line(kind)} ({many})" for kind, many in Counter(event.error_types).most_common()
        )
        text = f"{place}: {n - failed} of {n} right" + (f". Wrong: {kinds}" if kinds else "")
        return ["", *self._wrapped(text, "  ")]

    def _analysis(self, event: AnalysisFinished) -> list[str]:
        head = f"  analysis {event.number + 1}: "
        if event.problem:
            return self._cut_or_wrapped(head + event.problem)
        proposals = count_text(len(event.proposals), "proposal")
        return self._cut_or_wrapped(f"{head}{proposals}. {one_line(event.analysis)}")

    def _consensus(self, event: ConsensusReached) -> list[str]:
        agreed = f"{count_text(len(event.kept), 'proposal')} kept, {len(event.dropped)} dropped"
        passes = count_text(event.passes, "analysis", "analyses")
        lines = self._wrapped(f"  consensus of {passes}: {agreed}", "    ")
        for kept in event.kept if self._in_full else ():
            said = f"{kept.support} of {event.passes}"
            lines += self._wrapped(f"{kept.action} ({said}): {one_line(kept.text)}", "      ", first="    ")
        for dropped in event.dropped:
            text = f"dropped: {one_line(dropped.proposal.text)} ({one_line(dropped.reason)})"
            lines += self._cut_or_wrapped(f"    {text}", "      ")
        return lines

    def _verdict(self, event: ValidationFinished) -> list[str]:
        word = event.verdict.replace("_", " ")
        evidence = event.evidence
        figures = ""
        if evidence is not None:
            gain = gain_text(evidence.delta, evidence.low, evidence.high)
            figures = f"{gain} on {evidence.n}: "
        head, *rest = self._wrapped(figures + event.reason, " " * 15, first=f"  {word:<12} ")
        lines = [head.replace(word, self._terminal.style(word, fg=_VERDICT_COLOURS[event.verdict]), 1), *rest]
        action = "" if event.action == "add" else f"{event.action}: "
        lines += self._wrapped(f"{action}{one_line(event.rule.text)}", " " * 15, first=" " * 15)
        if self._in_full:
            lines += self._origin(event)
        return lines

    def _origin(self, event: ValidationFinished) -> list[str]:
        changed = f"fixed {len(event.fixed)}, broke {len(event.broken)}"
        trigger = f"; applies to: {one_line(event.rule.trigger)}" if event.rule.trigger else ""
        return self._wrapped(changed + trigger, " " * 15, first=" " * 15)

    def _epoch(self, event: EpochFinished) -> list[str]:
        slices = [
            line for name, scores in event.slices.items() for line in self._slice(name, slice_text(scores))
        ]
        return [*self._epoch_heading(event), *slices]

    def _epoch_heading(self, event: EpochFinished) -> list[str]:
        score = score_text(event.validation)
        on = f"on {event.validation.n} validation examples"
        if event.epoch == 0:
            self._baseline = event.validation.score
            return self._heading(f"Baseline: {score} {on}")
        gain = ""
        if self._baseline is not None:
            gain = f", {gain_text(event.validation.score - self._baseline)} on the baseline"
        text = f"Epoch {event.epoch}: {score} {on}{gain}, {count_text(event.n_rules, 'rule')}; "
        return ["", *self._heading(text + EPOCH_OUTCOMES.get(event.outcome, event.outcome))]

    def _test(self, event: TestFinished) -> list[str]:
        gain = gain_text(event.gain.score, event.gain.low, event.gain.high)
        heading = f"Test: {event.baseline.n} examples that played no part in the run"
        if event.opening > 1:
            heading += f"; this split has been opened {event.opening} times"
        lines = ["", *self._heading(heading)]
        lines.append(f"  baseline   {score_text(event.baseline)}")
        lines.append(f"  optimized  {score_text(event.optimized)}")
        lines.append(f"  gain       {gain}")
        for name, scores in event.slices.items():
            lines += self._slice(name, slice_gain_text(scores))
        return lines

    def _slice(self, name: str, text: str) -> list[str]:
        return self._wrapped(text, " " * 17, first=f"    {pad(name, 12)} ")

    def _reviewed(self, event: ReviewApplied) -> list[str]:
        lines = ["", *self._heading(f"Review {event.number}: {count_text(len(event.rules), 'rule')} kept")]
        lines.append(f"  validation {score_text(event.validation)}")
        if event.test is not None:
            lines.append(f"  test       {score_text(event.test)}")
        return lines + (
            self._wrapped(f"  Saved {shown_path(event.artifact)}", "  ") if event.artifact else []
        )

    def _notice(self, event: Notice) -> list[str]:
        lines = self._wrapped(f"  {'warning' if event.level == 'warning' else 'note'}: {event.text}", "    ")
        return (
            [self._terminal.style(line, fg="yellow") for line in lines] if event.level == "warning" else lines
        )

    def _heading(self, text: str) -> list[str]:
        return [self._terminal.style(line, bold=True) for line in self._wrapped(text, "  ")]

    def _fact(self, name: str, value: str) -> list[str]:
        return self._wrapped(value, " " * 14, first=f"  {name:<12}")

    def _cut_or_wrapped(self, text: str, indent: str = "    ") -> list[str]:
        if self._in_full:
            return self._wrapped(text, indent)
        spaces = len(text) - len(text.lstrip())
        return [text[:spaces] + fit(text[spaces:], self._terminal.columns - spaces)]

    def _wrapped(self, text: str, indent: str, first: str | None = None) -> list[str]:
        start = text[: len(text) - len(text.lstrip())] if first is None else first
        return wrap(text, self._terminal.columns, indent, start)


def model_text(model: ModelUsed) -> str:
    """Return a model's URI and the short form of its revision."""
    return f"{one_line(model.uri)}  {model.short}{'' if model.verified else ' (unverified)'}"


def shown_path(path: str) -> str:
    """Return a path relative to the current folder where it lies below it."""
    try:
        return one_line(str(Path(path).relative_to(Path.cwd())))
    except ValueError:
        return one_line(path)


def _splits_text(data: Iterable[tuple[str, DataUsed]]) -> str:
    return ", ".join(f"{split.n} {name}" for name, split in data if split.n)


def _plan_text(config: Mapping[str, Any]) -> str:
    parts = (
        count_text(config["epochs"], "epoch"),
        count_text(config["batches_per_epoch"], "batch", "batches"),
        count_text(config["batch_size"], "example"),
    )
    return f"{' of '.join(parts)}, at most {count_text(config['max_local_rules'], 'rule')}"
