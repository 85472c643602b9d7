"""`python -P -m promptgrad_tui.try_worker LOG`: the process that owns the model while a person tries inputs.

It reads requests from its standard input and writes replies to its output (see `work/trying/messages.py`);
it ends when its input does, so it never outlives the screen. What a project's code prints goes to the log.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

from engine.ground.errors import PromptGradError
from promptgrad_tui.work.code.offline import import_dspy_offline, logging_to
from promptgrad_tui.work.trying.messages import (
    REQUESTS,
    Cancel,
    Failed,
    Loading,
    Open,
    Predict,
    Reply,
    Request,
    Save,
)

if TYPE_CHECKING:
    from promptgrad_tui.work.trying.session import TrySession


class TryWorker:
    """Answers requests in order; a cancellation and the end of the input take effect immediately."""

    def __init__(self, requests: IO[bytes], replies: IO[bytes], log_file: Path) -> None:
        self._requests = requests
        self._replies = replies
        self._log_file = log_file
        self._writing = threading.Lock()
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._session: TrySession | None = None

    def run(self) -> None:
        """Serve until the input ends, which ends the process."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        with logging_to(self._log_file), ExitStack() as stack:
            while True:
                self._serve(self._waiting.get(), stack)

    def _read(self) -> None:
        for line in self._requests:
            request = REQUESTS.validate_json(line)
            if isinstance(request, Cancel):
                if self._session is not None:
                    self._session.cancel(request.id)
            else:
                self._waiting.put(request)
        # At once, also out of native code or a project's endless loop: there is nobody left to answer.
        os._exit(0)

    def _send(self, reply: Reply) -> None:
        with self._writing:
            self._replies.write(reply.line())
            self._replies.flush()

    def _serve(self, request: Request, stack: ExitStack) -> None:
        number = request.id if isinstance(request, Predict | Cancel) else 0
        try:
            self._carry_out(request, stack)
        except PromptGradError as error:
            self._send(Failed(place=request.kind, id=number, message=error.message, hint=error.hint))
        except Exception as error:
            traceback.print_exc()
            text = f"Unexpected error: {type(error).__name__}: {error}"
            self._send(
                Failed(place=request.kind, id=number, message=text, hint=f"See {self._log_file} for details.")
            )

    def _carry_out(self, request: Request, stack: ExitStack) -> None:
        match request:
            case Open():
                self._open(request, stack)
            case Predict() if self._session is not None:
                self._session.predict(request)
            case Save() if self._session is not None:
                self._send(self._session.save(request))
            case _:
                raise PromptGradError("Nothing is open yet.")

    def _open(self, request: Open, stack: ExitStack) -> None:
        self._send(Loading(text="Loading DSPy", share=0.0))
        import_dspy_offline()
        from promptgrad_tui.work.trying.session import TrySession

        self._session = TrySession(request.source, self._send, stack)
        self._send(self._session.describe())
        self._send(self._session.open(self._log_file))


def _own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take standard input and output for ourselves: a project's code gets the log and an empty input."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return requests, replies


if __name__ == "__main__":
    TryWorker(*_own_pipes(), Path(sys.argv[1])).run()
