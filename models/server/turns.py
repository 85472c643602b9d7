"""How many requests a server is sent at a time: a bound that may be found out on the way."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Turns:
    """Lets at most `most` of a loop's coroutines through at a time; None lets all of them through."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        while self.most is not None and self._inside >= self.most:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # the turn that it was given is the next one's
                raise
        self._inside += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
