"""A screen that is arranged for the size of the terminal before it is painted for the first time."""

from __future__ import annotations

from textual import events
from textual.geometry import Size
from textual.screen import Screen


class FittedScreen(Screen[None]):
    """Has `fit` called before the first layout, and with every other size.

    Textual tells a screen its size only after that layout, and a slow machine shows the wrong one at first.
    """

    def fit(self, size: Size) -> None:
        """Arrange everything for a terminal of that size, in cells."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.fit(self.app.size)

    def on_resize(self, event: events.Resize) -> None:
        self.fit(event.size)
