"""Whether a name meant the same model before and after an answer: only then is the answer evidence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from dspy import lm15

from engine.ground.revision import ModelRevision
from models.errors import ModelNotFoundError, RevisionMovedError, ServerError

WATCH_SECONDS = 2.0
"""Between two looks at a name while answers are under way: a moved tag stops them within this time."""

RESUME_HINT = (
    "Answers that it gave meanwhile don't count. Bring the name back to the model as it was and resume the "
    "run, or start a new one."
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Sighting:
    """What a server shows of a name at one moment.

    `written` changes with each writing, also when a tag is moved and moved back between two looks.
    """

    identity: str
    written: str = ""


def identity_of(revision: ModelRevision) -> str:
    """Return what of a revision decides whether two are the same."""
    return f"{revision.digest} {revision.template_digest or ''}"


def moved_sentence(uri: str, began: str, now: str) -> str:
    """Return what to say where a name's identity isn't the one that it had."""
    was, is_now = (identity.partition(" ")[0].rpartition(":")[2][:12] for identity in (began, now))
    if was == is_now:
        return f"{uri} has another chat template than before."
    return f"{uri} was {was} and is now {is_now}."


class Vouching:
    """Lets answers count only if their model was the right one before and after; for one event loop.

    Answers that end at about the same time share a look.
    """

    def __init__(self, uri: str, seen: Sighting, look: Callable[[], Awaitable[Sighting]]) -> None:
        """Watch a name that was `seen` to mean the right model."""
        self._uri = uri
        self._identity = seen.identity
        self._seen = seen
        self._look = look
        self._next: asyncio.Task[Sighting] | None = None
        self._current: asyncio.Task[Sighting] | None = None
        self._under_way = 0
        self._moved: asyncio.Future[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def vouched(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what `work` returns if the name meant the right model all the while.

        Raises:
            RevisionMovedError: it means another model now; `work` is cancelled.
            lm15.TransportError: it was written meanwhile, so that nobody can say who answered: ask again.
        """
        try:
            before = await self._standing()
        except BaseException:
            work.close()
            raise
        result = await self._unless_moved(work)
        after = self._checked(await self._sighting())
        if after != before:
            raise lm15.TransportError(
                f"{self._uri} was written again during an answer, which therefore doesn't count."
            )
        return result

    async def _standing(self) -> Sighting:
        """Return the latest sighting; one of another model is looked at again: it may be back."""
        if self._seen.identity != self._identity:
            return self._checked(await self._sighting())
        return self._seen

    def _checked(self, sighting: Sighting) -> Sighting:
        if sighting.identity != self._identity:
            sentence = moved_sentence(self._uri, self._identity, sighting.identity)
            raise RevisionMovedError(sentence, hint=RESUME_HINT)
        return sighting

    async def _sighting(self) -> Sighting:
        """Return a look that begins from now on, shared with whoever asks before it begins."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._look_after(self._current))
            self._next.add_done_callback(lambda look: look.cancelled() or look.exception())
        return await asyncio.shield(self._next)

    async def _look_after(self, current: asyncio.Task[Sighting] | None) -> Sighting:
        if current is not None:
            await asyncio.wait({current})
        self._current, self._next = self._next, None
        try:
            self._seen = await self._look()
        except ModelNotFoundError as error:
            raise lm15.UnsupportedModelError(str(error)) from error
        except ServerError as error:
            raise lm15.TransportError(str(error)) from error
        return self._seen

    async def _unless_moved(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.ensure_future(work)
        moved = self._begin()
        try:
            both: set[asyncio.Future[Any]] = {task, moved}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                moved.result()  # raises
            return task.result()
        finally:
            self._end()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def _begin(self) -> asyncio.Future[None]:
        self._under_way += 1
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
            self._watcher = asyncio.ensure_future(self._watch(self._moved))
        return self._moved

    def _end(self) -> None:
        self._under_way -= 1
        if self._under_way == 0 and self._watcher is not None and self._moved is not None:
            self._watcher.cancel()
            self._moved.cancel()
            self._watcher = self._moved = None

    async def _watch(self, moved: asyncio.Future[None]) -> None:
        """Look at the name now and then, and end what is under way once it means another model."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                self._checked(await self._sighting())
            except RevisionMovedError as error:
                moved.set_exception(error)
                moved.exception()  # whoever waits raises it; if nobody does, it isn't lost
                return
            except lm15.LM15Error:
                continue  # the answers under way will say what is wrong
