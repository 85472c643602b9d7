"""Going from a row or a text to what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from textual.app import App

from promptgrad_tui.screens.widgets.dialogs import Choice, QuestionScreen


@dataclass(frozen=True)
class Link:
    """Where one can go, and how."""

    label: str
    open: Callable[[App[Any]], object]


def ask_where(app: App[Any], links: Sequence[Link]) -> None:
    """Ask which of the links to follow, and follow it."""
    if not links:
        app.notify("Nothing else belongs to this row so far.")
        return

    def follow(value: str | None) -> None:
        if value:
            links[int(value)].open(app)

    choices = [Choice(str(number), link.label, str(number - 1)) for number, link in enumerate(links, 1)]
    app.push_screen(QuestionScreen("Go to what belongs to it", "", choices), follow)
