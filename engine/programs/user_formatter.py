"""A user's example formatter, checked: its mistakes are errors that name it."""

from __future__ import annotations

from engine.ground.errors import ProjectError
from engine.ground.score import Example, Score
from engine.programs.formatting import ExampleFormatter
from engine.programs.user_calls import calling


class CheckedFormatter:
    """A user's formatter; if it raises or returns anything but text, a `ProjectError` names it."""

    def __init__(self, formatter: ExampleFormatter) -> None:
        if not isinstance(formatter, ExampleFormatter):
            raise ProjectError(
                f"{formatter!r} isn't an example formatter.",
                hint="It needs format_for_gradient(example, score) and format_context(example).",
            )
        self._formatter = formatter

    def format_for_gradient(self, example: Example, score: Score) -> str:
        """Return the user's text of a failed example."""
        with calling("example formatter"):
            return _text(self._formatter.format_for_gradient(example, score))

    def format_context(self, example: Example) -> str:
        """Return the user's text of an example that was answered correctly."""
        with calling("example formatter"):
            return _text(self._formatter.format_context(example))


def _text(returned: object) -> str:
    if not isinstance(returned, str):
        raise ProjectError(
            f"The example formatter returned {type(returned).__name__}, not text.",
            hint="Both of its methods return a str.",
        )
    return returned
