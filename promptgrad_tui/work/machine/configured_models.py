"""The models that a project's file names, even if the rest of the file isn't valid yet."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

from engine.project import PROJECT_FILE


def configured_models(folder: Path) -> list[str]:
    """Return the URIs under [model] of the project in a folder; none if its file can't be read."""
    with suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        section = tomllib.loads((folder / PROJECT_FILE).read_text(encoding="utf-8")).get("model")
        if isinstance(section, dict):
            named = [section.get("task"), section.get("reflection"), section.get("judge")]
            return [uri for uri in dict.fromkeys(named) if isinstance(uri, str) and uri not in ("", "same")]
    return []
