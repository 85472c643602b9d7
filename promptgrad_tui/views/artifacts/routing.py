"""The thresholds of a router: what each keeps for the small model, and what it costs in score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrad_tui.views.figures import effect_text, score_text
from promptgrad_tui.views.sanitize import one_line, shown_path, wrap
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal

if TYPE_CHECKING:
    from engine.release.routing.router import Router

HEAD = ("", "margin", "share", "score", "gain over the large model", "s")


@dataclass(frozen=True)
class Routed:
    """A router and where it was saved; None if no threshold is shown to lose little enough."""

    router: Router
    saved: Path | None


def routing_json(result: Routed) -> dict[str, Any]:
    """Return what `promptgrad route --json` prints."""
    return {
        "saved": str(result.saved) if result.saved else None,
        **result.router.model_dump(mode="json", exclude={"format"}),
    }


def split_of_work(router: Router) -> str:
    """Return which model of a router answers when, as a sentence."""
    small, large = one_line(router.small.uri), one_line(router.large.uri)
    return f"{small} answers where its margin is {router.margin:.2f} or more, {large} everywhere else."


def shares(router: Router) -> list[str]:
    """Return a router's score on each split, with the part of it that the small model answers."""
    splits = (
        ("validation", router.validation.get("routed"), router.share),
        ("test", router.test.get("routed"), router.test_share),
    )
    return [
        f"{split} {score_text(score)} (n = {score.n}), {share:.0%} by the small model"
        for split, score, share in splits
        if score is not None and share is not None
    ]


def routing_lines(result: Routed, terminal: Terminal) -> list[str]:
    """Return the table of thresholds, the chosen one, and what was saved."""
    router = result.router
    lines = [terminal.style("Thresholds, on validation", bold=True), ""]
    rows = [
        [
            "*" if result.saved and row.margin == router.margin else "",
            f"{row.margin:.2f}",
            f"{row.share:.0%}",
            f"{row.score.score:.3f}",
            effect_text(row.gain),
            f"{row.seconds:.2f}",
        ]
        for row in router.table
    ]
    lines += table_lines(HEAD, rows, terminal, right=(1, 2, 3, 5), indent=2)
    note = (
        "The small model's answer stands if its log-probability exceeds that of every other possible answer "
        "by the margin (nats). Share: the part of the examples that it answers. s: mean seconds for an "
        "example, both models together, from a few examples asked one at a time."
    )
    lines += ["", *wrap(note, terminal.columns, "  ", "  "), ""]
    for split, scores in (("validation", router.validation), ("test", router.test)):
        lines += [f"  {split:<10}  {name:<6}  {score_text(score)}" for name, score in scores.items()]
    lines.append("")
    if result.saved is None:
        text = (
            f"No threshold is shown to lose no more than {router.loss:.3f} of the score of the large model: "
            "nothing was saved. A larger --margin or more validation examples may show one."
        )
        return [*lines, *wrap(text, terminal.columns, "  ", "  ")]
    lines += wrap(split_of_work(router), terminal.columns, "  ", "  ")
    return [*lines, "", terminal.style("Router", bold=True), f"  {shown_path(str(result.saved))}"]
