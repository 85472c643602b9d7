"""Which models this machine has, and which runs hold them. Nothing is loaded."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

import psutil

from engine.project import PROJECT_FILE
from models.catalog.discovery import find_models
from models.errors import ModelUriError
from promptgrad_tui.views.models import Holder, ListedModels
from promptgrad_tui.work.machine.model_freeing import known_holders
from promptgrad_tui.work.machine.model_holders import plain_uri


def list_models(project: Path) -> ListedModels:
    """Look around on this machine; nothing is loaded."""
    found = find_models(project, _configured(project))
    held: dict[str, list[Holder]] = {}
    for holder in known_holders(project):
        held.setdefault(holder.model, []).append(holder)
    memory = psutil.virtual_memory()
    entries = [(model, held.get(_plain(model.uri, project), [])) for model in found]
    return ListedModels(entries, memory.total, memory.available)


def _configured(folder: Path) -> list[str]:
    """Return the URIs under [model], even if the rest of the project's file isn't valid yet."""
    with suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        section = tomllib.loads((folder / PROJECT_FILE).read_text(encoding="utf-8")).get("model")
        if isinstance(section, dict):
            named = [section.get("task"), section.get("reflection"), section.get("judge")]
            return [uri for uri in dict.fromkeys(named) if isinstance(uri, str) and uri not in ("", "same")]
    return []


def _plain(uri: str, project: Path) -> str:
    try:
        return plain_uri(uri, project)
    except ModelUriError:
        return uri
