"""Things a person should know about a project before a run, though none of them prevents it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caution:
    """A sentence, and the dotted key of the project file that it is about."""

    text: str
    field: str
