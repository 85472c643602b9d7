"""A run's report as one HTML file: no network, no scripts from elsewhere, readable without any script."""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from engine.journal.narration import EPOCH_OUTCOMES, change_text, objectives_text
from promptgrad_tui.report.figures import EffectBar, EpochPlot, ScatterPlot
from promptgrad_tui.report.view import RunReport
from promptgrad_tui.views import pareto
from promptgrad_tui.views.comparison.changes import CHANGES
from promptgrad_tui.views.contest import contest_tables, points, problems, title
from promptgrad_tui.views.demonstrations import demonstration_text
from promptgrad_tui.views.diff import line_diff
from promptgrad_tui.views.figures import (
    count_text,
    duration_text,
    effect_text,
    epoch_name,
    score_text,
    slice_text,
)
from promptgrad_tui.views.gates import GATE_COLUMNS, gate_cells
from promptgrad_tui.views.labels.doubted import DOUBT_ADVICE, DOUBT_COLUMNS, doubt_row
from promptgrad_tui.views.metrics import METRIC_COLUMNS, metric_rows, parts_of
from promptgrad_tui.views.run.slices import shown_slices
from promptgrad_tui.views.sanitize import visible

_HERE = Path(__file__).parent


def html_report(report: RunReport) -> str:
    """Return the whole file."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return _template().render(
        report=report,
        slice_field=report.examples.slice_field or "slice",
        style=style,
        script=script,
        policy=_policy(style, script),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"score": score_text, "epoch_name": epoch_name}
    environment.globals |= {
        "bar": EffectBar,
        "contest_tables": contest_tables,
        "contest_title": title,
        "contest_problems": problems,
        "scatter_of": ScatterPlot,
        "contest_points": points,
        "change": change_text,
        "change_words": CHANGES,
        "count": count_text,
        "demonstration": demonstration_text,
        "doubt_advice": DOUBT_ADVICE,
        "doubt_columns": DOUBT_COLUMNS,
        "doubt_row": doubt_row,
        "duration": duration_text,
        "effect_text": effect_text,
        "gate_cells": gate_cells,
        "gate_columns": GATE_COLUMNS,
        "line_diff": line_diff,
        "metric_columns": METRIC_COLUMNS,
        "metric_rows": metric_rows,
        "parts_of": parts_of,
        "outcomes": EPOCH_OUTCOMES,
        "objectives_text": objectives_text,
        "pareto": pareto,
        "plot_of": EpochPlot,
        "shown_slices": shown_slices,
        "slice": slice_text,
    }
    return environment.get_template("report.html.jinja")


def _shown(value: Any) -> Any:
    """Show control and bidirectional characters of data; numbers are as short as they can be."""
    if isinstance(value, float):
        return f"{value:g}"
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(style: str, script: str) -> str:
    """Forbid the browser to load or to run anything but what is in the file."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"
