"""What compression left of a prompt: steps, ratio and loss, as lines or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import count_text, effect_text
from promptgrad_tui.views.sanitize import shown_path, visible, wrap
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.release.compression.compression import Compressed, Step
    from engine.release.compression.parts import Level
    from engine.release.manifest import ArtifactManifest

HEAD = ("level", "left out", "prompt tokens", "gain", "tests")


@dataclass(frozen=True)
class CompressedArtifact:
    """The result of a compression on `n` examples; `saved` is None if nothing could be left out.

    `base` holds the base instructions before and after, by predictor, where they changed.
    """

    artifact: Path
    saved: Path | None
    found: Compressed
    n: int
    base: Mapping[str, tuple[str, str]]


def fewer_tokens(manifest: ArtifactManifest) -> str:
    """Return how much shorter the prompt of a compressed artifact is than its original's; else nothing."""
    compressed = manifest.details.get("compressed")
    return f"{1 - compressed['ratio']:.0%} fewer tokens" if compressed else ""


def tests_text(n: int, most: Mapping[Level, int], seconds_per_call: float) -> str:
    """Return what a compression takes at most, as far as that is known before its tests begin."""
    levels = ", ".join(f"{number} of {level}s" for level, number in most.items())
    pace = f"; an answer takes {seconds_per_call:.2g} s here" if seconds_per_call else ""
    return f"Tests on {count_text(n, 'example')}, most of which end early: at most {levels}{pace}."


def compression_json(result: CompressedArtifact) -> dict[str, Any]:
    """Return what `promptgrad compress --json` prints."""
    found = result.found
    return {
        "artifact": str(result.artifact),
        "saved": str(result.saved) if result.saved else None,
        "ratio": found.ratio,
        "margin": found.margin,
        "n": result.n,
        "steps": [
            {
                "level": step.level,
                "left_out": step.dropped,
                "of": step.of,
                "prompt_tokens": {"before": step.before, "after": step.after},
                "gain": step.gain.model_dump(),
                "tests": step.tested,
                "answers_saved": step.left_out,
            }
            for step in found.steps
        ],
        "base": {name: {"before": before, "after": after} for name, (before, after) in result.base.items()},
    }


def compression_lines(result: CompressedArtifact, terminal: Terminal) -> list[str]:
    """Return the result of a compression as lines."""
    found = result.found
    saved = 1 - found.ratio
    title = f"{saved:.0%} fewer prompt tokens" if result.saved else "Nothing could be left out"
    lines = [terminal.style(title, bold=True), ""]
    rows = [_row(step) for step in found.steps]
    lines += table_lines(HEAD, rows, terminal, right=(2, 4), indent=2)
    examples, original = count_text(result.n, "example"), shown_path(str(result.artifact))
    tested = (
        f"A step was kept if its paired test on {examples} shows (97.5 %) that no more than "
        f"{found.margin:.3f} of the score was lost, compared with {original}."
    )
    lines += ["", *wrap(tested, terminal.columns, "  ", "  ")]
    if left_out := sum(step.left_out for step in found.steps):
        ended = f"Tests that were lost before their end saved {count_text(left_out, 'answer')}."
        lines += wrap(ended, terminal.columns, "  ", "  ")
    for name, (before, after) in result.base.items():
        lines += ["", terminal.style(f"Base instructions of {name}", bold=True)]
        for sign, text in line_diff(before, after):
            lines += wrap(visible(text), terminal.columns, "      ", f"  {sign} ")
    if result.saved:
        lines += ["", terminal.style("Artifact", bold=True), f"  {shown_path(str(result.saved))}"]
    return lines


def _row(step: Step) -> list[str]:
    return [
        step.level,
        f"{step.dropped} of {step.of}",
        f"{step.before:,.0f} -> {step.after:,.0f}",
        effect_text(step.gain),
        str(step.tested),
    ]
