"""What was decided in a review and not applied yet, kept in a file: leaving the screen loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.ground.files import replace_file
from engine.journal.decisions import Decision

T = TypeVar("T")


class ReviewDraft(BaseModel):
    """Decisions and notes by the ids of their rules."""

    model_config = ConfigDict(frozen=True)

    decisions: Mapping[str, Decision] = {}
    notes: Mapping[str, str] = {}


def with_theirs(mine: ReviewDraft, known: ReviewDraft, theirs: ReviewDraft) -> ReviewDraft:
    """Return `mine` with what another screen has changed in `theirs` since both were `known`.

    Where both have changed the same rule, mine holds.
    """
    return ReviewDraft(
        decisions=_merged(mine.decisions, known.decisions, theirs.decisions),
        notes=_merged(mine.notes, known.notes, theirs.notes),
    )


def _merged(mine: Mapping[str, T], known: Mapping[str, T], theirs: Mapping[str, T]) -> dict[str, T]:
    merged = dict(mine)
    for rule in {*known, *theirs}:
        if theirs.get(rule) != known.get(rule) and mine.get(rule) == known.get(rule):
            if rule in theirs:
                merged[rule] = theirs[rule]
            else:
                merged.pop(rule, None)
    return merged


@dataclass(frozen=True)
class DraftFile:
    """The file in which the draft of a run's review is kept, beside the run's journal."""

    file: Path

    @classmethod
    def of_run(cls, journal: Path, run: str) -> DraftFile:
        """Return that of a run of a journal."""
        return cls(journal.parent / "reviews" / f"{run}.json")

    def read(self) -> ReviewDraft:
        """Return the draft; an empty one where there is none that can be read."""
        with suppress(OSError, ValidationError):
            return ReviewDraft.model_validate_json(self.file.read_bytes())
        return ReviewDraft()

    def write(self, draft: ReviewDraft) -> bool:
        """Keep the draft, or no file where it is empty; False if that failed."""
        try:
            if draft == ReviewDraft():
                self.file.unlink(missing_ok=True)
                return True
            self.file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.file, draft.model_dump_json().encode(), is_durable=False)
        except OSError:
            return False
        return True
