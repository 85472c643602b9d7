"""The events of a run as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.journal.ablation_events import LayersCompared
from engine.journal.contest_events import ContestStarted, LaneFinished
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
from engine.journal.learning_events import CandidatesProposed, LayerTested, ScreeningFinished
from engine.journal.method_events import BaseCompared, MethodFinished, MethodStarted
from engine.journal.narration import change_text, finding_text, narrate
from engine.journal.objective_events import ObjectivesMet
from promptgrad_tui.views.demonstrations import demonstration_text
from promptgrad_tui.views.figures import (
    count_text,
    effect_text,
    gain_text,
    rough_duration_text,
    score_text,
    slice_gain_text,
    slice_text,
)
from promptgrad_tui.views.run.slices import hidden_text, shown_slices
from promptgrad_tui.views.sanitize import fit, one_line, pad, shown_path, wrap
from promptgrad_tui.views.terminal import Terminal

_VERDICT_COLOURS = {"accepted": "green", "rejected": "red", "needs_review": "yellow"}


class EventLines:
    """Turns events into lines that fit a terminal; `in_full` wraps what is otherwise cut to one line."""

    def __init__(self, terminal: Terminal, *, in_full: bool = False) -> None:
        self._terminal = terminal
        self._in_full = in_full
        self._baseline: float | None = None

    def lines(self, event: Event) -> list[str]:  # noqa: C901 - one case for each kind of event
        """Return the lines of an event, none for those that only move a progress bar."""
        match event:
            case RunStarted():
                return self._started(event)
            case RunResumed() | RunPaused() | RunContinued():
                return self._heading(narrate(event))
            case ReviewAwaited():
                return self._heading(f"{narrate(event)} Type `promptgrad` here.")
            case BatchScored():
                return ["", *self._wrapped(narrate(event), "  ")]
            case AnalysisFinished():
                return self._analysis(event)
            case ConsensusReached():
                return self._consensus(event)
            case ValidationFinished():
                return self._verdict(event)
            case CandidatesProposed() | ScreeningFinished():
                return self._search(event)
            case LayerTested():
                return self._set_verdict(event)
            case LayersCompared() | ObjectivesMet():
                return self._wrapped(narrate(event), "  ")
            case MethodStarted() | MethodFinished() | BaseCompared():
                return self._wrapped(narrate(event), "  ")
            case ContestStarted():
                return [
                    "",
                    *self._heading(narrate(event)),
                    *self._wrapped(lanes_text(event), "  ", first="  "),
                ]
            case LaneFinished():
                return self._wrapped(f"  {narrate(event)}", "    ")
            case RulesChanged() if text := narrate(event):
                return self._wrapped(f"  {text}", "    ")
            case EpochFinished():
                return self._epoch(event)
            case TestFinished():
                return self._test(event)
            case ArtifactSaved():
                shown = event.model_copy(update={"path": shown_path(event.path)})
                return self._wrapped(narrate(shown), "  ")
            case Notice():
                return self._notice(event)
            case ReviewApplied():
                return self._reviewed(event)
            case _:
                return []

    def _started(self, event: RunStarted) -> list[str]:
        lines = self._heading(f"Run {event.run}, seed {event.seed}")
        lines += self._fact("project", shown_path(event.project))
        lines += self._fact("model", model_text(event.model))
        if event.reflection != event.model:
            lines += self._fact("reflection", model_text(event.reflection))
        if event.search is not None:
            lines += self._fact("search", model_text(event.search))
        lines += self._fact("examples", _splits_text(event.data.items()))
        lines += self._fact("plan", _plan_text(event.config))
        return [*lines, ""]

    def _analysis(self, event: AnalysisFinished) -> list[str]:
        head = f"  analysis {event.number + 1}: "
        if event.problem:
            return self._cut_or_wrapped(head + event.problem)
        proposals = count_text(len(event.proposals), "proposal")
        return self._cut_or_wrapped(f"{head}{proposals}. {one_line(event.analysis)}")

    def _consensus(self, event: ConsensusReached) -> list[str]:
        lines = self._wrapped(f"  {narrate(event)}", "    ")
        for kept in event.kept if self._in_full else ():
            said = f"{kept.support} of {event.passes}"
            lines += self._wrapped(f"{kept.action} ({said}): {one_line(kept.text)}", "      ", first="    ")
        for dropped in event.dropped:
            text = f"dropped: {one_line(dropped.proposal.text)} ({one_line(dropped.reason)})"
            lines += self._cut_or_wrapped(f"    {text}", "      ")
        return lines

    def _search(self, event: CandidatesProposed | ScreeningFinished) -> list[str]:
        lines = self._wrapped(f"  {narrate(event)}", "    ")
        if not self._in_full:
            return lines
        if isinstance(event, CandidatesProposed):
            titles = [candidate.title for candidate in event.candidates]
        else:
            titles = [
                f"{gain_text(row.gain) if row.n else ''} {row.title} ({row.reason})".strip()
                for row in event.rows
            ]
        return lines + [row for title in titles for row in self._wrapped(f"    {one_line(title)}", "      ")]

    def _set_verdict(self, event: LayerTested) -> list[str]:
        """Return the verdict on a set, and in full what is in it."""
        lines = self._judged(event.verdict, finding_text(event))
        action = "remove: " if event.action == "remove" else ""
        lines += self._wrapped(f"{action}{one_line(event.title)}", " " * 15, first=" " * 15)
        if self._in_full:
            parts = [rule.text for rule in event.rules] + list(map(demonstration_text, event.demonstrations))
            for part in parts:
                lines += self._wrapped(f"- {one_line(part)}", " " * 17, first=" " * 15)
        return lines

    def _judged(self, verdict: str, found: str) -> list[str]:
        word = verdict.replace("_", " ")
        head, *rest = self._wrapped(found, " " * 15, first=f"  {word:<12} ")
        return [head.replace(word, self._terminal.style(word, fg=_VERDICT_COLOURS[verdict]), 1), *rest]

    def _verdict(self, event: ValidationFinished) -> list[str]:
        lines = self._judged(event.verdict, finding_text(event))
        lines += self._wrapped(change_text(event), " " * 15, first=" " * 15)
        if self._in_full:
            lines += self._origin(event)
        return lines

    def _origin(self, event: ValidationFinished) -> list[str]:
        changed = f"fixed {len(event.fixed)}, broke {len(event.broken)}"
        trigger = f"; applies to: {one_line(event.rule.trigger)}" if event.rule.trigger else ""
        return self._wrapped(changed + trigger, " " * 15, first=" " * 15)

    def _epoch(self, event: EpochFinished) -> list[str]:
        shown = shown_slices(event.slices).items()
        slices = [line for name, scores in shown for line in self._slice(name, slice_text(scores))]
        slices += [f"    {hidden}"] if (hidden := hidden_text(event.slices)) else []
        if event.epoch == 0:
            self._baseline = event.validation.score
            return [*self._heading(narrate(event)), *slices]
        return ["", *self._heading(narrate(event, self._baseline)), *slices]

    def _test(self, event: TestFinished) -> list[str]:
        heading = f"Test: {count_text(event.baseline.n, 'example')} that the run has not used"
        if event.opening > 1:
            heading += f"; this split has been opened {event.opening} times"
        lines = ["", *self._heading(heading)]
        lines.append(f"  baseline   {score_text(event.baseline)}")
        lines.append(f"  optimized  {score_text(event.optimized)}")
        lines.append(f"  gain       {effect_text(event.gain)}")
        for name, scores in shown_slices(event.slices).items():
            lines += self._slice(name, slice_gain_text(scores))
        return [*lines, *([f"    {hidden}"] if (hidden := hidden_text(event.slices)) else [])]

    def _slice(self, name: str, text: str) -> list[str]:
        return self._wrapped(text, " " * 17, first=f"    {pad(name, 12)} ")

    def _reviewed(self, event: ReviewApplied) -> list[str]:
        lines = ["", *self._heading(narrate(event))]
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


def lanes_text(event: ContestStarted) -> str:
    """Return what the lanes of a contest may take, at the pace that was measured."""
    calls = len(event.methods) * event.seeds * event.calls
    seconds = calls * event.seconds_per_call
    took = f", {rough_duration_text(seconds)} at the pace of the baseline" if seconds else ""
    return f"{', '.join(event.methods)}: at most {count_text(calls, 'call')}{took}"


def model_text(model: ModelUsed) -> str:
    """Return a model's URI and the short form of its revision."""
    return f"{one_line(model.uri)}  {model.short}{'' if model.verified else ' (unverified)'}"


def _splits_text(data: Iterable[tuple[str, DataUsed]]) -> str:
    return ", ".join(f"{split.n} {name}" for name, split in data if split.n)


def _plan_text(config: Mapping[str, Any]) -> str:
    parts = (
        count_text(config["epochs"], "epoch"),
        count_text(config["batches_per_epoch"], "batch", "batches"),
        count_text(config["batch_size"], "example"),
    )
    return f"{' of '.join(parts)}, at most {count_text(config['max_local_rules'], 'rule')}"
