"""One process at a time works on a run; the operating system frees the lock when the process ends."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.ground.errors import JournalError, RunLockedError

if sys.platform == "win32":
    import msvcrt

    # Windows keeps others from reading locked bytes: lock one beyond the text that names the holder.
    _LOCKED_BYTE = 1 << 20

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_locked(descriptor: int) -> bool:
        return not _try_lock(descriptor)

elif sys.platform == "linux":
    import fcntl
    import struct

    # A lock on an open file, like `flock`, except that others can test it without taking it.
    _FLOCK = struct.Struct("hhqqi")
    _ALL_OF_IT = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _ALL_OF_IT)
        except BlockingIOError:
            return False
        return True

    def _is_locked(descriptor: int) -> bool:
        holder = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _ALL_OF_IT)
        return bool(_FLOCK.unpack(holder)[0] != fcntl.F_UNLCK)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_locked(descriptor: int) -> bool:
        return not _try_lock(descriptor)


# On some systems, testing the lock takes it for microseconds; a worker must not give up because of that.
# Tries are counted, not seconds: on a busy machine the tester may wait long for the processor.
_TRIES = 25
_SECONDS_BETWEEN_TRIES = 0.02


@contextmanager
def exclusive(path: Path, run: str) -> Iterator[None]:
    """Hold the lock file at `path` for one run; the operating system frees it if the process dies.

    Raises:
        RunLockedError: another process holds it; the message says which one, and since when.
        JournalError: the lock file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise JournalError(
            f"{path}: {error.strerror}.", hint="Make the folder writable for this user."
        ) from error
    try:
        for _ in range(_TRIES):
            if _try_lock(descriptor):
                break
            time.sleep(_SECONDS_BETWEEN_TRIES)
        else:
            raise _locked(path, run)
        _sign(descriptor)
        yield
    finally:
        # Closing frees the lock. The file stays: deleting it would race with the next process.
        os.close(descriptor)


def _sign(descriptor: int) -> None:
    # On a full disk the lock still holds; only its holder isn't named.
    with suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "since": time.time()}).encode())


def is_held(path: Path) -> bool:
    """Whether a live process holds the lock file at `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    except OSError:
        return False
    try:
        return _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path, run: str) -> RunLockedError:
    holder = _holder(path)
    who = f"process {holder['pid']}" if "pid" in holder else "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"])) if "since" in holder else ""
    return RunLockedError(
        f"{who[0].upper()}{who[1:]} works on run {run}{f' since {since}' if since else ''}.",
        hint="Wait for it to finish. `promptgrad` in the project's folder shows the run and can stop it.",
    )


def _holder(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        holder = json.loads(path.read_text())
        if isinstance(holder, dict):
            return holder
    return {}
