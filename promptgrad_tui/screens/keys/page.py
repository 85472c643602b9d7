"""The documentation's page of keys; `python -m promptgrad_tui.screens.keys.page` prints it."""

from __future__ import annotations

import sys

from promptgrad_tui.screens.keys.actions import ACTIONS, SCOPES, Action


def keys_page() -> str:
    """Return the documentation's page of keys, as Markdown."""
    lines = [
        "# Keys",
        "",
        "`?` (`f1` while you type) shows the keys that are valid now; `ctrl+p` finds any action by name.",
        "",
        "Other keys go into `keys.toml` in the folder `~/.config/promptgrad` (macOS: `~/Library/Application "
        'Support/promptgrad`), one line each: `"run.pause" = "f5"`.',
        "",
    ]
    for scope, title in SCOPES.items():
        rows = [action for action in ACTIONS if action.scope == scope]
        if rows:
            lines += [f"## {title}", "", "| Key | Action | Name in a keymap |", "|---|---|---|"]
            lines += [f"| {_keys_cell(action)} | {action.help} | `{action.id}` |" for action in rows]
            lines.append("")
    return "\n".join(lines)


def _keys_cell(action: Action) -> str:
    return " ".join(f"`{key}`" for key in action.shown.split())


if __name__ == "__main__":
    sys.stdout.write(keys_page())
