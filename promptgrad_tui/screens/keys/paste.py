"""What is pasted, without what would act on the terminal: an escape in it confuses Textual's reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual._xterm_parser import XTermParser
from textual.message import Message

_BEGIN, _END = "\x1b[200~", "\x1b[201~"
_ESCAPE_SHOWN = "\u241b"


class PasteParser(XTermParser):
    """Reads keys as Textual does; an escape within a paste is a character of it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_pasting = False
        self._held_back = ""

    def feed(self, data: str) -> Iterable[Message]:
        """Take in what the terminal sent."""
        return super().feed("".join(self._with_escapes_shown(self._whole(data))))

    def _whole(self, data: str) -> str:
        """Return what came, without the beginning of an end that is still to come whole."""
        data, self._held_back = self._held_back + data, ""
        if self._is_pasting or _BEGIN in data:
            cut = next((n for n in range(len(_END) - 1, 0, -1) if data.endswith(_END[:n])), 0)
            if cut:
                data, self._held_back = data[:-cut], data[-cut:]
        return data

    def _with_escapes_shown(self, data: str) -> Iterable[str]:
        while data:
            mark = _END if self._is_pasting else _BEGIN
            text, found, data = data.partition(mark)
            yield text.replace("\x1b", _ESCAPE_SHOWN) if self._is_pasting else text
            yield found
            self._is_pasting ^= bool(found)


def install() -> None:
    """Let the drivers of this system read pastes this way."""
    try:
        from textual.drivers import linux_driver
    except ImportError:  # Windows reports pastes differently
        return
    vars(linux_driver)["XTermParser"] = PasteParser
