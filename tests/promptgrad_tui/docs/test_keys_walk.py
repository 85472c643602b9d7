"""The keys that the documents name, pressed on the real screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from promptgrad_tui.screens.keys.actions import SCOPES, Scope
from tests.promptgrad_tui.screens.driving import SMALL, drive, seen, until, until_true
from tests.promptgrad_tui.screens.recorded import RecordedRun

DOCS = Path(__file__).parents[3] / "docs"
KEYS = (DOCS / "keys.md").read_text()
TUTORIAL = (DOCS / "tutorial.md").read_text()
NAMES = {
    "?": "question_mark",
    "/": "slash",
    ":": "colon",
    ">": "greater_than_sign",
    "*": "asterisk",
    "]": "right_square_bracket",
    "[": "left_square_bracket",
    "esc": "escape",
    "pgdn": "pagedown",
    "pgup": "pageup",
    "\u2191": "up",
    "\u2193": "down",
    "\u2190": "left",
    "\u2192": "right",
}
_KEY = re.compile(r"`(ctrl\+[a-z]|[A-Za-z0-9?*:/>]|enter|esc|space|up|tab)`")
WAYS: dict[Scope, tuple[str, ...]] = {
    "start": ("escape",),
    "run": (),
    "batch": ("1", "g", "enter"),
    "detail": ("3", "g", "enter"),
    "review": ("v",),
    "log": ("L",),
    "compare": ("c", "enter"),
    "project": ("escape", "p"),
    "models": ("M",),
    "labels": ("W",),
}


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    recorded = RecordedRun(tmp_path / "desk")
    recorded.write()
    return recorded


def named(scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield each key that the page names for a place, by Textual's name, with what it should do."""
    table = KEYS.split(f"## {SCOPES[scope]}\n")[1].split("\n## ")[0]
    for keys, name in re.findall(r"^\| (`.*?) \| .* \| `(\S+)` \|$", table, re.M):
        for key in re.findall(r"`(\S+)`", keys):
            yield NAMES.get(key, key), name


@pytest.mark.parametrize("scope", WAYS)
def test_the_keys_of_the_page_are_those_of_the_screen(recorded: RecordedRun, scope: Scope) -> None:
    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, "improved")
        await pilot.press(*WAYS[scope])
        await pilot.pause()
        bound = {
            (key, binding.id)
            for _, bindings in pilot.app.screen._modal_binding_chain
            for key, binding in bindings
        }
        wanted = {*named(scope), *named("app")}
        assert len(wanted) > 12
        assert wanted <= bound, wanted - bound

    drive(recorded.folder, recorded.run, script, SMALL)


def keys_of_section(number: int) -> set[str]:
    """Return the keys that a section of the tutorial names."""
    section = re.split(r"(?m)^## \d+\. ", TUTORIAL)[number]
    return set(_KEY.findall(re.sub(r"(?s)```.*?```", "", section)))


def test_the_keys_of_the_tutorial_do_what_it_says(recorded: RecordedRun) -> None:
    pressed: set[str] = set()

    async def script(pilot: Pilot[int]) -> None:
        async def press(key: str, *texts: str) -> str:
            pressed.add(key)
            await pilot.press(NAMES.get(key, key))
            return await until_true(
                pilot, lambda screen: all(text in screen for text in texts), f"{texts} after {key}"
            )

        await until(pilot, "improved")
        for key, title in ("2", "2 Gradients"), ("3", "3 Validation"), ("4", "4 Artifacts"):
            await press(key, f"\u2500 {title} ")
        await press("5", "5 Validation score by epoch")
        await press("1", "\u2500 1 Batches ")
        await pilot.press("g")
        await press("3")
        await pilot.press("g")
        first = await press("enter", "Test of a rule")
        assert await press("J", "Test of a rule") != first
        assert await press("K", "Test of a rule") == first
        await press("esc", "\u2500 3 Validation ")
        await press("?", "Keys that are valid here", "Review the rules one by one.")
        await pilot.press("escape")
        # The review.
        await press("v", "Review 1/5")
        await press("a", "1 keep", "Review 2/5")
        await press("d", "1 keep \u00b7 1 drop")
        assert "1 drop" not in await press("u", "1 keep")
        await press("e", "Edit the rule")
        await pilot.press("escape")
        await press("B", "Review ")
        await press("space", "1 marked")
        await pilot.press("space")
        await press("m", "Merge 2 rules into one")
        await pilot.press("escape", "asterisk")
        await press("*", " marked")
        await press("enter", "What rule ")
        await pilot.press("escape")
        await press(">", "Go to what belongs to it")
        await pilot.press("escape")
        await press("A", "Apply the review?")
        await pilot.press("escape", "escape")
        await until(pilot, "\u2500 3 Validation ")
        # Leaving and coming back loses nothing.
        await pilot.press("v")
        await until(pilot, "1 keep")
        await pilot.press("escape")
        await press("c", "without rules")
        await pilot.press("escape")
        await press("t", "Try")
        await press("up", "Try")
        await press("ctrl+s", "Try")
        await pilot.press("escape", "escape")
        await pilot.press("escape")
        await until(pilot, "1 run")
        await press("e", "Name of the run")
        await pilot.press("escape")
        await press("delete", "Delete ", "stay counted")
        await pilot.press("escape")
        await press("p", "1 Settings")
        for key, text in ("2", "train"), ("3", "demo"), ("4", "b"):
            await press(key, text)
        await pilot.press("1")
        await press("u")
        await press("s")
        await press("b")
        await pilot.press("escape")
        await press("r", "Start a run of")
        await pilot.press("escape")
        # What would end the test is pressed in a real terminal: see `test_real_keys.py`.
        pressed.update({"q", "ctrl+q", "ctrl+c", "x"})
        assert "Start a run of" not in seen(pilot)

    drive(recorded.folder, recorded.run, script, SMALL)
    wanted = keys_of_section(2) | keys_of_section(3) | keys_of_section(6)
    assert len(wanted) > 20
    assert wanted <= pressed, wanted - pressed
