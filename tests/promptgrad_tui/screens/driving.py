"""Driving the app in tests: keys in, what a person would see out.

However slow the machine is, a key is taken in before the next one is typed, and a screen is looked at when
the app has nothing left to do. What comes from a thread, a timer or another process must still be waited for.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.cells import set_cell_size
from textual._context import message_hook as message_hook_context_var
from textual._context import visible_screen_stack
from textual.message import Message
from textual.pilot import Pilot

from promptgrad_tui.screens.app import PromptGradApp
from promptgrad_tui.screens.start.screen import StartScreen
from promptgrad_tui.work.machine.recent import RecentProjects
from tests.patience import PATIENCE_SECONDS

Script = Callable[[Pilot[int]], Awaitable[None]]
SMALL, LARGE = (80, 24), (200, 50)
_MOST_ROUNDS = 30
_SHORTEST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.02, 0.2
_FRAMES = re.compile("[\u2500-\u257f]")


class PatientPilot(Pilot[int]):
    """Goes on when the app has taken in what it was told, in however many messages, and has laid it out."""

    app: PromptGradApp

    def __init__(self, app: PromptGradApp) -> None:
        super().__init__(app)
        self._taken_in = 0

    def hear(self, message: Message) -> None:
        """Count a message that a part of the app takes in."""
        self._taken_in += 1

    async def press(self, *keys: str) -> None:
        """Press keys; each goes to what has the focus after the one before."""
        for key in keys:
            await super().press(key)
            await self.pause()

    async def pause(self, delay: float | None = None) -> None:
        """Wait for some seconds, and until the app is at rest.

        That is counted in rounds, not in time. An app that always has something to do is left at last.
        """
        await asyncio.sleep(delay or 0)
        for _ in range(_MOST_ROUNDS):
            if self.app._exit:
                return
            screen = self.app.screen
            screen._on_timer_update()
            parts = [self.app, *screen.walk_children(with_self=True)]
            before = self._taken_in
            await self._wait_for_screen()
            # Each part has taken in the question whether it is done: was there anything else?
            is_busy = self.app.is_typing or any(part.message_queue_size for part in parts)
            if self._taken_in - before <= len(parts) and not is_busy:
                return

    async def _wait_for_screen(self, timeout: float = PATIENCE_SECONDS) -> bool:
        return await super()._wait_for_screen(timeout)


def drive(folder: Path, run: str | None, script: Script, size: tuple[int, int] = SMALL) -> PromptGradApp:
    """Run the app on a project while `script` drives it."""
    return asyncio.run(watch(folder, run, script, size))


async def watch(folder: Path, run: str | None, script: Script, size: tuple[int, int]) -> PromptGradApp:
    """Do what `drive` does, beside others."""
    app = PromptGradApp(folder, run, recent=RecentProjects(folder / "recent.json"))
    pilot = PatientPilot(app)
    # What a script itself opens is heard too.
    message_hook_context_var.set(pilot.hear)
    async with app.run_test(size=size, notifications=True, message_hook=pilot.hear):
        if run is not None:
            await until_true(pilot, lambda _: not isinstance(app.screen, StartScreen), "the run")
        await script(pilot)
    return app


def seen(pilot: Pilot[int]) -> str:
    """Return what is on the screen, as text."""
    screens = [screen for screen in pilot.app.screen_stack if screen.is_current]
    # What lies below a box is drawn anew with it: Textual forgets it when it draws the box alone.
    visible_screen_stack.set(pilot.app._background_screens)
    screens[-1]._set_dirty()
    strips = screens[-1]._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


def told(pilot: Pilot[int]) -> str:
    """Return the words on the screen, or of a box before it, wherever long paths make their lines break."""
    rows = seen(pilot).split("\n")
    for box in pilot.app.screen.query(".box"):
        place = box.region
        rows = [set_cell_size(row, place.right)[place.x :] for row in rows[place.y : place.bottom]]
    return " ".join(_FRAMES.sub(" ", " ".join(rows)).split())


async def until(pilot: Pilot[int], text: str) -> str:
    """Wait until a text is on the screen, and return the screen.

    Raises:
        AssertionError: it doesn't come.
    """
    return await until_true(pilot, lambda screen: text in screen, text)


async def until_told(pilot: Pilot[int], text: str) -> str:
    """Wait until a text is told, on one line or several, and return all that is told there."""
    await until_true(pilot, lambda _: text in told(pilot), text)
    return told(pilot)


async def until_true(
    pilot: Pilot[int], wanted: Callable[[str], bool], name: str = "", *, seconds: float = PATIENCE_SECONDS
) -> str:
    """Wait until what is seen is as wanted, and return it.

    A title may be drawn before what belongs below it: what is returned was seen at rest.
    """
    deadline, delay = time.monotonic() + seconds, _SHORTEST_WAIT_SECONDS
    await pilot.pause()
    while not wanted(screen := seen(pilot)):
        assert time.monotonic() < deadline, f"{name!r} doesn't come:\n{screen}"
        await pilot.pause(delay)
        # To look takes a core that another process, whose work is waited for, may need.
        delay = min(1.5 * delay, _LONGEST_WAIT_SECONDS)
    return screen
