"""How a run has ended: a sign, a word or two and their tone, the same wherever it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from engine.journal.events import RunSummary
from engine.journal.narration import headline
from promptgrad_tui.views.toned_lines import Tone

_ENDS: dict[str, tuple[str, Tone]] = {
    "improved": ("\u2713", "good"),
    "no_improvement": ("\u25a0", "warn"),
    "budget": ("\u25a0", "warn"),
    "stopped": ("\u25a0", "warn"),
    "error": ("!", "bad"),
    "interrupted": ("!", "warn"),
}


@dataclass(frozen=True)
class Headline:
    """How a run has ended."""

    sign: str
    text: str
    tone: Tone

    @property
    def run(self) -> tuple[str, Tone]:
        """The sign and the words as a toned text."""
        return f"{self.sign} {self.text[:1].lower()}{self.text[1:]}", self.tone


def headline_of(status: str, summary: RunSummary | None) -> Headline | None:
    """Return how a run that no process works on has ended; None where one does, or where that isn't known."""
    if status not in _ENDS:
        return None
    sign, tone = _ENDS[status]
    if summary is None:
        return Headline(sign, status.replace("_", " ").capitalize(), tone)
    return Headline("\u25a0" if summary.is_held_back else sign, headline(summary), tone)
