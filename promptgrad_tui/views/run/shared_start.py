"""The words with which the rules of a run begin: left out where there is little room for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import takewhile

from rich.cells import cell_len

from promptgrad_tui.views.toned_lines import ELLIPSIS

_FEWEST = 2


def shared_start(texts: Iterable[str]) -> str:
    """Return the whole words with which half of the texts or more begin, and after which more comes.

    A text that comes again, as a rule does that is proposed once more, counts once.
    """
    rows = [text.split() for text in dict.fromkeys(texts)]
    shared: list[str] = []
    while True:
        at = len(shared)
        going_on = Counter(row[at] for row in rows if row[:at] == shared and len(row) > at + 1)
        word, count = going_on.most_common(1)[0] if going_on else ("", 0)
        if count < _FEWEST or count * 2 < len(rows):
            return " ".join(shared)
        shared.append(word)


def telling_part(text: str, start: str, columns: int, beside: int = 0) -> str:
    """Return a text of one line without as much of the shared start as its column has no room for.

    `columns` is the width of its column in cells, 0 if nothing is cut; `beside` is the width of the rest.
    """
    words = text.split(" ")
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(start.split(" "), words[:-1], strict=False))
    most = len(list(alike)) if columns else 0
    shown, left_out = text, 0
    while cell_len(shown) > columns - beside and left_out < most:
        left_out += 1
        shown = ELLIPSIS + " ".join(words[left_out:])
    return shown
