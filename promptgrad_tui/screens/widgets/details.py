"""A screen with one text: everything about a row, to read, search and copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from textual.app import App, ComposeResult
from textual.screen import Screen

from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.links import Link, ask_where
from promptgrad_tui.screens.widgets.table import RowTable
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.sanitize import one_line
from promptgrad_tui.views.toned_lines import Line, line

_REFRESH_SECONDS = 0.3


Detail: TypeAlias = tuple[str, Callable[[int], list[Line]]]
"""A title, and what makes the lines of a text for a width in cells."""


def show_row(
    app: App[Any],
    table: RowTable[Any],
    describe: Callable[[Any], Detail],
    *,
    grows: bool,
    follows: bool = False,
    related: Callable[[Any], list[Link]] | None = None,
) -> None:
    """Show everything about the row under a table's cursor; one may go on to the rows around it.

    One that `grows` and `follows` is opened at its end, and stays there. `related` returns what belongs to
    a row.
    """
    # Remembered here: the table's own cursor goes on to new rows meanwhile.
    place, row = table.cursor, table.current

    def step(rows: int) -> Detail | None:
        nonlocal place, row
        here = table.place_of(row)
        wanted = (place if here is None else here) + rows
        if not 0 <= wanted < len(table.rows):
            return None
        place, row = wanted, table.rows[wanted]
        table.move_to(place)
        return describe(row)

    links = (lambda: related(row)) if related is not None else None
    app.push_screen(DetailScreen(*describe(row), grows=grows, step=step, follows=follows, links=links))


class DetailScreen(Screen[None]):
    """Shows one text under a title; one that `grows` is made again while it is on the screen.

    `step` gives another text that belongs so many rows further, or None where there is none. `links` returns
    what belongs to the text.
    """

    BINDINGS = bindings("detail")

    def __init__(
        self,
        title: str,
        make: Callable[[int], list[Line]],
        *,
        grows: bool = False,
        step: Callable[[int], Detail | None] | None = None,
        follows: bool = False,
        links: Callable[[], list[Link]] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._make = make
        self._grows = grows
        self._step = step
        self._follows = follows
        self._links = links

    def compose(self) -> ComposeResult:
        yield LinesView(lambda *_: [line(f" {one_line(self._title)}", "strong")], classes="title")
        yield TextView()
        yield KeyBar()

    def on_mount(self) -> None:
        view = self.query_one(TextView)
        view.show(self._make)
        view.focus()
        if self._grows and self._follows:
            view.call_after_refresh(view.scroll_end, animate=False)
        if self._grows:
            self.set_interval(_REFRESH_SECONDS, lambda: view.show(self._make, keep_place=True))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action == "related":
            return self._links is not None
        return action != "step" or self._step is not None

    def action_related(self) -> None:
        """Go to what belongs to this text."""
        if self._links is not None:
            ask_where(self.app, self._links())

    def action_step(self, rows: int) -> None:
        found = self._step(rows) if self._step is not None else None
        if found is not None:
            self._title, self._make = found
            self.query_one(LinesView).repaint()
            self.query_one(TextView).show(self._make)
