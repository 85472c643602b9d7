"""The demo as a person sees it: in a real terminal, with keys typed into tmux."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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

    def wait(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a text is on the screen, and return the screen."""
        return self._wait(lambda screen: text in screen, text, seconds)

    def wait_without(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a text is no longer on the screen, and return the screen."""
        return self._wait(lambda screen: text not in screen, f"a screen without {text}", seconds)

    def _wait(self, wanted: Callable[[str], bool], name: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
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
        assert content in terminal.wait(title)

    terminal.type("?")
    assert "Show the focused pane alone, or all of them." in terminal.wait("Keys that are valid here")
    # A key that follows escape at once would be read as alt and that key.
    terminal.type("Escape")
    terminal.wait_without("Keys that are valid here")

    terminal.type("v")
    terminal.wait("Review [1/")
    terminal.type("a")
    terminal.wait("1 keep")
    terminal.type("r")
    reviewed = terminal.wait("1 drop")
    assert "Review [3/" in reviewed
    assert "✓ keep" in reviewed
    assert "✗ drop" in reviewed
    terminal.type("A")
    terminal.wait("Apply the review?")
    terminal.type("A")
    terminal.wait("2 decisions applied")
    terminal.type("Escape")
    terminal.wait("review 1 applied")

    terminal.wait_without("x Stop")
    terminal.type("q")
    assert f"{EXIT} 0" in terminal.wait(EXIT)
    versions = sorted((folder / "artifacts").glob("*/*/v*"))
    assert [version.name for version in versions] == ["v1", "v2"]
    dropped = "- Tickets that mention a wedding list go to events."
    assert [dropped in (version / "prompt.txt").read_text() for version in versions] == [True, False]
