"""The line of each key in a TOML file, which tomllib doesn't report."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence

_TABLE = re.compile(r"\s*(\[{1,2})\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")

Place = tuple[str, ...]


class TomlLines:
    """Line numbers of a TOML text's tables and keys; those of [[a]] are ("a", "0"), ("a", "1") ..."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Place, int] = {}
        table: Place = ()
        in_list: Place | None = None
        counts: Counter[Place] = Counter()
        open_quotes = ""
        for number, line in enumerate(text.splitlines(), 1):
            if open_quotes:
                open_quotes = "" if line.count(open_quotes) % 2 else open_quotes
                continue
            if header := _TABLE.match(line):
                table, in_list = _split(header[2]), None
                self._remember(table, number)
                if header[1] == "[[":
                    in_list = (*table, str(counts[table]))
                    counts[table] += 1
                    self._remember(in_list, number)
            elif key := _KEY.match(line):
                self._remember(table + _split(key[1]), number)
                if in_list is not None:
                    self._remember(in_list + _split(key[1]), number)
            open_quotes = next((quotes for quotes in ('"""', "'''") if line.count(quotes) % 2), "")

    def find(self, place: Sequence[str]) -> int | None:
        """Return the line (from 1) of a key, or of the nearest table around it."""
        for end in range(len(place), 0, -1):
            if (line := self._lines.get(tuple(place[:end]))) is not None:
                return line
        return None

    def _remember(self, place: Place, line: int) -> None:
        for end in range(1, len(place) + 1):
            self._lines.setdefault(place[:end], line)


def _split(dotted: str) -> Place:
    """Return the parts of a dotted key, read as TOML reads them."""
    try:
        nested = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted,)
    parts = []
    while isinstance(nested, dict):
        key, nested = next(iter(nested.items()))
        parts.append(key)
    return tuple(parts)
