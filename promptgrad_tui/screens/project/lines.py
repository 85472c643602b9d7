"""The lines of the Project screen: a field's row and its help, the splits, the estimate."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrad_tui.screens.project.draft import ProjectDraft, shown_value
from promptgrad_tui.screens.project.fields import FormField, FormRow, FormSection
from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.estimate import PlannedCalls, duration_range_text, range_text, rough_text
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.findings import TONES, Finding
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.text_blocks import fact, paragraph
from promptgrad_tui.views.toned_lines import Line, Tone, joined, line
from promptgrad_tui.work.check.estimate import costs
from promptgrad_tui.work.check.report import CheckReport, RateMeasured

FORM_COLUMNS = (
    Column("", width=1),
    Column("Setting", width=32),
    Column("Value", share=2),
    Column("What it is", share=3, from_width=100),
)
FORM_NAMES = 1
"""The column of the settings' names."""
FINDING_COLUMNS = (
    Column("", width=4),
    Column("About", width=9),
    Column("Finding", share=1),
)
_NARROW = 12


def paint_row(draft: ProjectDraft, row: FormRow, widths: Sequence[int]) -> Sequence[Line]:
    """Return a row's cells: `!` marks what is wrong, `*` what differs from the file.

    If the value's column is too narrow, the value is shown beside the name.
    """
    problem = draft.problem(row)
    if isinstance(row, FormSection):
        mark = line("!", "bad") if problem else ()
        return mark, line(row.title, "accent"), line(one_line(problem), "bad"), line(row.description, "dim")
    is_changed = draft.is_field_changed(row)
    mark = line("!", "bad") if problem else line("*", "warn") if is_changed else ()
    value = draft.value(row)
    tone: Tone = "bad" if problem else "warn" if is_changed else ""
    if not tone:
        tone = "dim" if not draft.is_set(row) else "strong" if value != row.default else ""
    shown = _value_cell(row, shown_value(value), tone)
    name: Line = ((f"  {one_line(row.name)}", "" if draft.is_set(row) else "dim"),)
    return (
        mark,
        (*name, (" = ", "dim"), *shown) if 0 < widths[2] < _NARROW else name,
        shown,
        line(one_line(problem) if problem else row.description, "bad" if problem else "dim"),
    )


def _value_cell(field: FormField, value: str, tone: Tone) -> Line:
    shown = one_line(value)
    if field.kind in ("choice", "switch"):
        return ("\u25c2 ", "dim"), (shown, tone), (" \u25b8", "dim")
    return line(shown, tone)


def help_lines(
    draft: ProjectDraft, row: FormRow, columns: int, typed_problem: str | None = None
) -> list[Line]:
    """Return what a person needs to know to set a field; `typed_problem` is that of what is being typed."""
    problem = draft.problem(row) if typed_problem is None else typed_problem
    lines = paragraph(f"! {problem}", columns, "bad") if problem else []
    lines += paragraph(row.description, columns)
    if isinstance(row, FormSection):
        return lines
    if row.choices:
        lines += fact("one of", " | ".join(map(shown_value, row.choices)), columns)
    if row.range:
        lines += fact("allowed", row.range, columns)
    if row.kind == "table":
        lines += fact("written as", 'one per line: name = value, text in "quotes"', columns)
    if row.kind == "list":
        lines += fact("written as", "one per line", columns)
    default = "must be set" if row.is_required else _default(row)
    lines += fact("default", default, columns)
    if draft.is_field_changed(row):
        lines += fact("in the file", shown_value(draft.file_value(row)), columns, "warn")
    return lines


def _default(field: FormField) -> str:
    shown = shown_value(field.default)
    return shown if field.default not in (None, "", {}, []) else "none"


def broken_lines(message: str, hint: str, text: str, number: int, columns: int) -> list[Line]:
    """Return why a file can't be shown as a form, with the lines around the place."""
    lines = [*paragraph(message, columns, "bad"), *paragraph(hint, columns), ()]
    rows = text.splitlines()
    for at in range(max(number - 4, 1), min(number + 3, len(rows)) + 1) if number else ():
        tone: Tone = "bad" if at == number else "dim"
        lines.append(((f"  {at:>5}  ", "dim"), (one_line(rows[at - 1]), tone)))
    return [*lines, (), *paragraph("E opens it in your editor, at this line.", columns, "accent")]


def split_lines(report: CheckReport, columns: int) -> list[Line]:
    """Return the splits with their sizes and slices."""
    lines: list[Line] = []
    for split in report.splits:
        origin = split.file if split.origin == "file" else split.origin
        text = f"{count_text(split.examples, 'example')}, {origin}"
        lines += fact(split.name, text, columns)
        if split.slices:
            slices = ", ".join(f"{name} {n}" for name, n in split.slices.items())
            lines += fact("", slices, columns, "dim")
    return lines


def estimate_lines(calls: PlannedCalls | None, rate: RateMeasured | None, columns: int) -> list[Line]:
    """Return the estimate of calls, tokens and time."""
    if calls is None:
        return []
    lines = fact("calls", range_text(calls.few, calls.many), columns, "strong")
    if rate is None:
        text = "b measures: it opens the model and sends it a few requests."
        lines += fact("tokens, time", text, columns, "accent")
    else:
        few, many = costs(calls, rate.measured, rate.analysis_tokens, rate.picked_tokens, rate.searched)
        lines += fact("tokens", range_text(few.tokens, many.tokens), columns, "strong")
        lines += fact("time", duration_range_text(few, many), columns, "strong")
        lines += fact("measured", rate_text(rate), columns)
    proposals = count_text(calls.proposals, "proposal")
    limits = f"at least {calls.least:,} calls, at most {calls.most:,} with {proposals} a batch"
    lines += fact("limits", limits, columns)
    one_rule, three = rough_text(calls.few), rough_text(calls.many)
    why = f"{one_rule} if one rule suffices, {three} if every batch proposes three."
    return [*lines, *fact("", why, columns, "dim")]


def rate_text(rate: RateMeasured) -> str:
    """Return what was measured on a project's own prompts."""
    measured = rate.measured
    return (
        f"{rate.answer_tokens_per_second:,.0f} answer tokens/s in {count_text(measured.calls, 'call')}, "
        f"up to {rate.at_a_time} at a time, of {measured.prompt_tokens:.0f} prompt and "
        f"{measured.completion_tokens:.0f} answer tokens each"
    )


def paint_finding(finding: Finding) -> Sequence[Line]:
    """Return a finding's cells."""
    tone = TONES[finding.level]
    return line(finding.level, tone), line(finding.subject), line(one_line(finding.text))


def finding_lines(finding: Finding, columns: int) -> list[Line]:
    """Return a finding with what to do about it, and where enter leads."""
    lines = paragraph(finding.text, columns, "" if finding.level == "ok" else TONES[finding.level])
    lines += paragraph(finding.advice, columns, "accent") if finding.advice else []
    if finding.field:
        lines += paragraph(f"enter goes to {finding.field}", columns, "dim")
    return lines


def standing_line(draft: ProjectDraft, *, has_moved: bool) -> Line:
    """Return the state of the draft: unsaved changes and problems."""
    changes, problems = len(draft.edits), len(draft.problems)
    parts = [
        line(
            f"* {count_text(changes, 'change')} not saved" if changes else "saved",
            "warn" if changes else "dim",
        ),
        line(f"! {count_text(problems, 'problem')}" if problems else "", "bad"),
        line("! the file has changed on disk" if has_moved else "", "bad"),
    ]
    return joined(parts, "   ")
