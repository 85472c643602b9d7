"""A screen that others cover: what it does when it is in front again, and a box that waits until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

from promptgrad_tui.screens.widgets.fitted_screen import FittedScreen


class FrontScreen(FittedScreen):
    """Has `returned` called when it is in front: at first, and after another screen but not after a box."""

    def __init__(self) -> None:
        super().__init__()
        self._was_left = True
        self._waiting: tuple[ModalScreen[Any], Callable[[Any], None] | None] | None = None

    def returned(self) -> None:
        """Take in what may have changed meanwhile."""
        raise NotImplementedError

    def on_screen_suspend(self) -> None:
        self._was_left = not any(isinstance(screen, ModalScreen) for screen in self.app.screen_stack[-1:])

    def on_screen_resume(self) -> None:
        if self._was_left:
            self.returned()
        if self._waiting is not None:
            (box, then), self._waiting = self._waiting, None
            self.app.push_screen(box, then)

    def interrupt(self, box: ModalScreen[Any], told: str, then: Callable[[Any], None] | None = None) -> None:
        """Show a box that nobody asked for; while a person types or answers, say `told` and show it later."""
        front = self.app.screen
        if isinstance(front, ModalScreen) or isinstance(front.focused, Input | TextArea):
            self._waiting = (box, then)
            self.notify(told, severity="warning", markup=False)
        else:
            self.app.push_screen(box, then)
