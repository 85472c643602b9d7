"""The page about models keeps up with the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_every_variable_that_the_code_reads_is_on_the_page() -> None:
    read = set()
    for folder in ("promptgrad_tui", "engine", "models"):
        for file in (ROOT / folder).rglob("*.py"):
            if "training" not in file.parts:
                read |= set(
                    re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", file.read_text(encoding="utf-8"))
                )
    assert {"PROMPTGRAD_MODELS", "OLLAMA_HOST", "HF_ENDPOINT"} <= read
    assert {name for name in read if f"`{name}`" not in PAGE} == set()


def test_every_subcommand_is_on_the_page() -> None:
    from promptgrad_tui.commands.models.group import models_command

    assert {name for name in models_command.commands if f"promptgrad models {name}" not in PAGE} == set()
