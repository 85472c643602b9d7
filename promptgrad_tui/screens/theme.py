"""The app's own theme; Textual's others can be chosen instead."""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path
from textual.theme import Theme

THEME = Theme(
    name="promptgrad",
    primary="#5b8def",
    secondary="#8a7bdc",
    accent="#4fc1c9",
    success="#7bc67e",
    warning="#e5b567",
    error="#e5707a",
    foreground="#d8dee4",
    background="#11151a",
    surface="#191f26",
    panel="#222a33",
    dark=True,
    variables={"footer-key-foreground": "#4fc1c9"},
)


def remembered_theme(available: Container[str]) -> str:
    """Return the theme that a person chose last, if it is among the available ones, else the app's own."""
    with suppress(OSError, UnicodeDecodeError):
        if (name := _file().read_text(encoding="utf-8").strip()) in available:
            return name
    return THEME.name


def remember_theme(theme: Theme) -> None:
    """Keep the theme for the next time; a file that can't be written hurts nobody."""
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(theme.name, encoding="utf-8")


def _file() -> Path:
    return user_state_path("promptgrad", appauthor=False) / "theme"
