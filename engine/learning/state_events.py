"""The event that says what a program has learned from here on."""

from __future__ import annotations

from engine.journal.events import ChangeReason, RulesChanged
from engine.learning.place import Place
from engine.programs.state import LearnedState


def state_changed(state: LearnedState, event: str, place: Place, reason: ChangeReason) -> RulesChanged:
    """Return the event, with its id, that `state` is the learned state from now on, and the reason for it."""
    return RulesChanged(
        id=event,
        epoch=place.epoch,
        batch=place.batch,
        reason=reason,
        digest=state.digest,
        rules=state.rules.rules,
        demonstrations=state.demonstrations.demonstrations,
    )
