"""The bottom line: the keys that are valid now, drawn as one line instead of a widget each."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from promptgrad_tui.app.actions import ACTIONS, key_text
from promptgrad_tui.app.cells import Line, Tone
from promptgrad_tui.app.toned import LinesView

_IN_BAR = [action.id for action in sorted(ACTIONS, key=lambda action: action.scope == "app") if action.footer]
"""A screen's own actions first, those of all screens after them."""


class KeyBar(LinesView):
    """Shows the most useful of the keys that are valid; a click does what the key would do."""

    def __init__(self) -> None:
        super().__init__(lambda *_: [self._keys()])
        self._places: list[tuple[int, int, Binding, DOMNode]] = []

    def on_mount(self) -> None:
        """Keep up with what is valid."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_updated)

    def _bindings_updated(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.repaint()

    def _keys(self) -> Line:
        valid = {
            active.binding.id: (active.binding, active.node)
            for active in reversed(self.screen.active_bindings.values())
            if active.enabled
        }
        self._places = []
        runs: list[tuple[str, Tone]] = []
        column = 0
        for name in _IN_BAR:
            if name in valid:
                binding, node = valid[name]
                key = f" {key_text(binding.key)}"
                text = f" {binding.description}  "
                self._places.append((column, column + len(key) + len(text), binding, node))
                column += len(key) + len(text)
                runs += [(key, "accent"), (text, "")]
        return tuple(runs)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse would do."""
        for start, end, binding, node in self._places:
            if start <= event.x < end:
                await self.app.run_action(binding.action, node)
                return
