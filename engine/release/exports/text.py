"""The prompt as text, for people and for pasting."""

from __future__ import annotations

from engine.release.exports.prompt_template import braced
from engine.release.exports.source import ExportSource, difference_line


def prompt_text(source: ExportSource) -> str:
    """Return every message under its role, with the inputs' names in braces where the inputs go."""
    differs = difference_line(source.differences)
    if not differs:
        return source.prompt
    parts = [differs]
    for template in source.templates.values():
        parts.append(f"=== {template.predictor} ===")
        parts += [f"--- {message.role} ---\n{message.text}" for message in template.head]
        parts.append(f"--- user ---\n{template.request_text(braced(template.inputs))}")
    return "\n\n".join(parts) + "\n"
