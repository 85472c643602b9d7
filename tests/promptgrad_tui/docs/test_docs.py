"""Every command that the documentation shows is one that there is, with the options that it has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from promptgrad_tui.cli import promptgrad

ROOT = Path(__file__).parents[3]
PAGES = ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/*.md")))]
_SHOWN = re.compile(r"^\$? *(promptgrad (?:[^\n\\]|\\\n)*)|`(promptgrad [^`]+)`", re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """The words of each command that a page shows, in a block or between backticks."""
    text = (ROOT / page).read_text()
    shown = [block or span for block, span in _SHOWN.findall(text)]
    return [shlex.split(line.replace("\\\n", " ").replace("\n", " "), comments=True)[1:] for line in shown]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_shown_exists(page: str) -> None:
    for words in commands(page):
        command: click.Command = promptgrad
        known = {option for parameter in command.params for option in parameter.opts} | {
            "--help",
            "--version",
        }
        for word in words:
            if isinstance(command, click.Group) and word in command.commands:
                command = command.commands[word]
                known |= {option for parameter in command.params for option in parameter.opts}
            elif word.startswith("-") and not word.strip("-").isdigit():
                assert word.partition("=")[0] in known, f"{page}: promptgrad {' '.join(words)}"
        named = [word for word in words if re.fullmatch(r"[a-z]+", word)]
        assert not named or command is not promptgrad, f"{page}: promptgrad {' '.join(words)}"


def test_the_pages_show_commands() -> None:
    assert len(commands("docs/releasing.md")) > 15
    assert ["ci"] in commands("docs/ci.md")
