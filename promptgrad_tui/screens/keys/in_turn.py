"""Keys taken in one after the other: each meets the screen that the one before has led to.

Textual hands a key on before the one before has done its work. Where keys come in one burst, over a slow
connection for instance, letters then reach the screen below a box that is only being opened.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from textual import events, work
from textual.app import App, ReturnType, ScreenStackError
from textual.message import Message
from textual.screen import ModalScreen, Screen

_LONGEST_TURN_SECONDS = 0.5
_LONGEST_OPENING_SECONDS = 2.0
_LOOK_SECONDS = 0.001


class KeysInTurn(App[ReturnType]):
    """An app whose next key or paste waits until the one before was taken in, and the screen is there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._typed: asyncio.Queue[events.Key | events.Paste] = asyncio.Queue()
        self._turn: Message | None = None
        self._is_taken = True

    @property
    def is_typing(self) -> bool:
        """Whether a key that was pressed hasn't been taken in yet."""
        return not self._typed.empty() or not self._is_taken

    def on_mount(self) -> None:
        self._take_keys_in()

    async def on_event(self, event: events.Event) -> None:
        """Put a key that comes in behind the others; take in the one whose turn it is."""
        is_first = not event.is_forwarded and event is not self._turn
        if isinstance(event, events.Key | events.Paste) and is_first:
            self._typed.put_nowait(event)
            return
        came_back = event.is_forwarded
        await super().on_event(event)
        if event is self._turn and (came_back or not event.is_forwarded):
            self._is_taken = True

    @work(group="keys")
    async def _take_keys_in(self) -> None:
        with suppress(ScreenStackError):
            await self._take_each_in()

    async def _take_each_in(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            event = await self._typed.get()
            self._is_taken = False
            deadline = loop.time() + _LONGEST_OPENING_SECONDS
            while not _is_there(self.screen) and loop.time() < deadline:
                await asyncio.sleep(_LOOK_SECONDS)
            self._turn = event
            self.post_message(event)
            # A stopped key was handled; one whose widget has gone in the meantime never comes back.
            deadline = loop.time() + _LONGEST_TURN_SECONDS
            while not (self._is_taken or event._stop_propagation) and loop.time() < deadline:
                await asyncio.sleep(_LOOK_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._settle()
            self._is_taken, self._turn = True, None

    async def _settle(self) -> None:
        """Wait until what a key has set off is done, from the widget with the focus up to the app."""
        settled = None
        while settled is not self.screen:  # a box that closes leaves work to the screen below
            settled = self.screen
            for node in (settled.focused or settled).ancestors_with_self:
                is_done = asyncio.Event()
                if node.call_later(is_done.set):
                    await is_done.wait()


def _is_there(screen: Screen[Any]) -> bool:
    """Whether a screen can take a key in; a box only once the field in it has the focus.

    Before, a letter would wait in the box's own queue, and letters after it would overtake it.
    """
    if not screen.is_mounted:
        return False
    if not isinstance(screen, ModalScreen) or screen.focused is not None:
        return True
    return not any(widget.focusable for widget in screen.query("*"))
