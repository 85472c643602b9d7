"""`promptgrad models free`: takes models out of memory; deletes nothing."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import PromptGradError
from models.ollama.api import OllamaApi
from models.uri import OllamaUri, OpenAIUri, parse_uri
from promptgrad_tui.views.models import Freed, Holder
from promptgrad_tui.work.machine.model_holders import holders, plain_uri, stop
from promptgrad_tui.work.machine.recent import RecentProjects


def free_model(uri: str, project: Path, *, stops_runs: bool) -> Freed:
    """Take a model out of memory, as far as possible.

    Raises:
        ModelUriError: the URI can't be read.
        ServerError: the Ollama server can't be reached.
        PromptGradError: the model belongs to a server that can't unload it.
        JournalError: a run can't be asked to stop.
    """
    target = parse_uri(uri, project)
    if isinstance(target, OpenAIUri):
        raise PromptGradError(
            f"{', '.join(target.endpoints)} has no way to unload a model.",
            hint="Unload it in LM Studio, or stop the server.",
        )
    if isinstance(target, OllamaUri):
        return _unload(uri, target.name)
    plain = plain_uri(uri, project)
    held = tuple(holder for holder in known_holders(project) if holder.model == plain)
    if not held:
        return Freed(uri, "not loaded")
    for holder in held if stops_runs else ():
        stop(holder)
    return Freed(uri, "stopping" if stops_runs else "held", held)


def known_holders(project: Path) -> list[Holder]:
    """Return which runs hold models, in this project and in projects opened recently."""
    return holders([project, *RecentProjects.of_user().folders()])


def _unload(uri: str, name: str) -> Freed:
    with OllamaApi() as api:
        if api.loaded(name) is None:
            return Freed(uri, "not loaded")
        api.unload(name)
    return Freed(uri, "unloaded")
