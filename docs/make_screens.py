"""Makes the pictures in docs/screens from a real run of the demo project.

Usage: python docs/make_screens.py [FOLDER]

FOLDER is a project with a finished run; without it the demo is run first, which takes a minute or two.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot

from promptgrad_tui.app.app import PromptGradApp
from promptgrad_tui.app.recent import RecentProjects
from promptgrad_tui.app.review_screen import ReviewScreen
from promptgrad_tui.app.run_screen import RunScreen
from promptgrad_tui.app.table import RowTable

SCREENS = Path(__file__).parent / "screens"
SIZE = (120, 36)
# Each picture: the keys that lead to it from the one before.
PICTURES: dict[str, tuple[str, ...]] = {
    "run": (),
    "scores": ("5",),
    "review": ("v", "a", "r"),
}
_PATIENCE_SECONDS = 30.0


def run_demo(folder: Path) -> None:
    """Run the demo project in a new folder, without a screen."""
    promptgrad = Path(sys.executable).with_name("promptgrad")
    command = [str(promptgrad), "demo", "--dir", str(folder), "--seed", "1", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


async def make_screens(folder: Path, recent: Path) -> list[Path]:
    """Write the pictures of the latest run of a project, and return their files."""
    app = PromptGradApp(folder, "last", recent=RecentProjects(recent))
    made = []
    async with app.run_test(size=SIZE) as pilot:
        await _until_read(pilot)
        for name, keys in PICTURES.items():
            await pilot.press(*keys)
            await pilot.pause(0.5)
            file = SCREENS / f"{name}.svg"
            file.write_text(_self_contained(app.export_screenshot(title="PromptGrad")), encoding="utf-8")
            made.append(file)
        if not isinstance(app.screen, ReviewScreen):
            raise SystemExit("The review screen didn't open.")
    return made


def _self_contained(svg: str) -> str:
    """Return a picture that fetches no fonts and keeps its spaces in every viewer."""
    without_fonts = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return without_fonts.replace("<svg ", '<svg xml:space="preserve" ', 1)


async def _until_read(pilot: Pilot[int]) -> None:
    """Wait until the run's journal has been read to its end and is drawn."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        await pilot.pause(0.1)
        screen = pilot.app.screen
        if isinstance(screen, RunScreen) and screen.session.live.finished is not None:
            # One more round of the feed, so that the tables hold what was read.
            await pilot.pause(1.0)
            screen.query_one("#gradients", RowTable).focus()
            return
    raise SystemExit("The project has no finished run.")


def main() -> None:
    """Make the pictures, and say where they are."""
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "desk"
        if len(sys.argv) == 1:
            run_demo(folder)
        for file in asyncio.run(make_screens(folder, Path(temporary) / "recent.json")):
            print(f"{file}  {file.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
