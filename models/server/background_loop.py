"""An event loop on its own thread: requests from many threads share connections and can be cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class BackgroundLoop:
    """Runs coroutines for callers that live in threads or in other event loops."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._running: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine; cancelling the future cancels it. A closed loop returns a cancelled future."""
        with self._lock:  # so that `cancel_all` misses nothing that has started
            if self._closing:
                work.close()
                return _cancelled()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._running.add(future)
        future.add_done_callback(self._forget)
        return future

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine and return what it returns."""
        future = self.submit(work)
        try:
            return future.result()
        finally:
            future.cancel()  # an interrupted caller no longer wants the answer

    def cancel_all(self) -> None:
        """Cancel everything that runs now."""
        with self._lock:
            running = list(self._running)
        for future in running:
            future.cancel()

    def close(self) -> None:
        """Cancel everything and end the thread; calling it twice is fine."""
        with self._lock:
            closed, self._closing = self._closing, True
        if closed:
            return
        self.cancel_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._settle())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _settle(self) -> None:
        """Let cancelled tasks close their connections."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._running.discard(future)


def _cancelled() -> Future[Any]:
    future: Future[Any] = Future()
    future.cancel()
    return future
