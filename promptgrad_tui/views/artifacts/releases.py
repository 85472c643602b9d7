"""The compilation matrix and the history of releases, as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.release.matrix import Cell, Entry, Matrix, RouterEntry
from engine.release.power import opening_text
from engine.release.releases import Switch
from engine.release.transfers import Transfer
from promptgrad_tui.views.artifacts.compression import fewer_tokens
from promptgrad_tui.views.artifacts.routing import shares, split_of_work
from promptgrad_tui.views.figures import count_text, effect_text, score_text
from promptgrad_tui.views.sanitize import one_line, packed, shown_path, wrap
from promptgrad_tui.views.terminal import Terminal

_GATES = {"passed": "green", "failed": "red", "forced": "yellow", "untested": "yellow"}


def matrix_lines(matrix: Matrix, terminal: Terminal) -> list[str]:
    """Return the artifacts of each cell, a block for each, and the routers after them."""
    if not matrix.cells and not matrix.routers:
        return ["No artifacts yet: promptgrad run, or promptgrad compile --models ..."]
    names = {entry.manifest.program: entry.manifest.name for entry in matrix.entries if entry.manifest}
    lines: list[str] = []
    for cell in matrix.cells:
        if cell.name:
            lines += ["", *_heading(cell, names, terminal)]
            for entry in cell.entries:
                lines += _artifact(entry, terminal)
            for transfer in cell.transfers:
                lines += _transfer(transfer, terminal)
        else:
            lines += ["", *(_damaged(entry, "*" if entry.is_current else " ") for entry in cell.entries)]
    if matrix.routers:
        lines += ["", terminal.style("Routers", bold=True)]
        for router in matrix.routers:
            lines += _router(router, terminal)
    return lines[1:]


def _damaged(entry: Entry | RouterEntry, mark: str = " ") -> str:
    return f"{mark} damaged  {shown_path(str(entry.path))}: {entry.problem}"


def _router(entry: RouterEntry, terminal: Terminal) -> list[str]:
    if entry.router is None:
        return [_damaged(entry)]
    lines = [f"  {shown_path(str(entry.path))}"]
    for text in (split_of_work(entry.router), *shares(entry.router)):
        lines += wrap(text, terminal.columns, "    ", "    ")
    return lines


def _heading(cell: Cell, names: Mapping[str, str], terminal: Terminal) -> list[str]:
    manifest = cell.entries[0].manifest if cell.entries else None
    program = manifest.program if manifest else cell.transfers[0].opened.program
    model = manifest.model if manifest else cell.transfers[0].model
    version, _, revision = cell.name.partition("@")
    unverified = "" if model.verified else " (unverified)"
    name = one_line(names.get(program, "program"))
    head = f"{name} {version} on {one_line(model.uri)} {revision}{unverified}"
    return [terminal.style(line, bold=True) for line in wrap(head, terminal.columns, "  ", "")]


def _transfer(transfer: Transfer, terminal: Terminal) -> list[str]:
    where = (
        ", ".join(shown_path(str(path)) for path in transfer.proved) or "an artifact that no longer exists"
    )
    test, gain = transfer.test.optimized, transfer.test.gain
    figures = f"test {score_text(test)} (n = {test.n})  gain {effect_text(gain)}  {transfer.measured[:10]}"
    lines = wrap(f"measured here, proved there; not loadable: {where}", terminal.columns, "    ", "  ")
    lines += wrap(figures, terminal.columns, "    ", "    ")
    return lines + _stale(transfer.stale, terminal)


def _artifact(entry: Entry, terminal: Terminal) -> list[str]:
    manifest = entry.manifest
    assert manifest is not None
    mark = "*" if entry.is_current else " "
    test = manifest.optimized.test
    score = f"test {score_text(test)} (n = {test.n})" if test else "not tested"
    gate = terminal.style(entry.gate, fg=_GATES[entry.gate])
    rules = count_text(len(manifest.rules), "rule")
    tokens = f"up to {entry.prompt_tokens:,} tokens" if entry.prompt_tokens else ""
    method = manifest.details.get("method", "")
    parts = [
        method,
        fewer_tokens(manifest),
        score,
        f"gates {entry.gate}",
        rules,
        tokens,
        manifest.created[:10],
    ]
    lines = [f"{mark} {shown_path(str(entry.path))}"]
    lines += [text.replace(entry.gate, gate, 1) for text in packed(parts, terminal.columns, "    ")]
    if entry.is_current:
        lines[0] = terminal.style(lines[0], fg="green")
    if manifest.test_opening > 1 and test is not None:
        lines += wrap(opening_text(manifest.test_opening, test), terminal.columns, "    ", "    ")
    return lines + _stale(entry.stale, terminal)


def _stale(names: Sequence[str], terminal: Terminal) -> list[str]:
    if not names:
        return []
    text = f"stale: {', '.join(names)} changed since"
    return [terminal.style(line, fg="yellow") for line in wrap(text, terminal.columns, "    ", "    ")]


def switch_lines(switches: Sequence[Switch], terminal: Terminal) -> list[str]:
    """Return the switches, the oldest first."""
    if not switches:
        return ["No artifact was ever made current: promptgrad promote ARTIFACT"]
    lines = []
    for switch in switches:
        what, *rest = packed(
            [f"{switch.time}  {switch.action:<8}  {switch.artifact}", switch.cell], terminal.columns
        )
        lines += [what, *(f"    {cell}" for cell in rest)]
        if switch.failed:
            text = f"forced although it failed {', '.join(switch.failed)}: {one_line(switch.reason)}"
            lines += [
                terminal.style(line, fg="yellow") for line in wrap(text, terminal.columns, "    ", "    ")
            ]
    return lines
