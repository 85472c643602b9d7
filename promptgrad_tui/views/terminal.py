"""The stream for a person's lines: its width, and whether it shows colours."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import click

from promptgrad_tui.views.toned_lines import Line, Tone, plain

ERASE_LINE = "\r\x1b[K"

_kept: TextIO | None = None

_COLOURS: Mapping[Tone, str] = {"good": "green", "bad": "red", "warn": "yellow", "accent": "cyan"}
_WIDEST = 100
_PLAIN_WIDTH = 80


@contextmanager
def keeping_stdout() -> Iterator[None]:
    """Keep stdout for what a command answers: what a project's own Python prints goes to stderr."""
    global _kept
    before, kept_before = sys.stdout, _kept
    _kept, sys.stdout = _kept or sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, _kept = before, kept_before


@dataclass(frozen=True)
class Terminal:
    """A stream with what it can show: colours, a line that is rewritten in place, `columns` cells."""

    stream: TextIO
    is_interactive: bool
    has_colour: bool
    columns: int

    @classmethod
    def of(cls, stream: TextIO) -> Terminal:
        """Look at a stream and at NO_COLOR, FORCE_COLOR and TERM."""
        is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        has_colour = (is_terminal or bool(os.environ.get("FORCE_COLOR"))) and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns if is_terminal else _PLAIN_WIDTH
        return cls(stream, is_terminal, has_colour, max(20, min(columns, _WIDEST)))

    @classmethod
    def stdout(cls) -> Terminal:
        """Return the terminal for answers to a command, also while `keeping_stdout`."""
        return cls.of(_kept or sys.stdout)

    @classmethod
    def stderr(cls) -> Terminal:
        """Return the terminal for progress and errors."""
        return cls.of(sys.stderr)

    def style(self, text: str, **styles: Any) -> str:
        """Return `text` with `click.style`'s styles where colours are wanted."""
        return click.style(text, **styles) if self.has_colour else text

    def toned(self, text: str, tone: Tone, *, bold: bool = False) -> str:
        """Return `text` in the colour of a tone."""
        is_bold = bold or tone == "strong"
        return self.style(text, fg=_COLOURS.get(tone), bold=is_bold or None, dim=tone == "dim" or None)

    def rendered(self, lines: Iterable[Line]) -> list[str]:
        """Return lines of toned text with the colours of their tones."""
        if not self.has_colour:
            return [plain(runs).rstrip() for runs in lines]
        return ["".join(self.toned(text, tone) for text, tone in runs) for runs in lines]

    def write(self, text: str) -> None:
        """Write at once, without a line break."""
        self.stream.write(text)
        self.stream.flush()

    def line(self, text: str = "") -> None:
        """Write one line at once."""
        self.write(f"{text}\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Write several lines, each as soon as it is there."""
        for text in texts:
            self.line(text)
