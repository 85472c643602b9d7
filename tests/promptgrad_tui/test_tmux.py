"""The demo as a person sees it: in a real terminal, with keys typed into tmux."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.journal.decisions import decision_key
from engine.journal.events import ValidationFinished
from engine.journal.journal import Journal, journal_path
from models import demo
from tests.patience import PATIENCE_SECONDS

PROMPTGRAD = Path(sys.executable).with_name("promptgrad")
EXIT = "exit code:"
MODEL = Path(demo.__file__).with_name("promptgrad-demo.gguf")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux isn't installed"),
    pytest.mark.skipif(not MODEL.exists(), reason="the demo model isn't built"),
]


class Terminal:
    """A tmux server of its own with one window of 80x24; what is typed and what is seen."""

    def __init__(self, home: Path) -> None:
        self._tmux = ["tmux", "-L", f"promptgrad-test-{os.getpid()}", "-f", "/dev/null"]
        self._environment = {**os.environ, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        for name in ("TMUX", "NO_COLOR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            self._environment.pop(name, None)

    def start(self, command: list[str], folder: Path) -> None:
        """Open the window with a command in it; its exit code stays on the screen."""
        line = f"{shlex.join(command)}; echo {EXIT} $?; exec cat"
        self._call("-u", "new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), line)

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._call("capture-pane", "-p")

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._call("send-keys", *keys)

    def wait(self, *texts: str) -> str:
        """Wait until all texts are on the screen, and return the screen."""
        return self._wait(lambda screen: all(text in screen for text in texts), " and ".join(texts))

    def wait_without(self, text: str) -> str:
        """Wait until a text is no longer on the screen, and return the screen."""
        return self._wait(lambda screen: text not in screen, f"a screen without {text}")

    def wait_for_the_end(self) -> str:
        """Wait until the command has ended and its exit code is there, and return the screen."""
        return self._wait(lambda screen: re.search(rf"{EXIT} \d+\n", screen) is not None, EXIT)

    def _wait(self, wanted: Callable[[str], bool], name: str) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not wanted(screen := self.screen()):
            assert time.monotonic() < deadline, f"{name!r} doesn't come:\n{screen}"
            assert EXIT not in screen, f"It has ended before {name!r}:\n{screen}"
            time.sleep(0.1)
        return screen

    def kill(self) -> None:
        """End the server and everything in it."""
        subprocess.run([*self._tmux, "kill-server"], env=self._environment, capture_output=True)

    def _call(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    home = tmp_path / "home"
    home.mkdir()
    terminal = Terminal(home)
    yield terminal
    terminal.kill()


def test_the_demo_is_watched_reviewed_and_left_by_key(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    terminal.start([str(PROMPTGRAD), "demo", "--dir", str(folder), "--seed", "1"], tmp_path)
    terminal.wait("1 Batches")
    terminal.wait("✓ improved")

    for key, title, content in (
        ("2", "─ 2 Gradients ", "Said by"),
        ("3", "─ 3 Validation ", "✓ accepted"),
        ("4", "─ 4 Artifacts ", "v1"),
        ("5", "─ 5 Validation score by epoch", "epoch base"),
        ("1", "─ 1 Batches ", "expected "),
    ):
        terminal.type(key)
        terminal.wait(title, content)

    terminal.type("?")
    terminal.wait("Keys that are valid here", "Review the rules one by one.")
    # A key that follows escape at once would be read as alt and that key.
    terminal.type("Escape")
    terminal.wait_without("Keys that are valid here")

    terminal.type("v")
    terminal.wait("Review 1/")
    terminal.type("a")
    terminal.wait("1 keep")
    terminal.type("d")
    terminal.wait("1 drop", "Review 3/", "✓ keep", "✗ drop")
    terminal.type("A")
    terminal.wait("Apply the review?")
    terminal.type("A")
    terminal.wait("2 decisions saved")
    terminal.type("Escape")
    terminal.wait("review 1 applied")

    terminal.wait_without("x Stop")
    terminal.type("q")
    assert f"{EXIT} 0\n" in terminal.wait_for_the_end()
    versions = sorted((folder / "artifacts").glob("*/*/v*"))
    assert [version.name for version in versions] == ["v1", "v2"]
    dropped = f"- {dropped_rule(folder)}"
    assert [dropped in (version / "prompt.txt").read_text() for version in versions] == [True, False]


def dropped_rule(project: Path) -> str:
    """The only rule of the last run that a person dropped."""
    with Journal.open(journal_path(project), read_only=True) as journal:
        run = journal.run("last").id
        [key] = [key for key, said in journal.decisions(run).items() if said["choice"] == "drop"]
        tests = [event for _, event in journal.events(run) if isinstance(event, ValidationFinished)]
    return next(test.rule.text for test in tests if decision_key(test.rule.id, 1) == key)
