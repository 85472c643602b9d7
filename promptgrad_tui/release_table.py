"""The compilation matrix and the history of releases, as lines for a person."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from engine.matrix import Entry, Matrix
from engine.power import opening_text
from engine.releases import Switch
from promptgrad_tui.display.event_lines import shown_path
from promptgrad_tui.display.figures import score_text
from promptgrad_tui.sanitize import one_line, wrap
from promptgrad_tui.terminal import Terminal

_GATES = {"passed": "green", "failed": "red", "forced": "yellow", "untested": "yellow"}


def matrix_lines(matrix: Matrix, terminal: Terminal) -> list[str]:
    """Return the artifacts of each cell, a block for each."""
    if not matrix.entries:
        return ["No artifacts yet: promptgrad run, or promptgrad compile --models ..."]
    lines: list[str] = []
    for _, group in groupby(matrix.entries, key=lambda entry: entry.cell):
        lines += _cell(list(group), terminal)
    return lines[1:]


def _cell(entries: Sequence[Entry], terminal: Terminal) -> list[str]:
    manifest = entries[0].manifest
    if manifest is None:
        return ["", *(f"damaged  {shown_path(str(entry.path))}: {entry.problem}" for entry in entries)]
    program, _, revision = entries[0].cell.partition("@")
    unverified = "" if manifest.model.verified else " (unverified)"
    head = f"{one_line(manifest.name)} {program} on {one_line(manifest.model.uri)} {revision}{unverified}"
    lines = ["", *(terminal.style(line, bold=True) for line in wrap(head, terminal.columns, "  ", ""))]
    for entry in entries:
        lines += _artifact(entry, terminal)
    return lines


def _artifact(entry: Entry, terminal: Terminal) -> list[str]:
    manifest = entry.manifest
    assert manifest is not None
    mark = "*" if entry.is_current else " "
    test = manifest.optimized.test
    score = f"test {score_text(test)} (n = {test.n})" if test else "not tested"
    gate = terminal.style(entry.gate, fg=_GATES[entry.gate])
    rules = f"{len(manifest.rules)} rule{'' if len(manifest.rules) == 1 else 's'}"
    tokens = f"up to {entry.prompt_tokens:,} tokens  " if entry.prompt_tokens else ""
    lines = [
        f"{mark} {shown_path(str(entry.path))}",
        f"    {score}  gates {gate}  {rules}  {tokens}{manifest.created[:10]}",
    ]
    if entry.is_current:
        lines[0] = terminal.style(lines[0], fg="green")
    if manifest.test_opening > 1 and test is not None:
        lines += wrap(opening_text(manifest.test_opening, test), terminal.columns, "    ", "    ")
    if entry.stale:
        text = f"stale: {', '.join(entry.stale)} changed since"
        lines += [terminal.style(line, fg="yellow") for line in wrap(text, terminal.columns, "    ", "    ")]
    return lines


def switch_lines(switches: Sequence[Switch], terminal: Terminal) -> list[str]:
    """Return the switches, the oldest first."""
    if not switches:
        return ["Nothing was ever made current: promptgrad promote ARTIFACT"]
    lines = []
    for switch in switches:
        lines.append(f"{switch.time}  {switch.action:<8}  {switch.artifact}  {switch.cell}")
        if switch.failed:
            text = f"forced although it failed {', '.join(switch.failed)}: {one_line(switch.reason)}"
            lines += [
                terminal.style(line, fg="yellow") for line in wrap(text, terminal.columns, "    ", "    ")
            ]
    return lines
