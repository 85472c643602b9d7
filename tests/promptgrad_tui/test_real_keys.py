"""Keys in a real terminal and a real process: in bursts, on two screens of one run, and those that leave."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.screens.recorded import RecordedRun
from tests.promptgrad_tui.test_tmux import Terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux isn't installed"),
]

COMMAND = [sys.executable, "-m", "promptgrad_tui"]
_CLOCK = re.compile(r" (\d+):(\d\d) ")


class OneOfTwo(Terminal):
    """A terminal beside another one of the same test."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home)
        self._tmux[2] += f"-{name}"

    def record(self, file: Path) -> None:
        """Write everything that the program sends to the terminal into a file, from now on."""
        file.touch()
        self._call("pipe-pane", f"cat >> {shlex.quote(str(file))}")


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRun:
    return RecordedRun(tmp_path / "desk")


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[OneOfTwo]]:
    home = tmp_path / "home"
    home.mkdir()
    both = [OneOfTwo(home, name) for name in ("a", "b")]
    yield both
    for terminal in both:
        terminal.kill()


def open_run(terminal: Terminal, recorded: RecordedRun) -> None:
    terminal.start([*COMMAND, "-C", str(recorded.folder)], recorded.folder)
    terminal.wait("Runs", "1 run", recorded.run[:8])
    terminal.type("Enter")
    terminal.wait("1 Batches")


def wait_for(terminal: Terminal, pattern: str) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not re.search(pattern, screen := terminal.screen()):
        assert time.monotonic() < deadline, f"{pattern!r} doesn't come:\n{screen}"
        time.sleep(0.1)
    return screen


def test_a_burst_of_keys_loses_none_and_reaches_nothing_below(
    recorded: RecordedRun, terminals: list[OneOfTwo]
) -> None:
    recorded.write()
    terminal = terminals[0]
    open_run(terminal, recorded)
    terminal.wait("improved")
    terminal.type("v")
    terminal.wait("Review 1/5")
    # One write to the terminal, as a slow connection delivers it.
    terminal.type("-l", "/parcel")
    terminal.wait("Show rules that contain", "parcel", "filter: parcel")
    terminal.type("Enter")
    terminal.wait("Review 1/1")
    # Letters over a question that is only being opened: none keeps or drops a rule, none opens a screen.
    terminal.type("-l", "a")
    terminal.wait("1 keep")
    terminal.type("-l", "Adedved")
    screen = terminal.wait("Apply the review?")
    assert "1 keep" in screen
    terminal.type("Escape")
    screen = terminal.wait_without("Apply the review?")
    assert "1 keep" in screen
    assert "drop" not in screen.splitlines()[0]


def test_the_keys_that_leave_ask_while_a_run_is_under_way(
    recorded: RecordedRun, terminals: list[OneOfTwo]
) -> None:
    recorded.write(count=60)
    terminal = terminals[0]
    with recorded.journal.lock_run(recorded.run):
        open_run(terminal, recorded)
        screen = wait_for(terminal, r"running.*\n.* \d+:\d\d ")
        before = _clock(screen)
        wait_for(terminal, r"answer \d+ for \d+:\d\d")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _clock(terminal.screen()) <= before:
            assert time.monotonic() < deadline, "the clock stands still while nothing comes in"
            time.sleep(0.1)
        for key in ("C-c", "C-q", "q"):
            terminal.type(key)
            terminal.wait("Leave?", "Leave, and stop the run")
            terminal.type("Escape")
            terminal.wait_without("Leave?")
        terminal.type("C-q")
        terminal.wait("Leave?")
        terminal.type("g")
        screen = terminal.wait_for_the_end()
    assert "exit code: 0" in screen
    assert f"Run {recorded.run} continues." in screen
    assert recorded.journal.commands(recorded.run) == [], "nobody has stopped it"


def test_the_end_of_a_run_rings_the_bell_and_tells_the_desktop(
    recorded: RecordedRun, terminals: list[OneOfTwo], tmp_path: Path
) -> None:
    events = list(recorded.events())
    for event in events[:60]:
        recorded.journal.append(recorded.run, event)
    terminal, raw = terminals[0], tmp_path / "raw"
    with recorded.journal.lock_run(recorded.run):
        open_run(terminal, recorded)
        terminal.wait("running")
        terminal.record(raw)
        for event in events[60:]:
            recorded.journal.append(recorded.run, event)
    terminal.wait("improved")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b"\x1b]9;PromptGrad: improved: " not in raw.read_bytes():
        assert time.monotonic() < deadline, "the desktop was not told"
        time.sleep(0.1)
    assert b"\x07" in raw.read_bytes().split(b"\x1b]9;")[0], "the bell"


def test_ctrl_c_asks_about_a_setting_that_is_not_saved(
    recorded: RecordedRun, terminals: list[OneOfTwo]
) -> None:
    recorded.write()
    terminal = terminals[0]
    file = recorded.folder / "promptgrad.toml"
    before = file.read_text()
    terminal.start([*COMMAND, "-C", str(recorded.folder)], recorded.folder)
    terminal.wait("1 run")
    terminal.type("p")
    terminal.wait("1 Settings")
    terminal.type("-l", "/epochs")
    terminal.type("Enter")
    terminal.type("Enter")
    terminal.type("-l", "7")
    terminal.type("Enter")
    for key in ("C-c", "C-q"):
        terminal.type(key)
        wait_for(terminal, "(?i)unsaved|not saved")
        terminal.type("Escape")
        time.sleep(0.5)
    assert file.read_text() == before


def test_ctrl_z_gives_the_terminal_back_to_the_shell(
    recorded: RecordedRun, terminals: list[OneOfTwo]
) -> None:
    recorded.write()
    terminal = terminals[0]
    terminal.start(["env", "PS1=shell> ", "bash", "--norc", "-i"], recorded.folder)
    terminal.wait("shell>")
    terminal.type("-l", shlex.join([*COMMAND, "-C", str(recorded.folder)]))
    terminal.type("Enter")
    terminal.wait("1 run")
    terminal.type("C-z")
    terminal.wait("Stopped", "shell>")
    terminal.type("-l", "clear; fg")
    terminal.type("Enter")
    terminal.wait("1 run", "Quit")
    terminal.type("q")
    terminal.wait("shell>")
    terminal.type("-l", "exit")
    terminal.type("Enter")
    terminal.wait_for_the_end()


def test_ctrl_z_stays_where_no_shell_could_bring_it_back(
    recorded: RecordedRun, terminals: list[OneOfTwo]
) -> None:
    recorded.write()
    terminal = terminals[0]
    terminal.start([*COMMAND, "-C", str(recorded.folder)], recorded.folder)
    terminal.wait("1 run")
    terminal.type("C-z")
    terminal.wait("There is no shell to go back to.")
    terminal.type("q")
    terminal.wait_for_the_end()


def test_two_screens_of_one_run_keep_each_others_drafts(
    recorded: RecordedRun, terminals: list[OneOfTwo]
) -> None:
    recorded.write()
    first, second = terminals
    for terminal in terminals:
        open_run(terminal, recorded)
        terminal.wait("improved")
        terminal.type("v")
        terminal.wait("Review 1/5")
    first.type("a")
    first.wait("1 keep")
    second.wait("1 keep")
    second.type("G")
    second.wait("Review 5/5")
    second.type("d")
    second.wait("1 keep \u00b7 1 drop")
    first.wait("1 keep \u00b7 1 drop")
    for terminal in terminals:
        terminal.kill()
    first.start([*COMMAND, "-C", str(recorded.folder)], recorded.folder)
    first.wait("1 run")
    first.type("Enter")
    first.wait("improved")
    first.type("v")
    first.wait("1 keep \u00b7 1 drop")
    # Leaving says where one was and what comes next, and the draft stays.
    first.type("q")
    screen = first.wait_for_the_end()
    assert "desk: 1 run. To open it again: promptgrad -C" in screen
    assert f"Run {recorded.run}: improved" in screen
    assert "Next: v on the run reviews them" in screen.replace("\n", " ")


def _clock(screen: str) -> int:
    found = _CLOCK.search(screen.splitlines()[1])
    assert found is not None, screen
    return int(found[1]) * 60 + int(found[2])
