"""A table that draws only the rows on screen, from records that stay where they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.widgets.toned import TonedView
from promptgrad_tui.views.toned_lines import BLANK, CURSOR, Line, Tone, fitted, line, plain

T = TypeVar("T")
_Drawn: TypeAlias = tuple[Line, int, str]
"""A line of the screen: its text, its width, and its kind."""

NUMBER = "#"
"""The title of a first column that shows the number of each row."""
_GAP = 2
_UP, _DOWN = "\u25b4", "\u25be"
_MOST_SORTED = 5_000
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_MARKS = {"cursor": CURSOR, "cursor-blurred": "\u25b9"}


@dataclass(frozen=True)
class Column:
    """A column: `width` cells wide, or with a `share` of what the others leave.

    Below a table width of `from_width` cells the column isn't shown.
    """

    title: str
    width: int = 0
    share: int = 0
    right: bool = False
    from_width: int = 0


class RowTable(TonedView, Generic[T], can_focus=True):
    """Rows of records under a fixed heading, with a cursor that follows new rows while it is on the last.

    `paint` turns a record into one line for each column; it is asked only for rows on screen, so a
    table of 100,000 records costs no more than one of twenty. `same` returns what tells a record from the
    others, also when it is read again; without it, it is the object. `named_by` is the column with the names
    of the rows: a search looks in the other columns only where no name holds the text.
    """

    BINDINGS = bindings("table")

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: RowTable[Any]) -> None:
            super().__init__()
            self.table = table
            self.row: Any = table.current

        @property
        def control(self) -> RowTable[Any]:
            """The table."""
            return self.table

    class Opened(Moved):
        """A person opened the row under the cursor."""

    def __init__(
        self,
        columns: Sequence[Column],
        paint: Callable[[T, Sequence[int]], Sequence[Line]],
        *,
        empty: str,
        follow: bool = True,
        sortable: bool = True,
        same: Callable[[T], object] = id,
        named_by: int | None = None,
        id: str | None = None,  # noqa: A002 - Textual's name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = columns
        self._paint = paint
        self.empty = empty
        self._follow = follow
        self._sortable = sortable
        self._same = same
        self._named_by = named_by
        self._rows: Sequence[T] = ()
        self._given: Sequence[T] = ()
        self._sort: tuple[int, bool] | None = None
        self._count = 0
        self._cursor = 0
        self._widths: tuple[int, list[int]] = (-1, [])
        self._drawn: dict[int, _Drawn] = {}

    def show(self, rows: Sequence[T], *, cursor: int | None = None) -> None:
        """Draw `rows`, which may be the same list as before with other content or more of it.

        The cursor stays on its record, unless it goes to the row with the number `cursor`.
        """
        # It may be the same list as before, grown in place, so its earlier length was kept.
        before, self._count = self._count, len(rows)
        if bool(before) != bool(rows):
            self.refresh_bindings()
        was_last = self._cursor >= before - 1
        current = self.current if cursor is None else next(iter(rows[cursor : cursor + 1]), None)
        if cursor is None and self._sort is None and self._follow and was_last and len(rows) != before:
            current = rows[-1] if rows else None
        self._given = rows
        self._put(current)

    def place_of(self, row: T | None) -> int | None:
        """Return the number of the row with a record, from 0; None where it isn't in the table."""
        if row is None:
            return None
        wanted, here = self._same(row), self.current
        if here is not None and self._same(here) == wanted:
            return self._cursor
        return next((number for number, other in enumerate(self._rows) if self._same(other) == wanted), None)

    def _put(self, current: T | None) -> None:
        """Put the rows into the chosen order, and the cursor on a record, where that is still there."""
        self._rows = self._sorted(self._given)
        size = Size(self.size.width, len(self._rows) + 1)
        if self.virtual_size != size:
            self.virtual_size = size
        place = self.place_of(current)
        self._move(self._cursor if place is None else place)
        self._draw_changed()

    def _sorted(self, rows: Sequence[T]) -> Sequence[T]:
        if self._sort is None:
            return rows
        column, is_backwards = self._sort
        return sorted(rows, key=lambda row: self._key(row, column), reverse=is_backwards)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide the keys that don't apply to rows whose order says something."""
        if action == "open":
            return self._count > 0
        return self._sortable if action == "sort" else True

    def action_sort(self, step: int) -> None:
        """Sort by the next column that is shown, or by none again; a step of 0 turns the order round."""
        if len(self._given) > _MOST_SORTED:
            self.notify(f"Tables of more than {_MOST_SORTED:,} rows can't be sorted.", severity="warning")
            return
        widths = self._column_widths(self.inner_size.width)
        shown = [number for number, width in enumerate(widths) if width]
        if step == 0:
            self._sort = (self._sort[0], not self._sort[1]) if self._sort else (shown[0], True)
        else:
            place = shown.index(self._sort[0]) + 1 if self._sort and self._sort[0] in shown else 0
            self._sort = (shown[place], False) if place < len(shown) else None
        self._put(self.current)

    def _key(self, row: T, column: int) -> tuple[int, float, str]:
        """Return what a row is sorted by: a number, else a text; of a change its end; what is empty last."""
        text = plain(self._paint(row, [0] * len(self._columns))[column]).strip()
        numbers = _NUMBER.findall(text)
        if numbers and (text[0] in "+-." or text[0].isdigit()):
            number = numbers[-1] if "\u2192" in text else numbers[0]
            return 0, float(number.replace(",", "")), text
        return (1 if text.strip("-") else 2), 0.0, text.casefold()

    def jump(self, text: str) -> bool:
        """Put the cursor on the row with that number, or the first one with a cell that begins so."""
        # A number that rows show is theirs in any order, also while some of them are hidden.
        shows_number = text.isdigit() and self._columns[0].title == NUMBER
        if text.isdigit() and not shows_number and 1 <= int(text) <= len(self._rows):
            self._move(int(text) - 1)
            return True
        wanted = text.casefold()
        for number, row in enumerate(self._rows):
            cells = [plain(cell).strip().casefold() for cell in self._paint(row, [0] * len(self._columns))]
            begins = any(cell.startswith(wanted) for cell in cells)
            if cells[0].strip("*") == wanted if shows_number else begins:
                self._move(number)
                return True
        return False

    @property
    def rows(self) -> Sequence[T]:
        """The records in their order."""
        return self._rows

    @property
    def cursor(self) -> int:
        """The number of the row under the cursor, from 0."""
        return self._cursor

    @property
    def current(self) -> T | None:
        """The record under the cursor, or None in an empty table."""
        return self._rows[self._cursor] if 0 <= self._cursor < len(self._rows) else None

    def move_to(self, row: int) -> None:
        """Put the cursor on a row."""
        self._move(row)

    def way_back(self) -> Callable[[], None]:
        """Return what goes back to where a person is now."""
        return partial(self._move, self._cursor)

    def find(self, text: str, *, backwards: bool = False) -> bool:
        """Put the cursor on the next row that holds `text`, in any case; False if there is none."""
        wanted, count = text.casefold(), len(self._rows)
        columns = slice(None)
        if self._named_by is not None:
            names = slice(self._named_by, self._named_by + 1)
            if any(wanted in self.row_text(row, names).casefold() for row in range(count)):
                columns = names
        for step in range(1, count + 1):
            row = (self._cursor + (-step if backwards else step)) % count
            if wanted in self.row_text(row, columns).casefold():
                self._move(row)
                return True
        return False

    def row_text(self, row: int, columns: slice = slice(None)) -> str:
        """Return what a row shows in some columns, without cutting it."""
        cells = self._paint(self._rows[row], [0] * len(self._columns))[columns]
        return "  ".join(text for cell in cells if (text := plain(cell).strip()))

    def _move(self, row: int) -> None:
        row = max(0, min(row, len(self._rows) - 1))
        moved, self._cursor = row != self._cursor, row
        self._reveal()
        if moved:
            self._draw_changed()
            self.post_message(self.Moved(self))

    def _draw_changed(self) -> None:
        """Draw the lines that look otherwise than on the screen: what comes in changes a row or two."""
        width, height = self.inner_size
        changed = [
            Region(0, y, width, 1) for y in range(height) if self._line(y, width) != self._drawn.get(y)
        ]
        if changed:
            self.refresh(*changed)

    def _reveal(self) -> None:
        visible_rows = max(self.inner_size.height - 1, 1)
        top = round(self.scroll_target_y)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= top + visible_rows:
            self.scroll_to(y=self._cursor - visible_rows + 1, animate=False, force=True)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self._reveal()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens the row."""
        place = event.get_content_offset(self)
        if place is None or place.y < 1:
            return
        row = place.y - 1 + round(self.scroll_y)
        if row >= len(self._rows):
            return
        if event.chain == 2:
            self.action_open()
        self._move(row)

    def action_up(self) -> None:
        self._move(self._cursor - 1)

    def action_down(self) -> None:
        self._move(self._cursor + 1)

    def action_page_up(self) -> None:
        self._move(self._cursor - max(self.size.height - 2, 1))

    def action_page_down(self) -> None:
        self._move(self._cursor + max(self.size.height - 2, 1))

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(len(self._rows) - 1)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened(self))

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width = self.inner_size.width
        drawn = self._drawn[y] = self._line(y, width)
        return self.strip(*drawn)

    def _line(self, y: int, width: int) -> _Drawn:
        if y == 0:
            widths = self._column_widths(width)
            titles = [line(self._title(n, widths[n])) for n in range(len(self._columns))]
            return self._arranged(titles, width, " "), width, "heading"
        row = y - 1 + round(self.scroll_y)
        if row < len(self._rows):
            cells = self._paint(self._rows[row], self._column_widths(width))
            kind = self._kind(row)
            return self._arranged(cells, width, _MARKS.get(kind, " ")), width, kind
        return line(f" {self.empty}", "dim") if row == 0 else BLANK, width, ""

    def _title(self, column: int, width: int) -> str:
        """Return a column's title, with a sign where rows are sorted by it; the sign is never cut."""
        title = self._columns[column].title
        if self._sort is None or self._sort[0] != column:
            return title
        return f"{title[: max(width - 1, 0)]}{_DOWN if self._sort[1] else _UP}"

    def _kind(self, row: int) -> str:
        if row != self._cursor:
            return ""
        # One that never takes the focus is the only table of its screen.
        return "cursor" if self.has_focus or not self.can_focus else "cursor-blurred"

    def _arranged(self, cells: Sequence[Line], width: int, mark: str) -> Line:
        runs: list[tuple[str, Tone]] = [(mark, "accent")]
        for column, cell, columns in zip(self._columns, cells, self._column_widths(width), strict=True):
            if columns:
                runs += [*fitted(cell, columns, right=column.right), (" " * _GAP, "")]
        return tuple(runs[:-1])

    def _column_widths(self, width: int) -> list[int]:
        if self._widths[0] != width:
            self._widths = (width, _shared_out(self._columns, width - 2))
        return self._widths[1]


def _shared_out(columns: Sequence[Column], width: int) -> list[int]:
    shown = [column for column in columns if width >= column.from_width]
    fixed = sum(column.width for column in shown)
    left = width - fixed - _GAP * (len(shown) - 1)
    shares = sum(column.share for column in shown) or 1
    return [
        0 if column not in shown else column.width or max(left * column.share // shares, 4)
        for column in columns
    ]
