"""A `promptgrad` command in a child process: its progress while it runs, its result when it is done."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.ground.errors import PromptGradError
from promptgrad_tui.views.progress_lines import ErrorLine, ProgressLine, read_line

_SECONDS_TO_END = 3.0
_LAST_LINES = 8
_LONGEST_LINE = 1 << 20


class CommandProcess:
    """Runs a command that prints one JSON object; `cancel` ends it, whatever it is doing."""

    def __init__(
        self,
        arguments: Sequence[str],
        project: Path,
        on_progress: Callable[[ProgressLine], None] = lambda _line: None,
    ) -> None:
        self._arguments = arguments
        self._project = project
        self._on_progress = on_progress
        self._process: Process | None = None
        self._error: PromptGradError | None = None
        self._words: list[str] = []
        self.is_cancelled = False

    async def run(self) -> Any:
        """Return what the command printed; None if it was cancelled.

        Raises:
            PromptGradError: what the command reported, or how it ended without a message.
        """
        try:
            # -P keeps a models.py in the current folder from being taken for ours.
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "promptgrad_tui", "-C", str(self._project)),
                *self._arguments,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise PromptGradError(f"The command can't be started: {error}.") from error
        try:
            return await self._result(self._process)
        finally:
            await self._end(self._process)

    def cancel(self) -> None:
        """End the process."""
        self.is_cancelled = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def _result(self, process: Process) -> Any:
        if self.is_cancelled:
            process.terminate()
        assert process.stdout is not None
        output, _ = await asyncio.gather(process.stdout.read(), self._read_progress(process))
        code = await process.wait()
        if self.is_cancelled:
            return None
        if self._error is not None:
            raise self._error
        with suppress(ValueError):
            return json.loads(output)
        words = "\n".join(self._words[-_LAST_LINES:]) or "It ended without a message."
        raise PromptGradError(f"The command ended with exit code {code}.", hint=words)

    async def _read_progress(self, process: Process) -> None:
        assert process.stderr is not None
        async for row in process.stderr:
            match read_line(row):
                case ProgressLine() as line:
                    self._on_progress(line)
                case ErrorLine() as line:
                    self._error = PromptGradError(line.text, hint=line.hint)
                case None:
                    self._words = [*self._words, row.decode(errors="replace").rstrip()][-_LAST_LINES:]

    async def _end(self, process: Process) -> None:
        """Leave no process and no open pipe behind, also when the screen goes while it works."""
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), _SECONDS_TO_END)
        except TimeoutError:
            process.kill()
            await process.communicate()
        finally:
            # An app that is leaving doesn't wait even for this: asyncio has no public way to close at once.
            process._transport.close()  # type: ignore[attr-defined]
