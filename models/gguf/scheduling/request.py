"""What is asked of the scheduler, and how far each request has come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from models.cancelled import RequestCancelledError
from models.gguf.library import Logits, NativeModel
from models.gguf.prefix_tree import Node, Tokens
from models.gguf.sampling import Candidates, TokenSampler, log_probabilities

FinishReason = Literal["stop", "length"]

_OUTPUTS_PER_STEP = 63
"""Rows of logits that a request may ask for in one step: each takes the vocabulary's size in memory."""


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A generated token with its log-probability and the likeliest alternatives."""

    token: int
    log_probability: float
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    reused_tokens: int
    """Prompt tokens that were already evaluated."""
    completion_tokens: int
    choices: tuple[TokenChoice, ...] = ()


class Request:
    """Tokens to evaluate; the scheduler's thread alone changes it, except `cancel`."""

    def __init__(self, tokens: Tokens, *, room: int) -> None:
        self.tokens = tokens
        """The prompt; its last token is evaluated with the answer, which needs what follows it."""
        self.shared = tokens[:-1]
        """The tokens before, which others may share."""
        self.tail: list[int] = []
        """Tokens that follow it in this request alone, evaluated or to be so."""
        self.opening = 1
        """How many tokens behind `shared` are read with it: the prompt's last one and what likely follows.

        The kernel of these tokens depends on it, so it may depend on nothing but the request.
        """
        self.pause = 0
        """A position where a step has to end, because the state there is kept."""
        self.room = room
        """KV cells that the prompt's last token and the tail may need."""
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()
        self.result: Any = None
        self.cancelled = threading.Event()
        self.evaluated = 0
        """Tokens that are in the KV cache. `absorb` may lower it: what lies behind is then forgotten."""
        self.reused = 0
        self.sequence = -1
        self.node: Node | None = None
        self.owns_node = False
        self.passed_over = 0

    @property
    def prefilling(self) -> bool:
        """Whether some of what others may share is still to be evaluated."""
        return self.evaluated < len(self.shared)

    @property
    def reading(self) -> bool:
        """Whether some of the prompt or of the answer's opening is still to be evaluated."""
        return self.evaluated < len(self.shared) + self.opening

    def is_wide(self, wide_from: int) -> bool:
        """Whether what is read next belongs in a wide step; an opening has the kernel of what it follows."""
        return min(self.evaluated, len(self.shared)) >= wide_from

    def narrow(self, wide_from: int) -> int:
        """How many tokens a narrow step may read."""
        return min(self.ready, wide_from - self.evaluated) if len(self.shared) >= wide_from else self.ready

    @property
    def ready(self) -> int:
        """How many tokens the next step may evaluate."""
        if self.evaluated < self.pause:
            return self.pause - self.evaluated
        if self.reading:
            return len(self.shared) + self.opening - self.evaluated
        return min(len(self.tokens) + len(self.tail) - self.evaluated, _OUTPUTS_PER_STEP)

    def following(self, length: int) -> Sequence[int] | Tokens:
        """Return the next tokens to evaluate."""
        start, prompt = self.evaluated, len(self.tokens)
        if start >= prompt:
            return self.tail[start - prompt : start - prompt + length]
        here = self.tokens[start : start + length]
        return here if len(here) == length else [*here.tolist(), *self.tail[: length - len(here)]]

    def outputs(self, start: int, end: int) -> Iterable[int]:
        """Return which of the positions from `start` to `end` need logits, counted from `start`."""
        return range(max(start, len(self.shared)) - start, end - start)

    def cancel(self) -> None:
        """Let the caller go at once; the scheduler frees the rest. From any thread."""
        self.cancelled.set()
        self.fail(RequestCancelledError("The request was cancelled."))

    def succeed(self) -> None:
        """Hand the result to the caller, unless it has gone."""
        with suppress(InvalidStateError):
            self.future.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        """Hand an error to the caller, unless it has gone."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def absorb(self, rows: Sequence[Logits], likeliest: Sequence[int], candidates: Candidates) -> bool:
        """Take the logits that `outputs` asked for; True when the request is finished and `result` is set."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what belongs to the request alone."""


class Generation(Request):
    """Generates an answer token by token."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        model: NativeModel,
        sampler: TokenSampler,
        max_tokens: int,
        stop: Sequence[str] = (),
        logprobs: int | None = None,
        on_text: Callable[[bytes], None] | None = None,
        guess: Callable[[str], Sequence[int]] | None = None,
    ) -> None:
        """Ask for an answer.

        `guess` is given the text so far and returns tokens that are likely to follow. They are evaluated
        along with the token before them, and count only where each would have been chosen anyway.
        """
        # The last token of an answer is never evaluated.
        super().__init__(tokens, room=max_tokens)
        self.generated: list[int] = []
        self.guessed = 0
        """Tokens that a guess had right, each of which saved a step."""
        self._guess = guess
        self._model = model
        self._sampler = sampler
        self._max_tokens = max_tokens
        self._stops = [text.encode() for text in stop]
        self._longest_stop = max(map(len, self._stops), default=0)
        self._logprobs = logprobs
        self._choices: list[TokenChoice] = []
        self._text = bytearray()
        self._emitted = 0
        self._on_text = on_text
        self._look_ahead()
        self.opening += len(self.tail)

    def absorb(self, rows: Sequence[Logits], likeliest: Sequence[int], candidates: Candidates) -> bool:
        """Choose the next tokens, up to the first that was guessed wrong; True when the answer ends."""
        for row, best in zip(rows, likeliest, strict=True):
            if self._choose(row, best, candidates):
                return True
            count = len(self.generated)
            if self.tail[count - 1 : count] != self.generated[-1:]:
                break
            self.guessed += 1
        if not rows:
            return False
        if self.tail[: len(self.generated)] != self.generated:
            self.tail = [*self.generated]
            self.opening = 0
        self.evaluated = min(self.evaluated, len(self.tokens) + len(self.generated) - 1)
        if len(self.tail) == len(self.generated):
            self._look_ahead()
        return False

    def _look_ahead(self) -> None:
        """Add what is likely to follow, if there is room for it."""
        if self._guess is not None:
            ahead = self._guess(self._text.decode("utf-8", "replace"))
            self.tail += ahead[: max(0, self._max_tokens - 1 - len(self.tail))]

    def _choose(self, row: Logits, likeliest: int, candidates: Candidates) -> bool:
        """Choose the next token; True when the answer ends with it."""
        token = self._sampler.choose(row, likeliest, candidates)
        if token is None or token in self._model.end_tokens:
            return self._finish("stop")
        if self._logprobs is not None:
            self._choices.append(_choice(row, token, self._logprobs))
        self.generated.append(token)
        piece = self._model.piece(token)
        self._text += piece
        if self._stops and self._cut_at_stop(len(piece)):
            return self._finish("stop")
        if self._grammar_is_complete(piece, candidates):
            return self._finish("stop")
        if len(self.generated) >= self._max_tokens:
            return self._finish("length")
        if self._on_text is not None:
            self._emit(len(self._text) - self._held_back())
        return False

    def close(self) -> None:
        """Free the samplers."""
        self._sampler.close()

    def _finish(self, reason: FinishReason) -> bool:
        if self._on_text is not None:
            self._emit(len(self._text))
        text = self._text.decode("utf-8", "replace")
        choices = tuple(self._choices)
        self.result = Completion(text, reason, len(self.tokens), self.reused, len(self.generated), choices)
        return True

    def _grammar_is_complete(self, piece: bytes, candidates: Candidates) -> bool:
        """Whether a JSON object was closed for good, which saves the step that would say so."""
        grammar = self._sampler.grammar
        if grammar is None or not piece.endswith(b"}") or self._model.eos < 0:
            return False
        return grammar.allows(self._model.eos, candidates)

    def _cut_at_stop(self, added: int) -> bool:
        """End the text before the first stop string, which may span tokens."""
        start = max(0, len(self._text) - added - self._longest_stop + 1)
        found = [at for stop in self._stops if (at := self._text.find(stop, start)) >= 0]
        if found:
            del self._text[min(found) :]
        return bool(found)

    def _held_back(self) -> int:
        """Return how many bytes at the end may turn out to be the beginning of a stop string."""
        for length in range(min(self._longest_stop - 1, len(self._text)), 0, -1):
            tail = self._text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0

    def _emit(self, end: int) -> None:
        if end > self._emitted and self._on_text is not None:
            self._on_text(bytes(self._text[self._emitted : end]))
            self._emitted = end


def _choice(row: Logits, token: int, alternatives: int) -> TokenChoice:
    """Return a token's log-probability, and those of the likeliest tokens."""
    scores = log_probabilities(row)
    top = np.argsort(-scores, kind="stable")[:alternatives] if alternatives else ()
    return TokenChoice(token, float(scores[token]), tuple((int(t), float(scores[t])) for t in top))
