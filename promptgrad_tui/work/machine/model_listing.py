"""Which models this machine has, and which runs hold them. Nothing is loaded."""

from __future__ import annotations

from pathlib import Path

import psutil

from models.catalog.discovery import find_models
from models.errors import ModelUriError
from promptgrad_tui.views.models import Holder, ListedModels
from promptgrad_tui.work.machine.configured_models import configured_models
from promptgrad_tui.work.machine.model_freeing import known_holders
from promptgrad_tui.work.machine.model_holders import plain_uri


def list_models(project: Path) -> ListedModels:
    """Look around on this machine; nothing is loaded."""
    found = find_models(project, configured_models(project))
    held: dict[str, list[Holder]] = {}
    for holder in known_holders(project):
        held.setdefault(holder.model, []).append(holder)
    memory = psutil.virtual_memory()
    entries = [(model, held.get(_plain(model.uri, project), [])) for model in found]
    return ListedModels(entries, memory.total, memory.available)


def _plain(uri: str, project: Path) -> str:
    try:
        return plain_uri(uri, project)
    except ModelUriError:
        return uri
