"""HTML and SVG elements as text; every text that isn't an element is escaped."""

from __future__ import annotations

from html import escape
from typing import TypeAlias

from promptgrad_tui.views.sanitize import visible


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "str | Markup | None"

_HTML_VOID = frozenset({"meta", "input"})
_VOID = _HTML_VOID | {"line", "circle", "polyline"}


def element(tag: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """Return an element; `_` in an attribute's name stands for `-`, and a last one is dropped (`class_`).

    Attributes that are None or False are left out. Control and bidirectional characters are shown.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{shown}>" if tag in _HTML_VOID else f"<{tag}{shown}/>")
    return Markup(f"<{tag}{shown}>{join(*content)}</{tag}>")


def join(*content: Content) -> Markup:
    """Return contents one after another, escaped where they are text."""
    return Markup("".join(_inner(part) for part in content if part is not None))


def _inner(content: str | Markup) -> str:
    return str(content) if isinstance(content, Markup) else escape(visible(content), quote=False)


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else f"{value:g}"
    return f' {name}="{escape(visible(text))}"'
