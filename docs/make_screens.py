"""Makes the pictures in docs/screens from a real run of the demo project.

Usage: python docs/make_screens.py [FOLDER]

FOLDER is a project with a finished run; without it the demo is run first, which takes a minute or two.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from promptgrad_tui.screens.app import PromptGradApp
from promptgrad_tui.work.machine.recent import RecentProjects

SCREENS = Path(__file__).parent / "screens"
SIZE = (120, 36)
TICKET = "We share a wedding list. The catalogue is not what I expected."
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Picture:
    """A picture: `steps` lead to it, each the keys to press and a text to wait for; `leave` leads back."""

    name: str
    steps: tuple[tuple[Sequence[str], str], ...]
    leave: tuple[str, ...] = ()


OF_A_RUN = (
    Picture("run", (((), "all epochs are done"), (("2",), "Gradients"))),
    Picture("scores", ((("5",), "Scores"),), leave=("1",)),
    Picture(
        "compare",
        ((("c",), "Compare run"), (("enter",), "Scores and rules"), (("f",), "fixed")),
        leave=("escape",),
    ),
    Picture("try", ((("t",), "ready"), ((*TICKET, "ctrl+r"), "fit this input")), leave=("escape",)),
    Picture("review", ((("v",), "open"), (("a", "d"), "1 drop"))),
)
OF_A_PROJECT = (
    Picture(
        "project",
        (((), "Runs"), (("p",), " calls"), (("]", "]", "]", "down"), "exact_match")),
        leave=("escape",),
    ),
    Picture("models", ((("M",), "1 model"), (("b",), "requests at a time"))),
)


def run_demo(folder: Path) -> None:
    """Run the demo project in a new folder, without a screen."""
    promptgrad = Path(sys.executable).with_name("promptgrad")
    command = [str(promptgrad), "demo", "--dir", str(folder), "--seed", "1", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


async def make_screens(folder: Path, run: str | None, pictures: Sequence[Picture]) -> list[Path]:
    """Write pictures of a project's run, or of its start page and beyond; return their files."""
    app = PromptGradApp(folder, run, recent=RecentProjects(folder / ".promptgrad" / "recent.json"))
    made = []
    async with app.run_test(size=SIZE) as pilot:
        for picture in pictures:
            for keys, text in picture.steps:
                await pilot.press(*keys)
                await _until(pilot, text)
            # What comes after the text: the rows below it, and the cursor.
            await pilot.pause(1.0)
            file = SCREENS / f"{picture.name}.svg"
            file.write_text(_self_contained(app.export_screenshot(title="PromptGrad")), encoding="utf-8")
            made.append(file)
            await pilot.press(*picture.leave)
    return made


def _self_contained(svg: str) -> str:
    """Return a picture that fetches no fonts and keeps its spaces in every viewer."""
    without_fonts = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return without_fonts.replace("<svg ", '<svg xml:space="preserve" ', 1)


async def _until(pilot: Pilot[int], text: str) -> None:
    """Wait until a text is on the screen."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while text not in (seen := _text_of(pilot.app.export_screenshot())):
        if time.monotonic() > deadline:
            raise SystemExit(f"{text!r} doesn't come:\n{seen}")
        await pilot.pause(0.1)


def _text_of(svg: str) -> str:
    """Return what a picture says."""
    said = re.findall(r"<text[^>]*>([^<]*)", svg)
    return html.unescape("".join(said)).replace("\xa0", " ")


def _leave_the_makers_own_out(folder: Path) -> None:
    """Let nothing of the person who makes the pictures be seen: caches, history, models."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "HF_HOME", "OLLAMA_MODELS"):
        os.environ[name] = str(folder / name.lower())
    os.environ["PROMPTGRAD_MODELS"] = ""


def main() -> None:
    """Make the pictures, and say where they are."""
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "support-desk"
        _leave_the_makers_own_out(Path(temporary))
        if len(sys.argv) == 1:
            run_demo(folder)
        for run, pictures in (("last", OF_A_RUN), (None, OF_A_PROJECT)):
            for file in asyncio.run(make_screens(folder, run, pictures)):
                print(f"{file}  {file.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
