"""One thread owns the context; requests from any thread share its steps and what they have in common."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from dspy import lm15

from models.cancelled import RequestCancelledError
from models.gguf.library import ABORTED, NO_ROOM, Logits, NativeContext, NativeModel
from models.gguf.prefix_tree import Match
from models.gguf.prompt_cache import PromptCache
from models.gguf.request import Generation, Request
from models.gguf.sampling import Candidates
from models.gguf.snapshot_cache import SnapshotCache
from models.gguf.thread_choice import ThreadChoice

_WINDOW = 64
"""Waiting requests that are looked at for the one that shares most."""
_PATIENCE = 64
"""How often the oldest request lets others go first."""
_SHARE_BESIDE_ANSWERS = 4
"""Where answers and prompts share steps, prompts take a quarter of a batch: answers shouldn't wait long."""
_OUTPUTS_PER_CHUNK = 64
"""Rows of logits that one prompt chunk may ask for: each takes the vocabulary's size in memory."""


@dataclass(slots=True)
class Statistics:
    """What a scheduler has done since it started."""

    requests: int = 0
    prompt_tokens_requested: int = 0
    prompt_tokens_evaluated: int = 0
    prompt_tokens_reused: int = 0
    tokens_decoded: int = 0
    steps: int = 0
    decode_seconds: float = 0.0
    """Time within llama.cpp."""
    busy_seconds: float = 0.0
    """Time from the beginning of each step to its end, llama.cpp included."""
    cells_used: int = 0
    cells_free: int = 0
    active: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Span:
    """A request's part of the step."""

    request: Request
    before: int
    """Positions that the request's sequence had before the step."""
    length: int
    outputs: int
    prefill: bool


class Scheduler:
    """Batches requests over one context."""

    def __init__(
        self,
        model: NativeModel,
        context: NativeContext,
        cache: PromptCache | SnapshotCache,
        *,
        sequences: int,
        mixes: bool,
        threads: ThreadChoice | None = None,
    ) -> None:
        """Start the thread.

        `threads` chooses how many threads each step has; without it the context's own stay.
        `mixes` lets answers and prompts share steps, which a GPU likes. On a CPU llama.cpp's attention works
        on blocks of 64 tokens at everything that any of them attends to: answers of many sequences among
        prompts make each block attend to all, and a step of both costs more than one of each.
        """
        self._context = context
        self._cache = cache
        self._max_active = sequences
        self._mixes = mixes
        self._threads = threads
        self._candidates = Candidates(model.n_vocab)
        self._waiting: deque[Request] = deque()
        self._active: list[Request] = []
        self._inbox: deque[Request] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._cancel_wanted = False
        self._failure: lm15.LM15Error | None = None
        self._counts = Statistics()
        self._thread = threading.Thread(target=self._run, name="gguf-scheduler", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue a request; its future gets the result. From any thread."""
        with self._wake:
            if self._closed:
                request.fail(self._failure or lm15.ServerError("The model is closed."))
                request.close()
                return
            self._inbox.append(request)
            self._wake.notify()

    def cancel_all(self) -> None:
        """End every request so far at once, also in the middle of a step. From any thread."""
        with self._wake:
            for request in self._inbox:
                request.cancel()
            self._cancel_wanted = True
            self._context.abort(True)
            self._wake.notify()

    def statistics(self) -> Statistics:
        """Return the counts so far. From any thread."""
        return replace(
            self._counts,
            cells_used=self._cache.used,
            cells_free=self._cache.cells - self._cache.used,
            active=len(self._active),
            waiting=len(self._waiting) + len(self._inbox),
        )

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with self._wake:
            self._closed = True
            self._context.abort(True)
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        """Step while there is work."""
        while True:
            with self._wake:
                while not (self._inbox or self._waiting or self._active or self._closed):
                    self._wake.wait()
                if self._closed:
                    break
                if self._cancel_wanted:
                    self._cancel_wanted = False
                    self._context.abort(False)
                    for request in [*self._waiting, *self._active]:
                        request.cancel()
                self._waiting.extend(self._inbox)
                self._inbox.clear()
            try:
                self._step()
            except Exception as error:
                self._shut_down(error)
        self._drop_everything()

    def _step(self) -> None:
        """Admit what fits, evaluate one batch, and hand out its logits."""
        began = time.perf_counter()
        self._drop_cancelled()
        self._admit()
        spans, count, outputs = self._compose()
        if not spans:
            return
        before_decode, cpu_before = time.perf_counter(), time.thread_time()
        result = self._context.decode(count)
        after_decode, cpu_after = time.perf_counter(), time.thread_time()
        if self._threads is not None and result == 0:
            self._threads.stepped(
                after_decode - before_decode, cpu_after - cpu_before, count, answers=not spans[-1].prefill
            )
            self._context.use_threads(self._threads.threads)
        if result == 0:
            self._cache.passed(count)
            self._advance(spans, outputs)
        else:
            self._recover(spans, result)
        ended = time.perf_counter()
        self._counts.steps += 1
        self._counts.decode_seconds += after_decode - before_decode
        self._counts.busy_seconds += ended - began

    # Admission

    def _admit(self) -> None:
        """Start waiting requests while there are places, sequences and cells for them."""
        while self._waiting and len(self._active) < self._max_active:
            chosen = self._choose()
            if chosen is None:
                return
            request, match = chosen
            if not self._cache.place(request, match):
                if not self._active:
                    raise RuntimeError("There is no room for a request, though none is under way.")
                return
            self._waiting.remove(request)
            self._active.append(request)
            self._cache.expire()
            self._counts.requests += 1
            self._counts.prompt_tokens_requested += len(request.tokens)
            self._counts.prompt_tokens_reused += request.reused

    def _choose(self) -> tuple[Request, Match] | None:
        """Return the request that shares most with what is evaluated; one that half shares is good enough."""
        best: tuple[Request, Match] | None = None
        for position, request in enumerate(islice(self._waiting, _WINDOW)):
            match = self._cache.match(request)
            if match.ready < min(match.length, request.outputs_from):
                continue  # Another request is evaluating what they share.
            if position == 0 and request.passed_over >= _PATIENCE:
                return request, match
            if 2 * match.ready >= len(request.tokens):
                best = request, match
                break
            if best is None or match.ready > best[1].ready:
                best = request, match
        if best is not None and best[0] is not self._waiting[0]:
            self._waiting[0].passed_over += 1
        return best

    # One step

    def _compose(self) -> tuple[list[_Span], int, int]:
        """Fill the batch with each answer's next token, prompts, or both; return spans, tokens, outputs."""
        batch = self._context.batch
        prefilling = [r for r in self._active if r.prefilling]
        decoding = [r for r in self._active if isinstance(r, Generation) and not r.prefilling]
        if prefilling and not self._mixes:
            decoding = []
        count = len(decoding)
        batch.tokens[:count] = [r.generated[-1] for r in decoding]
        batch.positions[:count] = [len(r.tokens) + len(r.generated) - 1 for r in decoding]
        batch.sequences[:count] = [r.sequence for r in decoding]
        batch.outputs[:count] = 1
        spans = [_Span(r, len(r.tokens) + len(r.generated) - 1, 1, 1, False) for r in decoding]
        outputs = count
        limit = (
            min(batch.capacity, count + batch.capacity // _SHARE_BESIDE_ANSWERS) if count else batch.capacity
        )
        for request in prefilling:
            if count < limit:
                span = self._add_chunk(request, count, limit)
                spans.append(span)
                count += span.length
                outputs += span.outputs
        return spans, count, outputs

    def _add_chunk(self, request: Request, at: int, limit: int) -> _Span:
        """Add as much of a prompt as fits between two positions of the batch."""
        batch, start = self._context.batch, request.evaluated
        most_outputs = max(start, request.outputs_from) + _OUTPUTS_PER_CHUNK
        end = min(len(request.tokens), start + limit - at, most_outputs)
        if start < request.pause:
            end = min(end, request.pause)
        stop = at + end - start
        batch.tokens[at:stop] = request.tokens[start:end]
        batch.positions[at:stop] = range(start, end)
        batch.sequences[at:stop] = request.sequence
        outputs = max(0, end - max(start, request.outputs_from))
        batch.outputs[at:stop] = 0
        batch.outputs[stop - outputs : stop] = 1
        return _Span(request, start, end - start, outputs, True)

    def _advance(self, spans: list[_Span], outputs: int) -> None:
        """Give each request its logits and let go of the finished ones."""
        logits = self._context.logits(outputs) if outputs else None
        likeliest: list[int] = [] if logits is None else logits.argmax(axis=1).tolist()
        row = 0
        for span in spans:
            request = span.request
            if span.prefill:
                self._cache.evaluated(request, span.length)
                self._counts.prompt_tokens_evaluated += span.length
            if logits is None or not span.outputs:
                continue
            rows, row = slice(row, row + span.outputs), row + span.outputs
            if not request.cancelled.is_set():
                self._counts.tokens_decoded += isinstance(request, Generation)
                self._hand_out(request, logits[rows], likeliest[rows])

    def _hand_out(self, request: Request, rows: Logits, likeliest: list[int]) -> None:
        """Give a request its logits; what goes wrong with them ends that request alone."""
        failure: Exception | None = None
        try:
            if not request.absorb(rows, likeliest, self._candidates):
                return
        except Exception as error:
            failure = error
        try:
            self._finish(request)
        finally:  # last: whoever has the answer finds its place free
            if failure is None:
                request.succeed()
            else:
                request.fail(lm15.ServerError(f"An answer failed: {type(failure).__name__}: {failure}"))

    def _recover(self, spans: list[_Span], result: int) -> None:
        """Undo a step that didn't finish."""
        if result not in (ABORTED, NO_ROOM):
            raise RuntimeError(f"llama_decode failed with {result}.")
        for span in spans:
            self._cache.undo(span.request, span.before)
        if result == NO_ROOM and not self._cache.evict():
            raise RuntimeError("The KV cache is full although nothing is evictable.")

    # Endings

    def _finish(self, request: Request) -> None:
        """Free a request's place; its prompt stays in the tree."""
        self._active.remove(request)
        self._cache.leave(request)
        request.close()

    def _drop_cancelled(self) -> None:
        for request in [r for r in self._active if r.cancelled.is_set()]:
            self._finish(request)
        for request in [r for r in self._waiting if r.cancelled.is_set()]:
            self._waiting.remove(request)
            request.close()

    def _shut_down(self, error: Exception) -> None:
        """Fail every request: the context is in no known state."""
        self._failure = lm15.ServerError(f"The model stopped working: {error}")
        with self._wake:
            self._closed = True

    def _drop_everything(self) -> None:
        pending: list[Request] = [*self._inbox, *self._waiting, *self._active]
        for request in pending:
            reason: Any = self._failure or RequestCancelledError("The model was closed.")
            request.fail(reason)
            request.close()
        self._inbox.clear()
        self._waiting.clear()
        self._active.clear()
