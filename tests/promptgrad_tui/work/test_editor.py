"""The command of a person's editor, here and on Windows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptgrad_tui.work.machine.editor import editor_command

NOTEPAD = r"C:\Program Files\Notepad++\notepad++.exe"


@pytest.mark.parametrize(
    ("system", "wanted", "command"),
    [
        ("posix", "", ["vi", "+7"]),
        ("posix", r"my\ editor -w", ["my editor", "-w"]),
        ("nt", "", ["notepad"]),
        ("nt", f'"{NOTEPAD}" -multiInst', [NOTEPAD, "-multiInst"]),
        ("nt", r"C:\vim\vim.exe -n", [r"C:\vim\vim.exe", "-n", "+7"]),
    ],
)
def test_an_editor_is_started_as_its_system_writes_commands(
    monkeypatch: pytest.MonkeyPatch, system: str, wanted: str, command: list[str]
) -> None:
    file = Path("promptgrad.toml")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", wanted)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", system)
        found = editor_command(file, 7)
    assert found == [*command, str(file)]
