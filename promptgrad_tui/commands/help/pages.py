"""The documents as help in the terminal: pages by their topic, and words of the glossary."""

from __future__ import annotations

from importlib.resources import files
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from promptgrad_tui.views.glossary import TERMS
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal

TOPICS = {
    "tutorial": "from an empty folder to a released prompt",
    "data": "files of examples, fields, other tools' datasets, labels",
    "models": "where models are found, how they are named, servers, memory",
    "metrics": "how answers are scored",
    "judge": "a model as a judge, measured by your grades",
    "learning": "how rules and demonstrations are learned",
    "methods": "other optimizers, and what makes the base",
    "validation": "how a rule is tested",
    "releasing": "splits, gates, artifacts, serving",
    "exports": "what an artifact becomes for other tools",
    "ci": "runs in continuous integration",
    "programs": "JSON on stdout, exit codes",
    "performance": "what was measured, and how fast it is",
    "keys": "every key of the full screen",
    "glossary": "the words on the screens",
}
"""Each page of the documents with what it is about."""


def topic_lines(terminal: Terminal) -> list[str]:
    """Return what there is help on."""
    return [
        *table_lines(("TOPIC", ""), list(TOPICS.items()), terminal),
        "",
        *wrap(
            "Also: any command, such as `promptgrad help run`, and any word of the glossary.",
            terminal.columns,
            "",
            "",
        ),
    ]


def page_lines(topic: str, terminal: Terminal) -> list[str]:
    """Return a page of the documents, laid out for the terminal; nothing where there is no such page."""
    if topic not in TOPICS:
        return []
    console = Console(file=StringIO(), width=terminal.columns, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(Markdown(_page(topic), hyperlinks=False))
    return [line.rstrip() for line in capture.get().splitlines()]


def word_lines(word: str, terminal: Terminal) -> list[str]:
    """Return what a word of the glossary means; nothing where it isn't in it."""
    found = [term for term in TERMS if term.word.casefold() == word.casefold()]
    return [line for term in found for line in wrap(term.meaning, terminal.columns, "  ", f"{term.word}: ")]


def _page(topic: str) -> str:
    """Return a page's Markdown: in the wheel it lies in the package, in the repository beside it."""
    packaged = files("promptgrad_tui") / "help" / f"{topic}.md"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "docs" / f"{topic}.md").read_text(encoding="utf-8")
