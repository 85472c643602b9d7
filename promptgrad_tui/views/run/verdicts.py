"""The states that a test of a rule goes through, each with its word and tone."""

from __future__ import annotations

from promptgrad_tui.views.toned_lines import Tone

VERDICTS: dict[str, tuple[str, Tone]] = {
    "queued": ("\u00b7 queued", "dim"),
    "running": ("\u25b6 running", "accent"),
    "accepted": ("\u2713 accepted", "good"),
    "rejected": ("\u2717 rejected", "bad"),
    "needs_review": ("? review", "warn"),
    "not_tested": ("- not tested", "dim"),
}
