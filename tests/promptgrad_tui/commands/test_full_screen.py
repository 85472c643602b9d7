"""When the full screen opens: only where a terminal can draw it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS

PROMPTGRAD = Path(sys.executable).with_name("promptgrad")
FULL_SCREEN = "\x1b[?1049h"


def in_a_terminal(term: str | None, *arguments: str) -> tuple[int, str]:
    """Return the exit code and all that a command writes to a terminal of that kind."""
    environment = {name: value for name, value in os.environ.items() if name != "TERM"}
    if term is not None:
        environment["TERM"] = term
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [str(PROMPTGRAD), *arguments], stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # Linux's word for: nobody writes any more
        pass
    os.close(ours)
    return process.wait(PATIENCE_SECONDS), written.decode()


@pytest.mark.parametrize("term", ["dumb", None])
def test_a_terminal_that_cannot_draw_gets_help_and_plain_lines(tmp_path: Path, term: str | None) -> None:
    code, text = in_a_terminal(term, "-C", str(tmp_path))
    assert code == 0
    assert "promptgrad demo" in text
    assert "\x1b" not in text
    code, text = in_a_terminal(term, "run", str(tmp_path))
    assert code == 2
    assert "error:" in text
    assert FULL_SCREEN not in text
