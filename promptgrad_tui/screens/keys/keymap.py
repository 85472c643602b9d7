"""A person's own keys: `keys.toml` in the user's configuration folder, action by action."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

from platformdirs import user_config_path

from promptgrad_tui.screens.keys.actions import ACTIONS


def keymap_file() -> Path:
    """Return where a person's keys are."""
    return user_config_path("promptgrad", appauthor=False) / "keys.toml"


def read_keymap(file: Path | None = None) -> dict[str, str]:
    """Return the keys of a file by the names of their actions, as in `"run.pause" = "f5"`.

    Lines that name no action are ignored, and so is a file that can't be read: the app's own keys remain.
    """
    with suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        known = {action.id for action in ACTIONS}
        given = tomllib.loads((file or keymap_file()).read_text(encoding="utf-8"))
        return {name: key for name, key in given.items() if name in known and isinstance(key, str)}
    return {}
