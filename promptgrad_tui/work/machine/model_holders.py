"""Which runs hold a model now, in the projects that this user has opened recently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from engine.ground.errors import PromptGradError
from engine.journal.events import RunStarted
from engine.journal.journal import Journal, journal_path
from models.uri import GGUFUri, parse_uri
from promptgrad_tui.views.models import Holder


def holders(folders: Iterable[Path]) -> list[Holder]:
    """Return the models of all runs in progress in some projects; none of a journal that can't be read."""
    found: list[Holder] = []
    for folder in dict.fromkeys(path.resolve() for path in folders):
        if journal_path(folder).is_file():
            with suppress(PromptGradError):
                found += _of_project(folder)
    return found


def plain_uri(uri: str, folder: Path) -> str:
    """Return a URI that names a model independently of the folder: a file's path is absolute, without links.

    Raises:
        ModelUriError: the URI can't be read.
    """
    target = parse_uri(uri, folder)
    return f"gguf:{target.path.resolve()}" if isinstance(target, GGUFUri) else uri.strip()


def stop(holder: Holder) -> None:
    """Ask a run to stop; it ends within seconds and can be resumed.

    Raises:
        JournalError: the project's journal can't be written.
    """
    with Journal.open(journal_path(Path(holder.project))) as journal:
        journal.send_command(holder.run, "stop")


def _of_project(folder: Path) -> Iterator[Holder]:
    with Journal.open(journal_path(folder), read_only=True) as journal:
        running = {record.id for record in journal.runs() if record.status == "running"}
        for run, event in journal.events_of_all_runs(RunStarted) if running else ():
            if run in running:
                used = dict.fromkeys((event.model.uri, event.reflection.uri))
                yield from (Holder(str(folder), run, plain_uri(uri, folder)) for uri in used)
