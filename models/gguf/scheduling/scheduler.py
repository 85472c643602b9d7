"""One thread owns the context; requests from any thread share its steps and what they have in common."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from dspy import lm15

from models.cancelled import RequestCancelledError
from models.gguf.context import ABORTED, NativeContext
from models.gguf.library import Logits, NativeModel
from models.gguf.prefix_tree import Match
from models.gguf.sampling import Candidates
from models.gguf.scheduling.prompt_cache import PromptCache
from models.gguf.scheduling.request import Generation, Request
from models.gguf.scheduling.snapshot_cache import SnapshotCache
from models.gguf.scheduling.step import Part, Step, answer_block, fill, line, prompt_block
from models.gguf.thread_choice import ThreadChoice

_WINDOW = 64
"""Waiting requests that are looked at for the one that shares most."""
_PATIENCE = 64
"""How often the oldest request lets others go first."""


@dataclass(slots=True)
class Statistics:
    """What a scheduler has done since it started."""

    requests: int = 0
    prompt_tokens_requested: int = 0
    prompt_tokens_evaluated: int = 0
    prompt_tokens_reused: int = 0
    tokens_decoded: int = 0
    tokens_guessed: int = 0
    """Of these, how many came without a step of their own."""
    steps: int = 0
    rows: int = 0
    """Rows that steps had, those included that fill them up."""
    decode_seconds: float = 0.0
    """Time within llama.cpp."""
    busy_seconds: float = 0.0
    """Time from the beginning of each step to its end, llama.cpp included."""
    cells_used: int = 0
    cells_free: int = 0
    active: int = 0
    waiting: int = 0


class Scheduler:
    """Batches requests over one context."""

    def __init__(
        self,
        model: NativeModel,
        context: NativeContext,
        cache: PromptCache | SnapshotCache,
        *,
        sequences: int,
        quantum: int | None,
        sizes: Callable[[int], tuple[int, int]],
        threads: ThreadChoice | None = None,
    ) -> None:
        """Start the thread.

        `sequences` is how many requests are under way at a time. Steps have a multiple of `quantum` rows,
        without it any number. `sizes` says how many cells each of how many sequences should have where a
        request needs so many. `threads` chooses how many threads each step has; without it the context's
        own stay.
        """
        self._context = context
        self._cache = cache
        self._max_active = sequences
        self._quantum = quantum
        self._sizes = sizes
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
        step = self._compose()
        if step is None:
            return
        before_decode, cpu_before = time.perf_counter(), time.thread_time()
        result = self._context.decode(step.count)
        after_decode, cpu_after = time.perf_counter(), time.thread_time()
        if self._threads is not None and result == 0:
            answers = not any(part.request.reading for part in step.parts)
            self._threads.stepped(
                after_decode - before_decode, cpu_after - cpu_before, step.count, answers=answers
            )
            self._context.use_threads(self._threads.threads)
        if result == 0:
            self._cache.passed(step.count)
            self._advance(step)
        else:
            self._recover(step, result)
        ended = time.perf_counter()
        self._counts.steps += 1
        self._counts.rows += step.count
        self._counts.decode_seconds += after_decode - before_decode
        self._counts.busy_seconds += ended - began

    # Admission

    def _admit(self) -> None:
        """Start waiting requests while there are places, sequences and cells for them."""
        while self._waiting and len(self._active) < min(self._max_active, self._context.sequences):
            chosen = self._choose()
            if chosen is None:
                return
            request, match = chosen
            needed = len(request.shared) + request.room
            if needed > self._context.cells:
                if self._active:
                    return  # What they evaluated is forgotten with the context that they are in.
                self._context.resize(*self._sizes(needed))
                self._cache.forget()
                match = self._cache.match(request)
            if not self._cache.place(request, match):
                if not self._active:
                    raise RuntimeError("There is no room for a request, though none is under way.")
                return
            self._waiting.remove(request)
            self._active.append(request)
            self._counts.requests += 1
            self._counts.prompt_tokens_requested += len(request.tokens)
            self._counts.prompt_tokens_reused += request.reused

    def _choose(self) -> tuple[Request, Match] | None:
        """Return the request that shares most with what is evaluated, of equal ones the shortest."""
        best: tuple[Request, Match] | None = None
        best_rank = (-1, 0)
        for position, request in enumerate(islice(self._waiting, _WINDOW)):
            match = self._cache.match(request)
            if match.ready < match.length:
                continue  # Another request is evaluating what they share.
            if position == 0 and request.passed_over >= _PATIENCE:
                return request, match
            rank = (match.ready, match.ready - len(request.tokens))
            if rank > best_rank:
                best, best_rank = (request, match), rank
        if best is not None and best[0] is not self._waiting[0]:
            self._waiting[0].passed_over += 1
        return best

    # One step

    def _compose(self) -> Step | None:
        """Fill the batch with prompts, or with each answer's next tokens where no prompt waits."""
        if not self._active:
            return None
        prompts = [request for request in self._active if request.reading]
        if self._quantum is None:
            return line(self._context, prompts or self._active, self._context.batch.capacity)
        if prompts:
            return self._read(prompts)
        ready = {request: request.ready for request in self._active}
        return fill(self._context, answer_block(self._context, ready, self._quantum), ready, self._quantum)

    def _read(self, prompts: Sequence[Request]) -> Step:
        """Fill the batch with prompts that are as far as the oldest: before or in their wide part."""
        wide_from = self._context.wide_from
        is_wide = prompts[0].is_wide(wide_from)
        ready = {
            request: request.ready if is_wide else request.narrow(wide_from)
            for request in prompts
            if request.is_wide(wide_from) is is_wide
        }
        block = prompt_block(self._context, ready, prompts[0], self._quantum or 1, is_wide=is_wide)
        return fill(self._context, block, ready, self._quantum or 1)

    def _advance(self, step: Step) -> None:
        """Give each request its logits and let go of the finished ones."""
        logits = self._context.logits(step.outputs) if step.outputs else None
        likeliest: list[int] = [] if logits is None else logits.argmax(axis=1).tolist()
        for sequence, length in step.filled:
            self._context.cut(sequence, length)
        for part in step.parts:
            request = part.request
            given = len(request.tokens) if isinstance(request, Generation) else part.start + part.length
            self._counts.prompt_tokens_evaluated += max(0, min(part.length, given - part.start))
            self._cache.evaluated(request, part.length)
            if logits is not None and part.rows and not request.cancelled.is_set():
                rows = [logits[row] for row in part.rows]
                self._hand_out(part, rows, [likeliest[row] for row in part.rows])

    def _hand_out(self, part: Part, rows: list[Logits], likeliest: list[int]) -> None:
        """Give a request its logits; what goes wrong with them ends that request alone."""
        request, failure = part.request, None
        decoded, guessed = _progress(request)
        try:
            finished = request.absorb(rows, likeliest, self._candidates)
        except Exception as error:
            finished, failure = True, error
        now_decoded, now_guessed = _progress(request)
        self._counts.tokens_decoded += now_decoded - decoded
        self._counts.tokens_guessed += now_guessed - guessed
        if not finished:
            if request.evaluated < part.start + part.length:
                self._context.cut(request.sequence, request.evaluated)
            return
        try:
            self._finish(request)
        finally:  # last: whoever has the answer finds its place free
            if failure is None:
                request.succeed()
            else:
                request.fail(lm15.ServerError(f"An answer failed: {type(failure).__name__}: {failure}"))

    def _recover(self, step: Step, result: int) -> None:
        """Undo a step that didn't finish."""
        if result != ABORTED:
            raise RuntimeError(f"llama_decode failed with {result}.")
        for sequence, length in step.filled:
            self._context.cut(sequence, length)
        for part in step.parts:
            self._cache.undo(part.request, part.start)

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


def _progress(request: Request) -> tuple[int, int]:
    """Return how many tokens an answer has, and how many of them were guessed."""
    return (len(request.generated), request.guessed) if isinstance(request, Generation) else (0, 0)
