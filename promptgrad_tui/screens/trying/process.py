"""The child process that holds the model while a person tries inputs: started, asked, ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.live.worker_process import last_words, worker_log
from promptgrad_tui.work.trying.messages import REPLIES, Open, Reply, Request, TrySource

_LOG = "try"
_SECONDS_TO_END = 3.0


@dataclass(frozen=True)
class Gone:
    """The process has ended without being asked to: how, and the last lines that it printed."""

    how: str
    words: str


OnReply: TypeAlias = Callable[[Reply | Gone], object]


class TryProcess:
    """A worker of the Try screen; `on_reply` is called from a separate thread."""

    def __init__(self, source: TrySource, on_reply: OnReply) -> None:
        """Start the process and let it open `source`.

        Raises:
            PromptGradError: it can't be started, or its log can't be written.
        """
        self._project = source.project
        self._on_reply = on_reply
        self._is_closed = False
        self._process = self._start(worker_log(source.project, _LOG))
        threading.Thread(target=self._read, name="try replies", daemon=True).start()
        self.send(Open(source=source))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, request: Request) -> None:
        """Send a request; if the process has died, `on_reply` says so."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(request.line())
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._is_closed = True
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def _start(self, log: Path) -> subprocess.Popen[bytes]:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as errors:
                return subprocess.Popen(  # noqa: S603 - our own interpreter and module, arguments as a list
                    [
                        *(sys.executable, "-P", "-m", "promptgrad_tui.try_worker"),
                        str(log.with_name(f"{_LOG}.log")),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            raise PromptGradError(
                f"The process that holds the model can't be started: {error}.",
                hint=f"Check that {log.parent} is writable.",
            ) from error

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # A line that was cut off by a crash isn't a reply; the end of the process is reported below.
            with suppress(ValidationError):
                reply = REPLIES.validate_json(line)
                if not self._is_closed:
                    self._on_reply(reply)
        code = self._wait()
        if not self._is_closed:
            self._on_reply(Gone(_how(code), last_words(self._project, _LOG)))

    def _wait(self) -> int:
        try:
            return self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"It ended with exit code {code}."
    with suppress(ValueError):
        return f"It was ended by {signal.Signals(-code).name}."
    return f"It was ended by signal {-code}."
