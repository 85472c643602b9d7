"""Everything about one row of the compilation matrix, as lines to read."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from promptgrad_tui.screens.run.panes.artifacts import MatrixRow
from promptgrad_tui.views.artifacts.compression import fewer_tokens
from promptgrad_tui.views.artifacts.routing import Routed, routing_lines
from promptgrad_tui.views.figures import count_text, gain_text, score_text
from promptgrad_tui.views.run.score_lines import slice_gain_lines
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.views.text_blocks import fact, heading, paragraph, verbatim
from promptgrad_tui.views.toned_lines import Line, line

if TYPE_CHECKING:
    from engine.release.manifest import ArtifactManifest
    from engine.release.matrix import Entry, RouterEntry
    from engine.release.transfers import Transfer

_PROMPT_FILE = "prompt.txt"


def matrix_row_lines(row: MatrixRow, columns: int) -> list[Line]:
    """Return what an artifact or a router is and claims, or what a transfer has measured."""
    if row.transfer is not None:
        return _transfer_lines(row.transfer, columns)
    if row.routing is not None:
        return _router_lines(row.routing, columns)
    assert row.entry is not None
    return _artifact_lines(row.entry, columns)


def _artifact_lines(entry: Entry, columns: int) -> list[Line]:
    lines = fact("folder", str(entry.path), columns)
    manifest = entry.manifest
    if manifest is None:
        return [*lines, *fact("problem", entry.problem, columns, "bad")]
    lines += fact("model", manifest.model.uri, columns)
    lines += fact("revision", manifest.model.digest, columns)
    if compressed := manifest.details.get("compressed"):
        loss = f"tested to lose no more than {compressed['margin']:.3f} of the score"
        lines += fact("compressed", f"{fewer_tokens(manifest)}, {loss}", columns)
    else:
        lines += fact("run", manifest.run, columns)
    if method := manifest.details.get("method"):
        lines += fact("method", method, columns)
    lines += fact("current", "yes" if entry.is_current else "no", columns)
    lines += _stale_lines(entry.stale, columns)
    for gate in entry.gates:
        verdict = "passed" if gate.passed else "failed"
        lines += fact("gate", f"{gate.gate}: {verdict}", columns, "good" if gate.passed else "bad")
    lines += _proved(manifest, columns)
    try:
        text = (entry.path / _PROMPT_FILE).read_text(encoding="utf-8")
    except OSError:
        return lines
    return [*lines, *heading("The exact prompt"), *verbatim(text, columns)]


def _proved(manifest: ArtifactManifest, columns: int) -> list[Line]:
    lines: list[Line] = []
    for name, scores in (("baseline", manifest.baseline), ("optimized", manifest.optimized)):
        for split in ("validation", "test"):
            interval = getattr(scores, split)
            if interval is not None:
                lines += fact(name, f"{split} {score_text(interval)}, n = {interval.n}", columns)
    lines += heading(f"Rules: {len(manifest.rules)}")
    for rule in manifest.rules:
        lines += paragraph(f"- {rule.text}", columns)
        if rule.evidence:
            gain = gain_text(rule.evidence.delta, rule.evidence.low, rule.evidence.high)
            lines += paragraph(f"  {gain} on {count_text(rule.evidence.n, 'example')}", columns, "dim")
    return lines


def _transfer_lines(transfer: Transfer, columns: int) -> list[Line]:
    test = transfer.test
    text = "Measured here, proved there: an artifact belongs to the revision that it was proved on, so these"
    lines = paragraph(f"{text} rules can't be loaded on this one.", columns, "warn")
    lines += [(), *fact("model", transfer.model.uri, columns)]
    lines += fact("revision", transfer.model.revision, columns)
    for path in transfer.proved:
        lines += fact("proved in", str(path), columns)
    if not transfer.proved:
        lines += fact("proved in", "an artifact that no longer exists", columns, "dim")
    lines += fact("measured", transfer.measured, columns)
    lines += _stale_lines(transfer.stale, columns)
    for name, scores in (("baseline", test.baseline), ("optimized", test.optimized)):
        lines += fact(name, f"test {score_text(scores)}, n = {scores.n}", columns)
    gain = gain_text(test.gain.score, test.gain.low, test.gain.high)
    lines += fact("gain", gain, columns, "good" if test.gain.low > 0 else "warn")
    return lines + slice_gain_lines("test", test.slices, columns)


def _router_lines(entry: RouterEntry, columns: int) -> list[Line]:
    lines = fact("folder", str(entry.path), columns)
    if entry.router is None:
        return [*lines, *fact("problem", entry.problem, columns, "bad")]
    for name, model in (("small", entry.router.small), ("large", entry.router.large)):
        lines += fact(name, f"{model.uri}, revision {model.revision}", columns)
    page = Terminal(StringIO(), is_interactive=False, has_colour=False, columns=columns)
    return [*lines, (), *(line(text) for text in routing_lines(Routed(entry.router, entry.path), page))]


def _stale_lines(stale: Sequence[str], columns: int) -> list[Line]:
    """Return what has changed in the project since, each under its name in `promptgrad.toml`."""
    return (
        fact("stale", f"{', '.join(stale)} changed since it was measured", columns, "warn") if stale else []
    )
