"""Backward elimination: everything held is tested by leaving it out, and removed if it isn't missed.

Forward selection keeps what helped when it was added; later additions may have made it superfluous
(Efroymson 1960, stepwise regression). Rules are removed one at a time, demonstrations by their later half.
"""

from __future__ import annotations

from engine.journal.events import Emit
from engine.journal.learning_events import Layer
from engine.learning.layer_tests import LayerChange, LayerTester
from engine.learning.place import Place
from engine.learning.state_events import state_changed
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.state import LearnedState

_FEWEST_DEMONSTRATIONS = 4


class Elimination:
    """Thins a state by paired tests, the least proved rule first."""

    def __init__(self, tester: LayerTester, emit: Emit) -> None:
        self._tester = tester
        self._emit = emit

    def thin(self, state: LearnedState, epoch: int) -> LearnedState:
        """Return `state` without the parts whose removal costs no score."""
        place = Place(epoch)
        for rule in sorted(state.rules, key=lambda rule: rule.gain):
            state = self._without(state, state.removing(rule), rule.source, f"without: {rule.text}", place)
        while len(state.demonstrations) >= 2 * _FEWEST_DEMONSTRATIONS:
            shown = state.demonstrations.demonstrations
            half = state.with_demonstrations(DemonstrationSet(shown[: (len(shown) + 1) // 2]))
            thinned = self._without(state, half, "elimination", f"{len(shown) // 2} fewer examples", place)
            if thinned == state:
                break
            state = thinned
        return state

    def _without(
        self, before: LearnedState, after: LearnedState, source: str, title: str, place: Place
    ) -> LearnedState:
        layer: Layer = "rules" if after.rules != before.rules else "demonstrations"
        change = LayerChange(layer, "remove", source, title, before, after, place)
        result = self._tester.test(change)
        if not result.is_accepted:
            return before
        self._emit(state_changed(after, f"{change.test_id}/state", place, "thinned"))
        return after
