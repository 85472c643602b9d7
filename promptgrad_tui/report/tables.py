"""Tables whose rows and columns have headings, and that scroll sideways where they don't fit."""

from __future__ import annotations

from collections.abc import Sequence

from promptgrad_tui.report.elements import Content, Markup, element


def table(
    caption: str,
    columns: Sequence[str],
    cells: Sequence[Sequence[Content]],
    *,
    rows: Sequence[Markup] = (),
    name: str | None = None,
) -> Markup:
    """Return a table whose first column names its rows."""
    head = element("tr", *(_column(column) for column in columns))
    made = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
        for row in cells
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *made, *rows),
        id=name,
    )
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _column(name: str) -> Markup:
    return element("th", name, scope="col") if name else element("td")
