"""The scores of an artifact on another model or on new data, as lines or as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.release.power import opening_text
from promptgrad_tui.views.figures import effect_text, score_text, value_text
from promptgrad_tui.views.metrics import metric_sentences, tell_more
from promptgrad_tui.views.run.event_lines import model_text
from promptgrad_tui.views.run.slices import hidden_text, shown_slices
from promptgrad_tui.views.sanitize import one_line, shown_path, wrap
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from engine.ground.interval import Interval
    from engine.journal.events import ModelUsed
    from engine.project.gates import GateReport
    from engine.release.manifest import ArtifactManifest
    from engine.release.measurement import Measurement


@dataclass(frozen=True)
class Transferred:
    """The scores of an artifact's rules on another model, and the gates' verdicts there."""

    manifest: ArtifactManifest
    model: ModelUsed
    measured: Measurement
    report: GateReport
    opening: int


@dataclass(frozen=True)
class NewScore:
    """A score at the release and one on new data; `change` is their difference with its 95 % interval.

    It is that of a slice, of one of several metrics, or of "all".
    """

    name: str
    released: Interval
    new: Interval
    change: Interval
    is_metric: bool = False

    @property
    def has_dropped(self) -> bool:
        """Whether the new score is lower by more than chance explains."""
        return self.change.high < 0


@dataclass(frozen=True)
class Rechecked:
    """A released program on new data, as a whole and by slice.

    `gain` is that of its rules on the new data; `seen` examples were already in the project's data.
    """

    artifact: Path
    gain: Interval
    comparisons: tuple[NewScore, ...]
    seen: int

    @property
    def should_recompile(self) -> bool:
        """Whether a score has dropped."""
        return any(comparison.has_dropped for comparison in self.comparisons)


def transfer_lines(found: Transferred, terminal: Terminal) -> list[str]:
    """Return a transfer's scores, beside those at the release."""
    measured, released = found.measured, found.manifest.optimized.test
    lines = [
        terminal.style(f"On {model_text(found.model)}", bold=True),
        f"  without rules  {score_text(measured.baseline)}",
        f"  with rules     {score_text(measured.optimized)}",
        f"  gain           {effect_text(measured.gain)}",
    ]
    for name, text in metric_sentences(measured.metrics) if tell_more(measured.metrics) else ():
        lines += wrap(text, terminal.columns, "    ", f"  {name}: ")
    for name, scores in shown_slices(measured.slices).items():
        text = f"slice {one_line(name)}: {score_text(scores.optimized)}, {scores.failures} wrong"
        lines += wrap(text, terminal.columns, "    ", "  ")
    if hidden := hidden_text(measured.slices, "promptgrad transfer --json"):
        lines += wrap(hidden, terminal.columns, "    ", "  ")
    if released is not None:
        lines += ["", f"On {one_line(found.manifest.model.uri)}, its own  {score_text(released)}"]
    verdict = "It would pass the gates" if found.report.passed else f"It would fail: {found.report.reason}"
    compiling = f"promptgrad compile --models {found.model.uri}"
    text = f"{verdict}. This is only a measurement; for this model, run: {compiling}"
    lines += ["", *wrap(text, terminal.columns, "", "")]
    return lines + wrap(opening_text(found.opening, measured.optimized), terminal.columns, "", "")


def transfer_json(found: Transferred) -> dict[str, Any]:
    """Return a transfer as JSON-ready data."""
    measured = found.measured
    return {
        "model": found.model.model_dump(),
        "baseline": measured.baseline.model_dump(),
        "optimized": measured.optimized.model_dump(),
        "gain": measured.gain.model_dump(),
        "metrics": {name: change.model_dump() for name, change in measured.metrics.items()},
        "slices": {name: scores.model_dump() for name, scores in measured.slices.items()},
        "passed": found.report.passed,
        "gates": [result.model_dump() for result in found.report.results],
        "test_opening": found.opening,
    }


def recheck_lines(found: Rechecked, terminal: Terminal) -> list[str]:
    """Return each score on the new data beside that of the release, and what follows."""
    width = max(len(one_line(comparison.name)) for comparison in found.comparisons)
    lines = [terminal.style(shown_path(str(found.artifact)), bold=True)]
    for comparison in found.comparisons:
        lines += [
            f"  {one_line(comparison.name):<{width}}  {value_text(comparison.released.score)} at release, "
            f"{score_text(comparison.new)} on {comparison.new.n} new",
            f"  {'':<{width}}  change {effect_text(comparison.change)}"
            + (terminal.style("  lower", fg="red") if comparison.has_dropped else ""),
        ]
    lines += ["", f"Gain of the rules on the new data: {effect_text(found.gain)}"]
    if found.seen:
        lines.append(f"{found.seen} of the new examples were already in the project's data.")
    if found.should_recompile:
        text = (
            "Recompile: a score has dropped by more than chance explains. First add new examples to the data."
        )
    else:
        whole = found.comparisons[0]
        text = (
            "No reason to recompile: no score has dropped by more than chance explains. A drop of up to "
            f"{value_text(max(-whole.change.low, 0))} can't be ruled out on {whole.new.n} new examples."
        )
    return lines + wrap(text, terminal.columns, "", "")


def recheck_json(found: Rechecked) -> dict[str, Any]:
    """Return a recheck as JSON-ready data."""
    return {
        "artifact": str(found.artifact),
        "recompile": found.should_recompile,
        "gain": found.gain.model_dump(),
        "seen": found.seen,
        "scores": [
            {
                "slice": None if comparison.is_metric else comparison.name,
                "metric": comparison.name if comparison.is_metric else None,
                "released": comparison.released.model_dump(),
                "new": comparison.new.model_dump(),
                "change": comparison.change.model_dump(),
                "dropped": comparison.has_dropped,
            }
            for comparison in found.comparisons
        ],
    }
