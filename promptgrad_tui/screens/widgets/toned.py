"""Widgets that draw lines of toned text: models' answers and data never meet a markup parser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.views.text_blocks import error_lines
from promptgrad_tui.views.toned_lines import BLANK, Line, fitted, plain

Painter: TypeAlias = Callable[[int, int], Sequence[Line]]
"""Returns the lines for a width and a height in terminal cells."""


class TonedView(ScrollView):
    """A widget that draws lines; what a tone looks like comes from the style sheet."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("tone--good", "tone--bad", "tone--warn", "tone--dim", "tone--accent", "tone--strong"),
        *("line--heading", "line--cursor", "line--cursor-blurred", "line--match"),
    }
    ALLOW_SELECT = False

    def notify_style_update(self) -> None:
        """Forget the colours of the theme before."""
        super().notify_style_update()
        self.__dict__.pop("_styles", None)

    def strip(self, runs: Line, width: int, kind: str = "") -> Strip:
        """Return a line as a strip of exactly `width` cells; `kind` names a component class."""
        parts = fitted(runs, width)
        return Strip([Segment(text, self._tone(tone, kind)) for text, tone in parts if text], width)

    def _tone(self, tone: str, kind: str) -> Style:
        styles = self.__dict__.setdefault("_styles", {})
        style: Style | None = styles.get((tone, kind))
        if style is None:
            style = styles[tone, kind] = self._mixed(tone, kind)
        return style

    def _mixed(self, tone: str, kind: str) -> Style:
        """Return a tone on a kind of line; colours that let others shine through are blended here."""
        background = self.background_colors[1]
        colour, bold, underline = self.styles.color, False, False
        for name in (f"line--{kind}" if kind else "", f"tone--{tone}" if tone else ""):
            if not name:
                continue
            part = self.get_component_styles(name)
            if part.has_rule("background"):
                background = background + part.background
            if part.has_rule("color"):
                colour = part.color
            bold = bold or bool(part.text_style.bold)
            underline = underline or bool(part.text_style.underline)
        foreground = background + (self.colors[3] if colour.a == 0 else colour)
        return Style(
            color=foreground.rich_color, bgcolor=background.rich_color, bold=bold, underline=underline
        )

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Put a new scrollbar where the view is: Textual only informs it of later moves."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    @property
    def inner_size(self) -> Size:
        """The size of what can be drawn, in cells."""
        return self.scrollable_content_region.size


class LinesView(TonedView):
    """Lines that fill the widget and are painted again whenever it is refreshed."""

    def __init__(self, paint: Painter, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._paint = paint
        self._painted: tuple[Size, Sequence[Line]] | None = None

    def repaint(self) -> None:
        """Paint again."""
        self._painted = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        size = self.inner_size
        if self._painted is None or self._painted[0] != size:
            self._painted = (size, self._paint(size.width, size.height))
        lines = self._painted[1]
        return self.strip(lines[y] if y < len(lines) else BLANK, size.width)


class TextView(TonedView, can_focus=True):
    """A text to scroll and search; its lines are made for the widget's width."""

    BINDINGS = bindings("text")
    ALLOW_SELECT = True

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._make: Callable[[int], list[Line]] = lambda _width: []
        self._lines: list[Line] = []
        self._match = -1

    def show(self, make: Callable[[int], list[Line]], *, keep_place: bool = False) -> None:
        """Show the lines that `make` returns for a width in cells.

        To `keep_place` of a text that grows is to stay at its end too, where its end was looked at.
        """
        self._make = make
        is_at_end = 0 < self.max_scroll_y <= self.scroll_y
        self._wrap()
        if not keep_place:
            self._match = -1
            self.scroll_to(y=0, animate=False, force=True)
        elif is_at_end:
            self.scroll_end(animate=False, force=True)

    @property
    def text(self) -> str:
        """All of the text."""
        return "\n".join(plain(runs).rstrip() for runs in self._lines)

    def way_back(self) -> Callable[[], None]:
        """Return what goes back to where a person is now."""
        match, top = self._match, round(self.scroll_y)

        def go_back() -> None:
            self._match = match
            self.scroll_to(y=top, animate=False, force=True)
            self.refresh()

        return go_back

    def jump(self, text: str) -> bool:
        """Scroll to the line with that number, from 1."""
        if not text.isdigit() or not 1 <= int(text) <= len(self._lines):
            return False
        self.scroll_to(y=int(text) - 1, animate=False, force=True)
        return True

    def find(self, text: str, *, backwards: bool = False) -> bool:
        """Scroll to the next line that holds `text`, in any case; False if there is none."""
        wanted, count = text.casefold(), len(self._lines)
        start = self._match if self._match >= 0 else round(self.scroll_y) - 1
        for step in range(1, count + 1):
            row = (start + (-step if backwards else step)) % count
            if wanted in plain(self._lines[row]).casefold():
                self._match = row
                self.scroll_to(y=max(row - self.inner_size.height // 3, 0), animate=False, force=True)
                self.refresh()
                return True
        return False

    def on_resize(self) -> None:
        self._wrap()

    def _wrap(self) -> None:
        width = self.inner_size.width
        if width > 0:
            try:
                self._lines = self._make(width)
            except PromptGradError as error:
                # Textual ends a widget after any exception; what can't be read now may be later.
                self._lines = error_lines(error, width)
            self.virtual_size = Size(width, len(self._lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        row = y + round(self.scroll_y)
        runs = self._lines[row] if row < len(self._lines) else BLANK
        strip = self.strip(runs, self.inner_size.width, "match" if row == self._match else "")
        return self._selected(strip, row, plain(runs)).apply_offsets(0, row)

    def _selected(self, strip: Strip, row: int, text: str) -> Strip:
        """Show what the mouse has selected in a line."""
        span = self.text_selection.get_span(row) if self.text_selection is not None else None
        if span is None:
            return strip
        first, last = span
        start = cell_len(text[:first])
        end = strip.cell_length if last == -1 else cell_len(text[:last])
        style = self.screen.get_component_rich_style("screen--selection")
        # The segments have colours of their own: the selection's come over them.
        selected = Strip(Segment.apply_style(strip.crop(start, end), post_style=style))
        return Strip.join([strip.crop(0, start), selected, strip.crop(end)])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text that the mouse has selected."""
        return selection.extract(self.text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Draw the selection."""
        self.refresh()

    def action_up(self) -> None:
        self.scroll_relative(y=-1, animate=False)

    def action_down(self) -> None:
        self.scroll_relative(y=1, animate=False)

    def action_page_up(self) -> None:
        self.scroll_relative(y=2 - self.size.height, animate=False)

    def action_page_down(self) -> None:
        self.scroll_relative(y=self.size.height - 2, animate=False)

    def action_first(self) -> None:
        self.scroll_to(y=0, animate=False)

    def action_last(self) -> None:
        self.scroll_to(y=self.virtual_size.height, animate=False)
