"""Takes what llama.cpp prints, so that nothing native ever reaches the terminal."""

from __future__ import annotations

import ctypes
import logging
import threading
from pathlib import Path

import llama_cpp.llama_cpp as llama

LOGGER = logging.getLogger("promptgrad.llama_cpp")

_LEVELS = {1: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_line = threading.local()


def _write(level: int, text: bytes, _data: int | None) -> None:
    """Collect llama.cpp's fragments and log them as whole lines."""
    _line.text = getattr(_line, "text", "") + text.decode("utf-8", "replace")
    if _line.text.endswith("\n"):
        line, _line.text = _line.text.rstrip(), ""
        if line:
            LOGGER.log(_LEVELS.get(level, logging.INFO), "%s", line)


_callback = llama.llama_log_callback(_write)


def install() -> None:
    """Send llama.cpp's messages to the logger `promptgrad.llama_cpp`, which is silent by itself."""
    if not LOGGER.handlers:
        LOGGER.addHandler(logging.NullHandler())
        LOGGER.propagate = False
    llama.llama_log_set(_callback, ctypes.c_void_p(0))


def open_log(path: Path) -> logging.Handler:
    """Append llama.cpp's messages to a file until `close_log`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s llama.cpp %(levelname)s %(message)s"))
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Stop writing to a file that `open_log` opened."""
    LOGGER.removeHandler(handler)
    handler.close()
