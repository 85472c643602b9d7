"""The gradients: each batch with its analysis passes as they come in, then what they agreed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len

from engine.programs.rules import ParsedRule
from promptgrad_tui.screens.widgets.table import Column
from promptgrad_tui.views.figures import count_text, gain_text, value_text
from promptgrad_tui.views.run.partial_answer import read_partial
from promptgrad_tui.views.run.rows import GradientRow
from promptgrad_tui.views.run.shared_start import telling_part
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, line, tail

COLUMNS = (Column("Batch", width=5), Column("Said by", width=7), Column("Analyses and proposals", share=1))
EMPTY = "Analyses of failures appear here, pass by pass."


def paint(row: GradientRow, widths: Sequence[int], start: str = "") -> Sequence[Line]:
    """Return a row's cells; `start` is what most rules begin with, left out where there is little room."""
    if row.kind == "batch":
        return (line(f"{row.epoch}.{row.batch}", "strong"), line(""), _heading(row))
    if row.live is not None:
        text = one_line(read_partial(row.live.text).text)
        return (line(""), line(f"pass {row.live.number + 1}", "accent"), line(tail(text, widths[-1])))
    if row.kind == "analysis":
        return (
            line(""),
            line(_pass_name(row), "dim"),
            _analysis(row),
        )
    if row.kind == "candidate":
        return (line(""), line(one_line(row.source), "dim"), _candidate(row))
    return (line(""), _said_by(row), _proposal(row, widths[-1], start))


def _candidate(row: GradientRow) -> Line:
    """Return what another source proposed, and how it was ranked."""
    screened, candidate = row.screened, row.candidate
    title = one_line(candidate.title if candidate else screened.title if screened else "")
    if screened is None:
        return (("+ ", "dim"), (title, ""))
    ranked = f"  {gain_text(screened.gain)} \u00b1{value_text(screened.error)}" if screened.n else ""
    if screened.is_tested:
        return (("+ ", "good"), (title, ""), (ranked, "dim"), ("  to be tested", "good"))
    return (("\u2717 ", "bad"), (title, "dim"), (ranked, "dim"), (f"  ({one_line(screened.reason)})", "warn"))


def folded(rows: Sequence[GradientRow]) -> list[GradientRow]:
    """Return the rows with passes that came to the same analysis and proposals as one, which counts them."""
    kept: list[GradientRow] = []
    for row in rows:
        if kept and row.analysis is not None and _said(row) == _said(kept[-1]):
            kept[-1] = replace(kept[-1], passes=max(kept[-1].passes, 1) + 1)
        else:
            kept.append(row)
    return kept


def _said(row: GradientRow) -> object:
    found = row.analysis
    if found is None or found.problem:
        return row.place
    proposals = [(rule.action, rule.text, rule.trigger) for rule in found.proposals]
    return (found.epoch, found.batch, found.analysis, proposals)


def key(row: GradientRow) -> object:
    """Return what tells a row from the others, also once a pass is no longer being written."""
    return row.place or id(row)


def name(row: GradientRow) -> str:
    """Return what a row is, for the title of what it opens to."""
    if row.place is not None:
        return f"analysis pass {row.place[2] + 1}"
    names = {
        "batch": "consensus",
        "kept": "a proposal",
        "dropped": "a dropped proposal",
        "candidate": f"a candidate from {row.source}",
    }
    return names[row.kind]


def _pass_name(row: GradientRow) -> str:
    if row.passes > 1:
        return f"{row.passes}x same"
    return f"pass {row.analysis.number + 1}" if row.analysis else ""


def _heading(row: GradientRow) -> Line:
    candidates = count_text(row.proposed, "candidate") if row.proposed else ""
    if row.consensus is None and candidates and not row.passes:
        return line(candidates, "strong")
    if row.consensus is None:
        return line(
            f"{count_text(row.passes, 'pass', 'passes')} so far" if row.passes else "analysing \u2026",
            "accent",
        )
    kept, dropped = len(row.consensus.kept), len(row.consensus.dropped)
    passes = count_text(row.consensus.passes, "pass", "passes")
    return (
        (f"{passes}: ", "strong"),
        (f"{kept} agreed", "good" if kept else "warn"),
        (f", {dropped} dropped" if dropped else "", "dim"),
        (f", {candidates} from other sources" if candidates else "", "dim"),
    )


def _analysis(row: GradientRow) -> Line:
    analysis = row.analysis
    if analysis is None:
        return line("")
    if analysis.problem:
        return line(f"! {one_line(analysis.problem)}", "warn")
    return line(one_line(analysis.analysis) or "(no analysis)")


def _said_by(row: GradientRow) -> Line:
    if row.proposal is None or row.kind == "dropped":
        return line("")
    return line(f"{row.proposal.support}x {row.proposal.confidence:.0%}", "dim")


def _proposal(row: GradientRow, columns: int, start: str) -> Line:
    if row.proposal is None:
        return line("")
    reason = f"  ({one_line(row.reason)})" if row.kind == "dropped" else ""
    text = telling_part(one_line(row.proposal.text), start, columns, beside=2 + cell_len(reason))
    if row.kind == "kept":
        return ((f"{sign(row.proposal)} ", "good"), (text, ""))
    return (("\u2717 ", "bad"), (text, "dim"), (reason, "warn"))


def sign(proposal: ParsedRule) -> str:
    """Return `+` for a rule to add and `-` for one to remove."""
    return "+" if proposal.action == "add" else "-"
