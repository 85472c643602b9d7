"""A bell and a notice of the desktop, for a person who looks at another window."""

from __future__ import annotations

from typing import Any

from textual.app import App

from promptgrad_tui.views.sanitize import one_line

_NOTICE = "\x1b]9;{text}\x07"
"""OSC 9: iTerm2, kitty, WezTerm, Windows Terminal, foot and others show it; the rest ignore it."""


def call_for_attention(app: App[Any], text: str) -> None:
    """Ring the terminal's bell, and let the desktop say a text where it can."""
    app.bell()
    if app._driver is not None and not app.is_headless:
        app._driver.write(_NOTICE.format(text=one_line(text)))
        app._driver.flush()
