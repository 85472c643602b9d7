"""Why a program has no answer: the model wrote something unreadable, or the program's code raised."""

from __future__ import annotations

from typing import Literal

from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import ProjectError
from engine.programs.user_calls import raised_at

Fault = Literal["answer", "code", "unknown"]

_CODE = (OSError, ImportError, NameError, MemoryError)
"""What no answer of a model makes a program raise: a service that is down, a slip in its code."""


def fault_of(error: Exception) -> Fault:
    """Return what made a program raise `error`, once `cause_of` knows no other cause.

    "answer": the answer can't be read. "code": no answer makes a program raise that. "unknown": an answer
    that the program didn't expect may have done so, or a mistake in its code.
    """
    if isinstance(error, AdapterParseError):
        return "answer"
    return "code" if isinstance(error, _CODE) else "unknown"


def program_error(error: Exception, *, where: str = "", example: str = "") -> ProjectError:
    """Return what a program raised as an error for people; `where` names the input, `example` its key."""
    place = f" on the example {where}" if where else ""
    return ProjectError(
        f"The program raised {type(error).__name__}{place}: {error} ({raised_at(error)}).",
        hint="Correct the program's code; --debug shows the whole traceback.",
        example=example,
    )
