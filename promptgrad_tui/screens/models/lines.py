"""The lines of the Models screen: a row's cells, its facts, the work in progress."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from models.catalog.found import FoundModel
from promptgrad_tui.screens.keys.actions import key_of
from promptgrad_tui.screens.models.state import Inventory, Job, ModelRow
from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.figures import count_text, rough_duration_text, size_text
from promptgrad_tui.views.model_text import rate_text, speed_text, value_text
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import fact, heading, verbatim
from promptgrad_tui.views.toned_lines import BLANK, Line, Tone, joined, line, progress_bar, shortened

COLUMNS = (
    Column("Model", share=1),
    Column("Found in", width=12, from_width=110),
    Column("Size", width=8, right=True),
    Column("Quant.", width=7, from_width=92),
    Column("Context", width=8, right=True, from_width=48),
    Column("Fits", width=6),
    Column("Tokens/s", width=13, from_width=74),
    Column("Revision", width=12, from_width=64),
)
_BAR = 24
_END_OF_NAME = 14


def inventory_line(inventory: Inventory) -> Line:
    """Return how many models are here and how much memory is free."""
    if not inventory.memory_total:
        return BLANK  # nothing has been read yet
    usable = sum(not row.model.problem for row in inventory.rows)
    held = sum(row.can_be_freed for row in inventory.rows)
    problems = len(inventory.rows) - usable
    return joined(
        [
            line(count_text(usable, "model")),
            line(f"{count_text(problems, 'problem')}" if problems else "", "warn"),
            line(f"{held} in memory" if held else "", "accent"),
            line(
                f"{size_text(inventory.memory_free)} of {size_text(inventory.memory_total)} memory free",
                "dim",
            ),
        ],
        "   ",
    )


def paint(row: ModelRow, widths: Sequence[int]) -> Sequence[Line]:
    """Return a row's cells; of a long name the end stays, where its size and quantisation are."""
    model = row.model
    if model.problem:
        name: Line = ((f"! {one_line(model.name)}", "bad"), (f"  {one_line(model.problem)}", "dim"))
        return (name, line(model.place, "dim"), *[line("")] * 6)
    mark: tuple[str, Tone] = ("\u25cf ", "accent") if row.can_be_freed else ("  ", "")
    return (
        (mark, (shortened(one_line(model.name), widths[0] - 2, _END_OF_NAME), "")),
        line(one_line(model.place), "dim"),
        line(size_text(model.size) if model.size else ""),
        line(one_line(model.quantization)),
        line(f"{model.context_length:,}" if model.context_length else ""),
        _fits(model),
        line(_speed(model)),
        revision_cell(model),
    )


def _fits(model: FoundModel) -> Line:
    if model.fits is None:
        return line("server", "dim")
    return line("yes", "good") if model.fits else line("no", "warn")


def _speed(model: FoundModel) -> str:
    measured = model.throughput
    return f"{rate_text(measured.single)} / {rate_text(measured.several)}" if measured else ""


def revision_cell(model: FoundModel) -> Line:
    """Return a revision as 12 digits, a mark where it isn't verified, or that it was not computed yet."""
    if model.revision is None:
        return line("not hashed", "dim")
    kind, _, digits = model.revision.rpartition(":")
    return line(digits[:12]) if kind == "sha256" else ((digits[:10], ""), (" ?", "warn"))


def fact_lines(row: ModelRow, inventory: Inventory, columns: int) -> list[Line]:
    """Return what the list knows of a model, for the pane beside it."""
    model = row.model
    lines = fact("in a project", f'task = "{model.uri}"', columns, "accent")
    if model.problem:
        return [*lines, *fact("problem", model.problem, columns, "bad")]
    kind = " ".join(filter(None, (model.architecture, model.parameters, model.quantization)))
    for name, value in {
        "found in": model.place,
        "kind": kind,
        "size": _size(model),
        "context": f"{model.context_length:,} tokens" if model.context_length else "",
        "revision": model.revision or f"not known yet: {key_of('models.hash')} computes it",
        "chat template": {True: "in the file", False: "none: set chat_template", None: ""}[model.has_template]
        if row.is_file
        else "the server's own",
    }.items():
        lines += fact(name, value, columns) if value else []
    lines += _memory(row, inventory, columns)
    if model.revision and not model.revision.startswith("sha256:"):
        lines += fact("verified", "no: the server gives no hash, only a description", columns, "warn")
    for run, project in row.held_by:
        lines += fact("held by", f"run {run} in {project}", columns, "accent")
    lines += _measured(model, columns)
    return lines


def _size(model: FoundModel) -> str:
    files = f" in {model.files} files" if model.files > 1 else ""
    return f"{size_text(model.size)}{files}" if model.size else ""


def _memory(row: ModelRow, inventory: Inventory, columns: int) -> list[Line]:
    needed, free = row.model.needed, inventory.memory_free
    if needed is None:
        known = {True: f"yes: {key_of('models.free')} frees it", False: "no", None: ""}[row.model.is_loaded]
        return fact("in memory", known, columns) if known else []
    verdict = "fits" if needed <= free else "doesn't fit"
    text = f"{verdict}: needs about {size_text(needed)}, {size_text(free)} free"
    return fact("memory", text, columns, "good" if needed <= free else "warn")


def _measured(model: FoundModel, columns: int) -> list[Line]:
    if model.throughput is None:
        return fact("throughput", f"not measured yet: {key_of('models.measure')} measures it", columns, "dim")
    day = time.strftime("%Y-%m-%d", time.localtime(model.throughput.measured))
    return fact("throughput", f"{speed_text(model.throughput)} (measured {day})", columns)


def job_lines(job: Job) -> list[Line]:
    """Return work as two lines: a bar with the rate and the time left, and what is done."""
    rate, left = job.pace.per_second, job.pace.seconds_left
    is_timed = job.work != "measure" and job.done < 1
    parts = [
        joined([progress_bar(job.done, _BAR), line(f"{job.done:.0%}", "strong")], " "),
        line(f"{size_text(rate * job.size)}/s" if rate and job.work == "hash" else "", "dim"),
        line(f"{rough_duration_text(left)} left" if left and is_timed else "", "dim"),
        line(f"{key_of('models.cancel')} cancels", "dim"),
    ]
    return [joined(parts), line(one_line(job.text or str(job)), "accent")]


def description_lines(description: Mapping[str, Any], columns: int) -> list[Line]:
    """Return what `promptgrad models show --json` printed of a model: files, metadata, chat template."""
    lines: list[Line] = []
    for file in description["files"]:
        lines += fact("file", file, columns)
    per_token = description["memory"].get("kv_per_token")
    lines += fact("KV cache", f"{size_text(per_token)} for each token", columns) if per_token else []
    lines += heading("Metadata") if description["metadata"] else []
    for key, value in description["metadata"].items():
        lines += verbatim(f"{one_line(key)} = {value_text(value)}", columns)
    lines += [*heading("Chat template"), *verbatim(description["chat_template"] or "none", columns)]
    return lines
