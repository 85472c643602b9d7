"""What is asked of the scheduler, and how far each request has come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.cancelled import RequestCancelledError
from models.gguf.library import Logits, NativeModel
from models.gguf.prefix_tree import Node, Tokens
from models.gguf.sampling import Candidates, TokenSampler, log_probabilities

FinishReason = Literal["stop", "length"]


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

    keeps_prompt = True
    """Whether the tokens stay in the prefix tree for others."""

    def __init__(self, tokens: Tokens, *, outputs_from: int, room: int) -> None:
        self.tokens = tokens
        self.outputs_from = outputs_from
        """The first position whose logits are needed."""
        self.pause = 0
        """A position where a step has to end, because the state there is kept."""
        self.room = room
        """KV cells that the answer may need."""
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()
        self.result: Any = None
        self.cancelled = threading.Event()
        self.evaluated = 0
        self.reused = 0
        self.sequence = -1
        self.node: Node | None = None
        self.owns_node = False
        self.passed_over = 0

    @property
    def prefilling(self) -> bool:
        """Whether some of the prompt is still to be evaluated."""
        return self.evaluated < len(self.tokens)

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

    def absorb(self, rows: Logits, likeliest: Sequence[int], candidates: Candidates) -> bool:
        """Take the logits of this step's outputs; True when the request is finished and `result` is set."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what belongs to the request alone."""


class Scoring(Request):
    """Collects the log-probabilities of given tokens."""

    def __init__(
        self, tokens: Tokens, *, outputs_from: int, targets: Sequence[npt.NDArray[np.int64]], keep: bool
    ) -> None:
        super().__init__(tokens, outputs_from=outputs_from, room=0)
        self.keeps_prompt = keep
        self._targets = targets
        """For each output, the tokens whose log-probability is wanted."""
        self._scores: list[npt.NDArray[np.float32]] = []

    def absorb(self, rows: Logits, _likeliest: Sequence[int], _candidates: Candidates) -> bool:
        """Look up the targets; True after the last output."""
        for row in rows:
            self._scores.append(log_probabilities(row)[self._targets[len(self._scores)]])
        if self.prefilling:
            return False
        self.result = self._scores
        return True


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
    ) -> None:
        # The last token of an answer is never evaluated.
        super().__init__(tokens, outputs_from=len(tokens) - 1, room=max_tokens - 1)
        self.generated: list[int] = []
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

    def absorb(self, rows: Logits, likeliest: Sequence[int], candidates: Candidates) -> bool:
        """Choose the next token; True when the answer ends with it."""
        if not len(rows):
            return False
        row = rows[0]
        token = self._sampler.choose(row, likeliest[0], candidates)
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
