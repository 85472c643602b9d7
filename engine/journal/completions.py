"""Where completions are remembered, and what they cost a run: calls, tokens and time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.journal.event_base import Tokens


@dataclass(frozen=True)
class Completion:
    """One answer of a model with its request; `request` and `response` are JSON.

    `key` is a hash of everything the answer depends on, `run` is the run that paid for it, and `seconds` is
    how long the model took.
    """

    key: str
    run: str
    time: float
    request: str
    response: str
    seconds: float
    tokens: Tokens

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The exact prompt, as (role, text) pairs."""
        request = json.loads(self.request)
        system = request.get("system")
        head = [("system", system if isinstance(system, str) else _text(system))] if system else []
        return head + [(message["role"], _text(message["parts"])) for message in request["messages"]]

    @property
    def answer(self) -> str:
        """The raw text of the answer."""
        return _text(json.loads(self.response)["message"]["parts"])

    @property
    def thinking(self) -> str:
        """The model's reasoning before its answer, or an empty text."""
        return _text(json.loads(self.response)["message"]["parts"], kind="thinking")


@dataclass
class Used:
    """The completions that one piece of work used, in order.

    Completions `apart` are asked for and kept under keys of that run alone, even where an answer is known.
    """

    completions: list[Completion] = field(default_factory=list)
    apart: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The completions' keys in the journal."""
        return tuple(completion.key for completion in self.completions)

    @property
    def tokens(self) -> Tokens:
        """The sum of their tokens."""
        return sum((completion.tokens for completion in self.completions), Tokens())

    @property
    def seconds(self) -> float:
        """How long the model took for them when they were generated."""
        return sum(completion.seconds for completion in self.completions)


class CompletionStore(Protocol):
    """Where completions are remembered; `Journal` is one, `MemoryCompletions` another."""

    def completion(self, key: str) -> Completion | None:
        """Return the completion of that key, if one was paid for."""
        ...

    def remember_completion(self, completion: Completion) -> bool:
        """Keep a completion; False if its key is known already."""
        ...

    def completions_paid(self, run: str) -> int:
        """Return how many completions a run has paid for."""
        ...


class MemoryCompletions:
    """Completions of one process, for a run without a journal."""

    def __init__(self) -> None:
        self._known: dict[str, Completion] = {}

    @property
    def answers(self) -> dict[str, str]:
        """The raw answers by their keys."""
        return {key: completion.answer for key, completion in self._known.items()}

    def completion(self, key: str) -> Completion | None:
        """Return the completion of that key, if one was paid for."""
        return self._known.get(key)

    def remember_completion(self, completion: Completion) -> bool:
        """Keep a completion; False if its key is known already."""
        return self._known.setdefault(completion.key, completion) is completion

    def completions_paid(self, run: str) -> int:
        """Return how many completions a run has paid for."""
        return sum(completion.run == run for completion in list(self._known.values()))


@dataclass(frozen=True)
class RunUsage:
    """What a run has used: completions it paid for, those it found remembered, tokens it paid for.

    A resumed run reports the same numbers as one that was never interrupted.
    """

    calls: int = 0
    remembered: int = 0
    tokens: Tokens = field(default_factory=Tokens)


@dataclass
class Pace:
    """Seconds per call when calls overlap: the time in which any call ran, divided by their number."""

    _calls: int = 0
    _under_way: int = 0
    _seconds: float = 0.0
    _since: float = 0.0

    @property
    def seconds_per_call(self) -> float:
        """Seconds per finished call; 0 before the first one."""
        return self._seconds / self._calls if self._calls else 0.0

    def begin(self, now: float) -> None:
        """Record that a call begins."""
        self._add(now)
        self._under_way += 1

    def end(self, now: float) -> None:
        """Record that a call has ended."""
        self._add(now)
        self._under_way -= 1
        self._calls += 1

    def _add(self, now: float) -> None:
        self._seconds += now - self._since if self._under_way else 0.0
        self._since = now


def _text(parts: list[dict[str, Any]], kind: str = "text") -> str:
    return "".join(part.get("text", "") for part in parts if part["type"] == kind)
