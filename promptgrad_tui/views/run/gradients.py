"""A run's gradients as rows: each batch with its analysis passes, then what the passes agreed on."""

from __future__ import annotations

from collections.abc import Sequence

from engine.journal.events import AnalysisFinished, ConsensusReached, DroppedProposal
from engine.journal.learning_events import CandidatesProposed, ScreeningFinished
from engine.journal.live_text import LivePass
from promptgrad_tui.views.run.rows import GradientRow


class Gradients:
    """The rows of all gradients so far; the last batch may still be in progress."""

    def __init__(self) -> None:
        self.rows: list[GradientRow] = []
        self._last: GradientRow | None = None
        self._candidates: dict[tuple[int, int, str], GradientRow] = {}

    def begin(self, epoch: int, batch: int) -> GradientRow:
        """Add a batch's heading."""
        self._last = GradientRow(epoch, batch, "batch")
        self.rows.append(self._last)
        return self._last

    def take_analysis(self, event: AnalysisFinished) -> None:
        """Put a pass among those of its batch, by its number: they end in any order."""
        heading = self._heading(event)
        row = GradientRow(event.epoch, event.batch, "analysis", analysis=event)
        first = self._after(heading)
        passes = self.rows[first : first + heading.passes]
        earlier = sum(other.analysis is None or other.analysis.number < event.number for other in passes)
        self.rows.insert(first + earlier, row)
        heading.passes += 1

    def take_consensus(self, event: ConsensusReached) -> None:
        """Add the proposals that the passes agreed on, then those that were dropped."""
        self._heading(event).consensus = event
        kept = [GradientRow(event.epoch, event.batch, "kept", proposal=proposal) for proposal in event.kept]
        self.rows += [*kept, *(_dropped_row(event, dropped) for dropped in event.dropped)]

    def take_candidates(self, event: CandidatesProposed) -> None:
        """Add what a source other than analyses proposed."""
        heading = self._heading(event)
        heading.proposed += len(event.candidates)
        for candidate in event.candidates:
            row = GradientRow(event.epoch, event.batch, "candidate", source=event.source, candidate=candidate)
            self._candidates[event.epoch, event.batch, candidate.id] = row
            self.rows.append(row)

    def take_screening(self, event: ScreeningFinished) -> None:
        """Note how candidates were ranked; what nothing is known of so far, a set for instance, is added."""
        for screened in event.rows:
            key = (event.epoch, event.batch, screened.candidate)
            row = self._candidates.get(key)
            if row is None:
                self._heading(event).proposed += 1
                row = GradientRow(event.epoch, event.batch, "candidate", source=screened.source)
                self._candidates[key] = row
                self.rows.append(row)
            row.screened = screened

    def shown(self, passes: Sequence[LivePass]) -> Sequence[GradientRow]:
        """Return all rows, with the passes that are being written at the end."""
        here = self._last
        if here is None or here.consensus is not None or not passes:
            return self.rows
        head = self._after(here)
        tail = head + here.passes
        by_place = {live.place: _writing_row(live) for live in passes}
        by_place |= {row.place: row for row in self.rows[head:tail] if row.place}
        rows = [by_place[place] for place in sorted(by_place) if place[:2] == (here.epoch, here.batch)]
        return [*self.rows[:head], *rows, *self.rows[tail:]]

    def _after(self, heading: GradientRow) -> int:
        """Return where the rows of a heading begin: it is near the end."""
        places = range(len(self.rows) - 1, -1, -1)
        return 1 + next(place for place in places if self.rows[place] is heading)

    def _heading(
        self, event: AnalysisFinished | ConsensusReached | CandidatesProposed | ScreeningFinished
    ) -> GradientRow:
        here = self._last
        if here is None or (here.epoch, here.batch) != (event.epoch, event.batch):
            return self.begin(event.epoch, event.batch)
        return here


def _writing_row(live: LivePass) -> GradientRow:
    return GradientRow(live.epoch, live.batch, "writing", live=live)


def _dropped_row(event: ConsensusReached, dropped: DroppedProposal) -> GradientRow:
    return GradientRow(event.epoch, event.batch, "dropped", proposal=dropped.proposal, reason=dropped.reason)
