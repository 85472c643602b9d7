"""The event that says what a program has learned from here on."""

from __future__ import annotations

from engine.journal.events import ChangeReason, RulesChanged
from engine.programs.state import LearnedState


def state_changed(
    state: LearnedState, place: str, epoch: int, batch: int, reason: ChangeReason
) -> RulesChanged:
    """Return the event that `state` is the learned state from now on, with the reason for it."""
    return RulesChanged(
        id=place,
        epoch=epoch,
        batch=batch,
        reason=reason,
        digest=state.digest,
        rules=state.rules.rules,
        demonstrations=state.demonstrations.demonstrations,
    )
