"""An analysis as far as it is written: what can be read of an answer before it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json


@dataclass(frozen=True)
class PartialAnalysis:
    """The fields that have begun; `raw` is the text if that isn't JSON, such as a model's reasoning."""

    analysis: str = ""
    rules: tuple[str, ...] = ()
    raw: str = ""

    @property
    def text(self) -> str:
        """All of it on one line, in the order in which it is written."""
        return self.raw or "  + ".join([self.analysis, *self.rules])


def read_partial(text: str) -> PartialAnalysis:
    """Return what an answer says so far."""
    # A model's reasoning may precede its answer, and contain braces too.
    start = max(text.find("{"), text.rfind("\n\n{"))
    try:
        found = from_json(text[start:], allow_partial="trailing-strings") if start >= 0 else None
    except ValueError:
        found = None
    if not found or not isinstance(found, dict):
        return PartialAnalysis(raw=text)
    return PartialAnalysis(_string(found.get("analysis")), tuple(_rules(found.get("add"))))


def _rules(found: Any) -> list[str]:
    proposals = found if isinstance(found, list) else []
    return [text for rule in proposals if isinstance(rule, dict) and (text := _string(rule.get("text")))]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
