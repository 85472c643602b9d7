"""The projects that were opened recently, for the start page: only paths, in the user's state folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from engine.project import PROJECT_FILE

_MOST = 20


@dataclass(frozen=True)
class RecentProjects:
    """A file with the folders of recent projects, the latest first."""

    file: Path

    @classmethod
    def of_user(cls) -> RecentProjects:
        """Return the user's own."""
        return cls(user_state_path("promptgrad", appauthor=False) / "recent.json")

    def folders(self) -> list[Path]:
        """Return the folders that still hold a project."""
        with suppress(OSError, ValueError):
            listed = json.loads(self.file.read_text(encoding="utf-8"))
            if isinstance(listed, list):
                folders = [Path(name) for name in listed if isinstance(name, str)]
                return [folder for folder in folders if (folder / PROJECT_FILE).is_file()]
        return []

    def remember(self, folder: Path) -> None:
        """Put a folder first; if the state folder can't be written, nothing happens."""
        known: Sequence[Path] = [other for other in self.folders() if other != folder]
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            names = [str(path) for path in (folder, *known)][:_MOST]
            self.file.write_text(json.dumps(names), encoding="utf-8")
