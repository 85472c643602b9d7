"""Text of models and data made safe for a terminal: control characters are shown, not obeyed."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from rich.cells import cell_len, chop_cells, set_cell_size

_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
"""Part of how Persian and Hindi are written; they can't reorder or hide anything."""
_JOINED_EMOJI = re.compile(
    "(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d|\ufe0f|[\U0001f3fb-\U0001f3ff](?<=[^\\s].)"
)
"""What joins emoji, makes a sign one, or gives it a skin."""


def one_line(text: str) -> str:
    """Return `text` on one line: breaks and tabs become spaces, acting characters are shown."""
    return visible(" ".join(text.split()))


def shown_path(path: str) -> str:
    """Return a path, relative to the current folder if it is inside it."""
    try:
        return one_line(str(Path(path).relative_to(Path.cwd())))
    except ValueError:
        return one_line(path)


def folder_option(project: Path) -> str:
    """Return the option that leads a command from the current folder to a project; nothing inside it."""
    return "" if project.resolve() == Path.cwd() else f"-C {shlex.quote(shown_path(str(project)))} "


def visible(text: str) -> str:
    """Return `text` with control, bidi and other invisible characters shown; line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, _apart(text.replace("\r\n", "\n").expandtabs(4))))


def _apart(text: str) -> str:
    """Return `text` with emoji that are joined from several shown one by one.

    Terminals disagree on how wide a joined one is: lines that hold one would end at another column.
    """
    return _JOINED_EMOJI.sub("", text) if _JOINED_EMOJI.search(text) else text


def _shown(character: str) -> str:
    if character == "\n" or character in _JOINERS or unicodedata.category(character) not in _ACTING:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def fit(text: str, columns: int) -> str:
    """Return `text` on one line of at most `columns` terminal cells, cut with an ellipsis."""
    line = visible(text).replace("\n", " ")
    if cell_len(line) <= columns:
        return line
    return set_cell_size(line, columns - 1).rstrip() + "\u2026" if columns > 0 else ""


def pad(text: str, columns: int) -> str:
    """Return `text` cut or filled with spaces to exactly `columns` terminal cells."""
    return set_cell_size(fit(text, columns), columns)


def wrap(text: str, columns: int, indent: str = "", first: str | None = None) -> list[str]:
    """Return `text` as lines of at most `columns` terminal cells, each beginning with `indent`.

    `first` begins the first line instead. Words wider than a line are broken; line breaks stay.
    """
    lines: list[str] = []
    start = indent if first is None else first
    for paragraph in visible(text).split("\n"):
        line, is_empty = start, True
        for word in _words(paragraph, max(columns - cell_len(indent), 1)):
            gap = "" if is_empty else " "
            if cell_len(line) + len(gap) + cell_len(word) > columns and line.strip():
                lines.append(line.rstrip())
                line, gap = indent, ""
            line, is_empty = f"{line}{gap}{word}", False
        lines.append(line.rstrip() if is_empty else line)
        start = indent
    return lines


def packed(parts: Iterable[str], columns: int, indent: str = "") -> list[str]:
    """Return the parts that aren't empty on as few lines as they fit, two spaces apart; none is broken."""
    lines: list[str] = []
    for part in filter(None, parts):
        if lines and cell_len(lines[-1]) + 2 + cell_len(part) <= columns:
            lines[-1] += f"  {part}"
        else:
            lines.append(indent + part)
    return lines


def _words(paragraph: str, columns: int) -> list[str]:
    return [
        piece
        for word in paragraph.split()
        for piece in ([word] if cell_len(word) <= columns else chop_cells(word, columns))
    ]
