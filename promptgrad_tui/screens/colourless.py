"""What the screen looks like where a person wants no colours: none are sent, greys included."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_BRIGHT = 0.5


class Colourless(LineFilter):
    """Keeps bold and the like; text on a bright background, such as a text cursor, is reversed."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Return segments without colours."""
        return [
            Segment(text, _without_colour(style) if style else None, control)
            for text, style, control in segments
        ]


@lru_cache(1024)
def _without_colour(style: Style) -> Style:
    ground = style.bgcolor
    is_bright = ground is not None and Color.from_rich_color(ground).brightness > _BRIGHT
    return Style(
        bold=style.bold,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=style.reverse or is_bright or None,
        link=style.link,
        meta=style.meta or None,
    )
