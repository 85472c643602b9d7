"""The parts of a text to read: headings, paragraphs, facts, and text exactly as it is."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells

from engine.ground.errors import PromptGradError
from promptgrad_tui.views.sanitize import visible, wrap
from promptgrad_tui.views.toned_lines import Line, Tone, line

_ALIGNED_FROM = 48


def heading(text: str) -> list[Line]:
    """Return a heading with the empty line before it."""
    return [(), line(text, "strong")]


def paragraph(text: str, columns: int, tone: Tone = "") -> list[Line]:
    """Return a text for people, wrapped at words and indented by two."""
    return [line(part, tone) for part in wrap(text, columns, "  ")]


def error_lines(error: PromptGradError, columns: int) -> list[Line]:
    """Return what an error says, and what to do about it."""
    hint = [(), *(line(text, "accent") for text in wrap(error.hint, columns))] if error.hint else []
    return [*(line(text) for text in wrap(error.message, columns)), *hint]


def verbatim(text: str, columns: int, tone: Tone = "") -> list[Line]:
    """Return a text exactly as it is, spaces and all, with long lines broken."""
    lines: list[Line] = []
    width = max(columns - 2, 8)
    for row in visible(text).split("\n"):
        lines += [line(f"  {part}", tone) for part in broken(row, width)]
    return lines


def broken(text: str, columns: int) -> list[str]:
    """Return a line as pieces of at most `columns` cells, cut after spaces where there are any."""
    pieces: list[str] = []
    while cell_len(text) > columns:
        piece = chop_cells(text, columns)[0]
        cut = piece.rfind(" ") + 1
        piece = piece[:cut] if cut > columns // 2 else piece
        pieces.append(piece)
        text = text[len(piece) :]
    return [*pieces, text]


def fact(name: str, value: str, columns: int, tone: Tone = "") -> list[Line]:
    """Return a name and a value beside it; where there is little room, the value continues below its name."""
    if columns < _ALIGNED_FROM:
        head = f"  {name}  "
        begin, *more = wrap(value, columns, "    ", head)
        return [((head, "dim"), (begin.removeprefix(head), tone)), *(line(part, tone) for part in more)]
    first, *rest = wrap(value, max(columns - 16, 10))
    return [((f"  {name:<14}", "dim"), (first, tone)), *(line(" " * 16 + part, tone) for part in rest)]
