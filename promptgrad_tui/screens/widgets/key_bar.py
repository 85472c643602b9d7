"""The bottom line: the keys that are valid now, drawn as one line instead of a widget each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from promptgrad_tui.screens.keys.actions import ACTIONS, Scope, key_text
from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.toned_lines import Line, Tone

_LAST: tuple[Scope, ...] = ("table", "app")
_IN_BAR = [
    action.id
    for action in sorted(
        ACTIONS, key=lambda action: _LAST.index(action.scope) if action.scope in _LAST else -1
    )
    if action.footer
]
"""A screen's own actions first, then those of a table, then those of all screens."""

_FIRST_SCREENS = 2
"""Textual's own, and the start page: there is nothing to go back to."""


_Key: TypeAlias = tuple[Binding, DOMNode]


class KeyBar(LinesView):
    """Shows the most useful of the keys that are valid; a click does what the key would do."""

    def __init__(self) -> None:
        super().__init__(lambda width, _: [self._keys(width)])
        self._places: list[tuple[int, int, Binding, DOMNode]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_updated)

    def _bindings_updated(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.repaint()

    def _keys(self, width: int) -> Line:
        valid = {
            active.binding.id: (active.binding, active.node)
            for active in reversed(self.screen.active_bindings.values())
            if active.enabled
        }
        self._places = []
        runs: list[tuple[str, Tone]] = []
        column = 0
        for binding, node in self._fitting(valid, width):
            key, text = _texts(binding)
            self._places.append((column, column + _width(binding), binding, node))
            column += _width(binding)
            runs += [(key, "accent"), (text, "")]
        return tuple(runs)

    def _fitting(self, valid: Mapping[str | None, _Key], width: int) -> list[_Key]:
        # A screen may have a way of its own to be left.
        named = {(name or "").rpartition(".")[2]: key for name, key in valid.items()}
        ends = [named[name] for name in self._ends() if name in named]
        room = width - sum(_width(binding) for binding, _ in ends)
        fitting: list[_Key] = []
        for key in (valid[name] for name in _IN_BAR if name in valid):
            if key not in ends and _width(key[0]) <= room:
                fitting.append(key)
                room -= _width(key[0])
        return [*fitting, *ends]

    def _ends(self) -> tuple[str, ...]:
        """Return the actions whose keys are shown however little room there is."""
        is_first = len(self.app.screen_stack) <= _FIRST_SCREENS
        return ("help", "leave") if is_first else ("leave_screen", "help", "leave")

    async def on_click(self, event: events.Click) -> None:
        for start, end, binding, node in self._places:
            if start <= event.x < end:
                await self.app.run_action(binding.action, node)
                return


def _texts(binding: Binding) -> tuple[str, str]:
    return f" {key_text(binding.key)}", f" {binding.description} "


def _width(binding: Binding) -> int:
    return cell_len("".join(_texts(binding)))
