"""A run's gradients as rows: each batch with its analysis passes, then what the passes agreed on."""

from __future__ import annotations

from collections.abc import Sequence

from engine.journal.events import AnalysisFinished, ConsensusReached, DroppedProposal
from engine.journal.live_text import LivePass
from promptgrad_tui.views.run.rows import GradientRow


class Gradients:
    """The rows of all gradients so far; the last batch may still be in progress."""

    def __init__(self) -> None:
        self.rows: list[GradientRow] = []
        self._last: GradientRow | None = None

    def begin(self, epoch: int, batch: int) -> GradientRow:
        """Add a batch's heading."""
        self._last = GradientRow(epoch, batch, "batch")
        self.rows.append(self._last)
        return self._last

    def take_analysis(self, event: AnalysisFinished) -> None:
        """Put a pass among those of its batch, by its number: they end in any order."""
        heading = self._heading(event)
        row = GradientRow(event.epoch, event.batch, "analysis", analysis=event)
        before = self.rows[len(self.rows) - heading.passes :]
        later = sum(other.analysis is not None and other.analysis.number > event.number for other in before)
        self.rows.insert(len(self.rows) - later, row)
        heading.passes += 1

    def take_consensus(self, event: ConsensusReached) -> None:
        """Add the proposals that the passes agreed on, then those that were dropped."""
        self._heading(event).consensus = event
        kept = [GradientRow(event.epoch, event.batch, "kept", proposal=proposal) for proposal in event.kept]
        self.rows += [*kept, *(_dropped_row(event, dropped) for dropped in event.dropped)]

    def shown(self, passes: Sequence[LivePass]) -> Sequence[GradientRow]:
        """Return all rows, with the passes that are being written at the end."""
        here = self._last
        if here is None or here.consensus is not None or not passes:
            return self.rows
        head = len(self.rows) - here.passes
        by_place = {live.place: _writing_row(live) for live in passes}
        by_place |= {row.place: row for row in self.rows[head:] if row.place}
        rows = [by_place[place] for place in sorted(by_place) if place[:2] == (here.epoch, here.batch)]
        return [*self.rows[:head], *rows]

    def _heading(self, event: AnalysisFinished | ConsensusReached) -> GradientRow:
        here = self._last
        if here is None or (here.epoch, here.batch) != (event.epoch, event.batch):
            return self.begin(event.epoch, event.batch)
        return here


def _writing_row(live: LivePass) -> GradientRow:
    return GradientRow(live.epoch, live.batch, "writing", live=live)


def _dropped_row(event: ConsensusReached, dropped: DroppedProposal) -> GradientRow:
    return GradientRow(event.epoch, event.batch, "dropped", proposal=dropped.proposal, reason=dropped.reason)
