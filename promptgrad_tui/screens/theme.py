"""The app's own theme; Textual's others can be chosen instead."""

from __future__ import annotations

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
