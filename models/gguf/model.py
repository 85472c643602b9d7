"""A GGUF file, opened: the model that DSPy talks to, and what the application asks of it besides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy
import numpy as np
import psutil
from dspy import lm15

from engine.ground.closing import Closing
from models.errors import ModelNotFoundError, RevisionMovedError
from models.gguf import native_log
from models.gguf.context import CELLS_BETWEEN, NativeContext
from models.gguf.engine import AsyncGGUFEngine, GGUFEngine, room_for_answer
from models.gguf.library import NativeModel
from models.gguf.numerics import numerics_of
from models.gguf.passing_thread import in_passing_thread
from models.gguf.prefix_tree import Tokens, common_prefix
from models.gguf.quoting import Quoting, unsealed
from models.gguf.rows import row_quantum
from models.gguf.sampling import Sampling
from models.gguf.scheduling.prompt_cache import PromptCache
from models.gguf.scheduling.scheduler import Scheduler, Statistics
from models.gguf.scheduling.scoring import Scoring
from models.gguf.scheduling.snapshot_cache import SnapshotCache
from models.gguf.template import ChatTemplate, thinking_switches
from models.gguf.thread_choice import ThreadChoice
from models.gguf.tuning import tuned
from models.settings import ModelSettings
from models.today import date_in_key, printed_date

if TYPE_CHECKING:
    from engine.ground.revision import ModelRevision

Messages = Sequence[Mapping[str, Any]]

_LONGEST_CONTEXT = 8192
_IDLE_SEQUENCES = 12
"""Sequences, besides one for each request, that hold prompts for later ones."""
_USUAL_CELLS = 2048
"""Tokens that each sequence has room for until a request needs more."""
_MEGABYTE = 2**20


class GGUFModel(Closing):
    """A model in this process; safe to use from many threads, and a context manager."""

    exact_token_counts = True

    def __init__(
        self,
        path: Path,
        *,
        revision: ModelRevision,
        settings: ModelSettings | None = None,
        uri: str | None = None,
        log_file: Path | None = None,
        on_progress: Callable[[str, float], None] | None = None,
    ) -> None:
        """Load the model.

        Raises:
            ModelNotFoundError: there is no such file.
            ModelFileError: llama.cpp can't load it.
            ModelMemoryError: its context doesn't fit into memory.
            ChatTemplateError: neither the file nor the settings have a usable chat template.
        """
        settings = settings or ModelSettings()
        if not path.is_file():
            raise ModelNotFoundError(f"There is no file {path}.", hint="Correct the path of the model.")
        self.uri = uri or f"gguf:{path}"
        self.revision = revision
        self._path = path
        self._file = _fingerprint(path)
        self._closed = False
        report = functools.partial(on_progress, f"Loading {path.name}") if on_progress else None
        gpu_layers = -1 if settings.gpu_layers is None else settings.gpu_layers
        with ExitStack() as stack:
            if log_file:
                stack.callback(native_log.close_log, native_log.open_log(log_file))
            self._model = in_passing_thread(
                lambda: NativeModel(path, gpu_layers=gpu_layers, on_progress=report)
            )
            stack.callback(self._model.close)
            self._quoting = Quoting(self._model)
            self._template = self._load_template(settings)
            self.printed_date = printed_date(self._template.text, settings.template_switches, pins=True)
            self.sampling = {**settings.sampling(), **date_in_key(self.printed_date)}
            self._tags = self._template.thought_tags
            self._skip = "" if settings.think else self._tags.skip
            for token in self._quoting.specials_in(self._tags.open + self._tags.close):
                self._model.show(token)
            self.context_length = self._context_length(settings)
            self._scheduler = in_passing_thread(lambda: self._start_scheduler(settings, stack))
            stack.callback(self._scheduler.close)
            self._engine = self._make_engine(settings)
            self._engine.scorer = self
            self.lm = dspy.LM(
                model=f"gguf/{path.stem}",
                engine=self._engine,
                async_engine=AsyncGGUFEngine(self._engine),
                cache=False,
                temperature=settings.temperature,
                max_tokens=settings.max_tokens,
                num_retries=0,
            )
            self._opened = stack.pop_all()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._model.tokenize(text))

    def count_prompt_tokens(self, messages: Messages) -> int:
        """Return how many tokens messages have once the chat template is around them."""
        return len(self._prompt_tokens(messages)[0])

    def render(self, messages: Messages) -> str:
        """Return the exact text that the model reads for these messages.

        Raises:
            ChatTemplateError: the template refuses them.
        """
        return unsealed(self._sealed(messages))

    def score(
        self, prompt: str | Messages, continuations: Sequence[str], *, among: bool = False
    ) -> list[float]:
        """Return the log-probability of each continuation of a prompt; nothing is generated.

        What continuations share is evaluated once. With `among` the answer is taken to be one of them, as
        where a schema allows no other: each token competes with those that the others have at its place, the
        probabilities add up to 1, and only the places where continuations part are evaluated. In a prompt
        that is text each special token counts as such; in messages and continuations none does.

        Raises:
            ContextLengthError: a continuation doesn't fit behind the prompt.
            InvalidRequestError: the prompt is empty, or has no token before what continues it.
            RequestCancelledError: `cancel` was called meanwhile.
        """
        return self.score_all([prompt], [continuations], among=among)[0]

    def score_all(
        self,
        prompts: Sequence[str | Messages],
        continuations: Sequence[Sequence[str]],
        *,
        among: bool = False,
    ) -> list[list[float]]:
        """Return what `score` would for each prompt and its continuations, in few wide steps.

        Raises: as `score` does.
        """
        asked = [
            self._scorings(prompt, texts, among) for prompt, texts in zip(prompts, continuations, strict=True)
        ]
        found = iter(self._wait([scoring for group in asked for scoring in group if scoring.is_open]))
        return [
            [score for scoring in group for score in (next(found) if scoring.is_open else scoring.settled())]
            for group in asked
        ]

    @property
    def numerics(self) -> str:
        """What the last bits of an answer depend on besides the model and the request."""
        return self.revision.numerics

    def cancel(self) -> None:
        """End every request; their callers get `RequestCancelledError` within a second."""
        self._scheduler.cancel_all()

    def statistics(self) -> Statistics:
        """Return what the model has evaluated, reused and decoded so far."""
        return self._scheduler.statistics()

    def verify_revision(self) -> None:
        """Check that the file is still the one that was opened.

        Raises:
            RevisionMovedError: it was replaced, changed or deleted.
        """
        if not self._path.is_file():
            raise RevisionMovedError(
                f"{self._path} is gone: it was deleted or moved while it was in use.",
                hint="Put it back, and start again.",
            )
        if _fingerprint(self._path) != self._file:
            raise RevisionMovedError(
                f"{self._path} was changed while it was in use.",
                hint="Start again with the file as it is now.",
            )

    def close(self) -> None:
        """Cancel everything and free the memory; calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._scheduler.close()
        self._engine.close()  # only now: no request uses its grammars any more
        self._opened.close()

    def _load_template(self, settings: ModelSettings) -> ChatTemplate:
        model = self._model
        return ChatTemplate.load(
            settings.chat_template,
            model.chat_template(),
            bos=model.special_text(model.bos),
            eos=model.special_text(model.eos),
            switches={**thinking_switches(settings.think), **settings.template_switches},
        )

    def _context_length(self, settings: ModelSettings) -> int:
        trained = self._model.context_length
        if settings.context_length is not None:
            return min(settings.context_length, trained)
        return min(trained, _LONGEST_CONTEXT)

    def _start_scheduler(self, settings: ModelSettings, stack: ExitStack) -> Scheduler:
        usual = tuned(self._model, self._path)
        sequences = settings.sequences or usual.sequences
        threads = settings.threads or usual.threads
        memory = settings.kv_memory * _MEGABYTE if settings.kv_memory else psutil.virtual_memory().total // 8
        per_token, per_sequence = self._bytes_per_token_and_sequence()

        def sizes(needed: int) -> tuple[int, int]:
            """Return how many cells how many sequences have where a request needs so many."""
            cells = _USUAL_CELLS
            while cells < needed:
                cells *= 2
            cells = min(cells, self.context_length)
            affordable = memory // max(1, per_token * (cells + CELLS_BETWEEN) + per_sequence)
            return cells, max(1, min(sequences + _IDLE_SEQUENCES, affordable))

        cells, held = sizes(1)
        self._context = NativeContext(
            self._model, cells=cells, sequences=held, batch_size=settings.batch_size, threads=threads
        )
        stack.callback(self._context.close)
        quantum = None
        if self._context.fixed_kernels and not self._model.keeps_state:
            quantum = row_quantum(self._model, self._path, threads)
        numerics = numerics_of(self._model, self._context, quantum)
        self.revision = replace(self.revision, numerics=numerics)
        return Scheduler(
            self._model,
            self._context,
            self._make_cache(),
            sequences=sequences,
            quantum=None if self._model.keeps_state else quantum or 1,
            sizes=sizes,
            threads=None if settings.threads or self._model.on_gpu else ThreadChoice(threads),
        )

    def _bytes_per_token_and_sequence(self) -> tuple[int, int]:
        """Return what evaluated tokens take in memory, and what a sequence takes besides."""
        if not self._model.keeps_state:
            return self._model.kv_bytes_per_token(), 0
        with closing(NativeContext(self._model, cells=256, sequences=1, batch_size=16, threads=1)) as trial:
            one, two = trial.bytes_of(1), trial.bytes_of(2)
        return two - one, one - (two - one)

    def _make_cache(self) -> PromptCache | SnapshotCache:
        """Return the cache that fits what the model's memory can do, which is tried, not looked up."""
        with closing(NativeContext(self._model, cells=64, sequences=2, batch_size=16, threads=1)) as trial:
            shares = trial.shares_beginnings()
            copies = not shares and trial.copies_states()
        if copies:
            return SnapshotCache(self._context)
        return PromptCache(self._context, shares=shares)

    def _make_engine(self, settings: ModelSettings) -> GGUFEngine:
        return GGUFEngine(
            self._model,
            self._scheduler,
            prompt_tokens=self._prompt_tokens,
            sampling=Sampling(
                temperature=settings.temperature,
                top_p=settings.top_p,
                top_k=settings.top_k,
                min_p=settings.min_p,
                repeat_penalty=settings.repeat_penalty,
                seed=settings.seed,
            ),
            max_tokens=settings.max_tokens,
            context_length=self.context_length,
            thinking="maybe" if settings.think else "never",
            tags=self._tags,
        )

    def _prompt_tokens(self, messages: Messages) -> tuple[Tokens, bool]:
        """Return a prompt's tokens, and whether it ends within the model's thinking."""
        text = self._sealed(messages)
        return self._tokenize(text), text.rstrip().endswith(self._tags.open)

    def _sealed(self, messages: Messages) -> str:
        """Return the prompt, in which no message spells a special token.

        It goes on to where an answer begins that the model doesn't think about.
        """
        return self._template.render(self._quoting.sealed_messages(messages)) + self._skip

    def _tokenize(self, text: str) -> Tokens:
        """Return a prompt's tokens, with the one that begins every text where the model wants it."""
        tokens = self._quoting.tokenize(text)
        if self._model.adds_bos and (not len(tokens) or tokens[0] != self._model.bos):
            return np.concatenate([np.array([self._model.bos], np.int32), tokens])
        return tokens

    def _scorings(self, prompt: str | Messages, continuations: Sequence[str], among: bool) -> list[Scoring]:
        """Return the requests that score continuations: one, or one for each where memory can't be cut."""
        text = prompt if isinstance(prompt, str) else self._sealed(prompt)
        whole = [self._tokenize(text + self._quoting.sealed(continuation)) for continuation in continuations]
        # The last token of a prompt may merge with what follows: score from where all agree with the prompt.
        own = self._tokenize(text)
        start = min((common_prefix(own, tokens) for tokens in whole), default=0)
        for tokens in whole:
            room_for_answer(len(tokens) - 1, self.context_length)
        if not whole:
            return []
        if start == 0:
            raise lm15.InvalidRequestError(
                "A continuation has no log-probability without a prompt; give one that has at least a word."
            )
        answers = [tokens[start:].tolist() for tokens in whole]
        each: Sequence[int | None] = range(len(answers)) if self._model.keeps_state else [None]
        return [
            Scoring(own[:start], answers, among=among, end_token=self._model.eos, only=only) for only in each
        ]

    def _wait(self, requests: Sequence[Scoring]) -> list[Any]:
        for request in requests:
            self._scheduler.submit(request)
        try:
            return [request.future.result() for request in requests]
        except BaseException:
            for request in requests:
                request.cancel()
            raise


def _fingerprint(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is replaced or written to."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
