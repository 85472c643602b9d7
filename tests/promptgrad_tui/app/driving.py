"""Driving the app in tests: keys in, what a person would see out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from promptgrad_tui.app.app import PromptGradApp
from promptgrad_tui.app.recent import RecentProjects
from promptgrad_tui.app.start_screen import StartScreen
from tests.patience import PATIENCE_SECONDS

Script = Callable[[Pilot[int]], Awaitable[None]]
SMALL, LARGE = (80, 24), (200, 50)


def drive(folder: Path, run: str | None, script: Script, size: tuple[int, int] = SMALL) -> PromptGradApp:
    """Run the app on a project while `script` drives it."""
    return asyncio.run(watch(folder, run, script, size))


async def watch(folder: Path, run: str | None, script: Script, size: tuple[int, int]) -> PromptGradApp:
    """Do what `drive` does, beside others."""
    app = PromptGradApp(folder, run, recent=RecentProjects(folder / "recent.json"))
    async with app.run_test(size=size, notifications=True) as pilot:
        if run is not None:
            await until_true(pilot, lambda _: not isinstance(app.screen, StartScreen), "the run")
        await script(pilot)
    return app


def seen(pilot: Pilot[int]) -> str:
    """Return what is on the screen, as text."""
    screens = [screen for screen in pilot.app.screen_stack if screen.is_current]
    strips = screens[-1]._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def until(pilot: Pilot[int], text: str) -> str:
    """Wait until a text is on the screen, and return the screen.

    Raises:
        AssertionError: it doesn't come.
    """
    return await until_true(pilot, lambda screen: text in screen, text)


async def until_true(
    pilot: Pilot[int], wanted: Callable[[str], bool], name: str = "", *, seconds: float = PATIENCE_SECONDS
) -> str:
    """Wait until what is seen is as wanted, and return it.

    A title may be drawn a moment before what belongs below it, so it is looked at once more.
    """
    deadline = time.monotonic() + seconds
    while not wanted(screen := seen(pilot)):
        assert time.monotonic() < deadline, f"{name!r} doesn't come:\n{screen}"
        await pilot.pause(0.02)
    await pilot.pause(0.02)
    settled = seen(pilot)
    return settled if wanted(settled) else screen
