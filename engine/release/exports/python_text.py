"""Plain data as Python source, as a person would write it."""

from __future__ import annotations

import json
from typing import Any

_WIDTH = 90


def to_python(value: Any, indent: str = "") -> str:
    """Return source that evaluates to `value`: dictionaries, lists, texts, numbers, booleans, None."""
    if isinstance(value, str):
        return _text(value, indent)
    if not isinstance(value, dict | list):
        return repr(value)
    deeper = f"{indent}    "
    if isinstance(value, dict):
        items = [f"{to_python(key)}: {to_python(value[key], deeper)}" for key in value]
        start, end = "{", "}"
    else:
        items = [to_python(item, deeper) for item in value]
        start, end = "[", "]"
    line = f"{start}{', '.join(items)}{end}"
    if len(indent) + len(line) <= _WIDTH and "\n" not in line:
        return line
    return "\n".join((start, *(f"{deeper}{item}," for item in items), f"{indent}{end}"))


def _text(text: str, indent: str) -> str:
    """Return a text's literal; several lines become a literal per line, in parentheses."""
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        return _literal(text)
    deeper = f"{indent}    "
    return "\n".join(("(", *(f"{deeper}{_literal(line)}" for line in lines), f"{indent})"))


def _literal(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if text.isprintable() or text.rstrip("\n").isprintable() else ascii(text)
