"""What a check found: no problem, a warning, or a failure, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from engine.ground.errors import PromptGradError
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.views.toned_lines import Tone

Level = Literal["ok", "warn", "fail"]
TONES: dict[Level, Tone] = {"ok": "good", "warn": "warn", "fail": "bad"}


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; `advice` says what to do if there is a problem.

    `exit_code` is that of a command that fails because of it, and 0 otherwise; `field` is the dotted key
    of the project file that it is about.
    """

    level: Level
    subject: str
    text: str
    advice: str = ""
    exit_code: int = 1
    field: str = ""

    def __post_init__(self) -> None:
        if self.level != "fail":
            object.__setattr__(self, "exit_code", 0)

    @classmethod
    def of(cls, subject: str, error: PromptGradError, field: str = "") -> Self:
        """Return an error as a failure."""
        return cls("fail", subject, error.message, error.hint, error.exit_code, field)


def show_findings(findings: Iterable[Finding], terminal: Terminal) -> int:
    """Write findings as they arrive, and return the exit code."""
    shown = []
    for finding in findings:
        shown.append(finding)
        terminal.lines(finding_lines(finding, terminal))
    return exit_code_of(shown)


def exit_code_of(findings: Iterable[Finding]) -> int:
    """Return the exit code of the first failure, or 0."""
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


def finding_lines(finding: Finding, terminal: Terminal) -> list[str]:
    """Return a finding as lines: its level, its subject, what was seen, and the advice."""
    head, *rest = wrap(finding.text, terminal.columns, " " * 20, f"{finding.level:<5} {finding.subject:<13} ")
    level = terminal.toned(finding.level, TONES[finding.level], bold=finding.level != "ok")
    lines = [head.replace(finding.level, level, 1), *rest]
    if finding.advice:
        lines += wrap(finding.advice, terminal.columns, " " * 23, " " * 20 + "-> ")
    return lines
