"""A GGUF file, opened: the model that DSPy talks to, and what the application asks of it besides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import dspy
import numpy as np
import psutil
from dspy import lm15

from models.errors import ModelNotFoundError, RevisionMovedError
from models.gguf import native_log
from models.gguf.engine import AsyncGGUFEngine, GGUFEngine, room_for_answer
from models.gguf.library import NativeContext, NativeModel
from models.gguf.passing_thread import in_passing_thread
from models.gguf.prefix_tree import Tokens, common_prefix
from models.gguf.prompt_cache import PromptCache
from models.gguf.quoting import Quoting, unsealed
from models.gguf.request import Scoring
from models.gguf.sampling import Sampling
from models.gguf.scheduler import Scheduler, Statistics
from models.gguf.snapshot_cache import SnapshotCache
from models.gguf.template import ChatTemplate, thinking_switches
from models.gguf.thread_choice import ThreadChoice
from models.gguf.tuning import tuned
from models.settings import ModelSettings

if TYPE_CHECKING:
    from engine.ground.revision import ModelRevision

_LONGEST_CONTEXT = 8192
_MOST_SEQUENCES = 256
"""What llama.cpp can tell apart."""
_FEWEST_SEQUENCES = 2
_IDLE_SEQUENCES = 32
"""Sequences, besides one for each request, that hold prompts for later ones."""
_CELLS_PER_SEQUENCE = 1024
_MEGABYTE = 2**20


class GGUFModel:
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
        self.sampling = settings.sampling()
        self._path = path
        self._file = _fingerprint(path)
        self._log = native_log.open_log(log_file) if log_file else None
        self._closed = False
        report = functools.partial(on_progress, f"Loading {path.name}") if on_progress else None
        gpu_layers = -1 if settings.gpu_layers is None else settings.gpu_layers
        self._model = in_passing_thread(lambda: NativeModel(path, gpu_layers=gpu_layers, on_progress=report))
        try:
            self._quoting = Quoting(self._model)
            self._template = self._load_template(settings)
            self.context_length = self._context_length(settings)
            self._scheduler = in_passing_thread(lambda: self._start_scheduler(settings))
        except BaseException:
            self._model.close()
            raise
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

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._model.tokenize(text))

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Return how many tokens messages have once the chat template is around them."""
        return len(self._prompt_tokens(messages)[0])

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the exact text that the model reads for these messages.

        Raises:
            ChatTemplateError: the template refuses them.
        """
        return unsealed(self._sealed(messages))

    def score(self, prompt: str | Sequence[Mapping[str, Any]], continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation of a prompt; nothing is generated.

        The prompt is evaluated once for all continuations. In a prompt that is text each special token counts
        as such; in messages and continuations none does.

        Raises:
            ContextLengthError: a continuation doesn't fit behind the prompt.
            InvalidRequestError: the prompt is empty, or has no token before what continues it.
            RequestCancelledError: `cancel` was called meanwhile.
        """
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
        return self._score(own[:start], [tokens[start:].astype(np.int64) for tokens in whole])

    def cancel(self) -> None:
        """End every request; their callers get `RequestCancelledError` within a second."""
        self._scheduler.cancel_all()

    def statistics(self) -> Statistics:
        """Return what the model has evaluated, reused and decoded so far."""
        return self._scheduler.statistics()

    def verify_revision(self) -> None:
        """Check that the file is still the one that was opened.

        Raises:
            RevisionMovedError: it was replaced or changed.
        """
        if not self._path.is_file() or _fingerprint(self._path) != self._file:
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
        self._engine.close()
        self._context.close()
        self._model.close()
        if self._log:
            native_log.close_log(self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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

    def _start_scheduler(self, settings: ModelSettings) -> Scheduler:
        usual = tuned(self._model, self._path)
        sequences = settings.sequences or usual.sequences
        memory = settings.kv_memory * _MEGABYTE if settings.kv_memory else psutil.virtual_memory().total // 8
        most = _MOST_SEQUENCES // 2 if self._model.has_window else _MOST_SEQUENCES
        held = min(2 * sequences + _IDLE_SEQUENCES, most, settings.batch_size)
        per_token, per_sequence = self._bytes_per_token_and_sequence()
        if per_sequence:
            held = max(_FEWEST_SEQUENCES, min(held, memory // 2 // per_sequence))
        wanted = self.context_length + sequences * min(self.context_length, _CELLS_PER_SEQUENCE)
        affordable = max(memory - held * per_sequence, 0) // per_token if per_token else wanted
        cells = max(self.context_length, min(affordable, wanted))
        threads = settings.threads or usual.threads
        self._context = NativeContext(
            self._model,
            cells=cells,
            sequences=held,
            batch_size=settings.batch_size,
            threads=threads,
        )
        cache = self._make_cache(cells, held)
        return Scheduler(
            self._model,
            self._context,
            cache,
            sequences=min(sequences, held),
            mixes=self._model.on_gpu,
            threads=None if settings.threads or self._model.on_gpu else ThreadChoice(threads),
        )

    def _bytes_per_token_and_sequence(self) -> tuple[int, int]:
        """Return what evaluated tokens take in memory, and what a sequence takes besides."""
        if not self._model.keeps_state:
            return self._model.kv_bytes_per_token(), 0
        trial = NativeContext(self._model, cells=256, sequences=1, batch_size=16, threads=1)
        one, two = trial.bytes_of(1), trial.bytes_of(2)
        trial.close()
        return two - one, one - (two - one)

    def _make_cache(self, cells: int, sequences: int) -> PromptCache | SnapshotCache:
        """Return the cache that fits what the model's memory can do, which is tried, not looked up."""
        shares = self._context.shares_beginnings()
        if not shares and self._context.copies_states():
            return SnapshotCache(self._context, cells=cells, sequences=sequences)
        return PromptCache(self._context, cells=cells, sequences=sequences, shares=shares)

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
        )

    def _prompt_tokens(self, messages: Sequence[Mapping[str, Any]]) -> tuple[Tokens, bool]:
        """Return a prompt's tokens, and whether it ends within the model's thinking."""
        text = self._sealed(messages)
        return self._tokenize(text), text.rstrip().endswith("<think>")

    def _sealed(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the prompt, in which no message spells a special token."""
        return self._template.render(self._quoting.sealed_messages(messages))

    def _tokenize(self, text: str) -> Tokens:
        """Return a prompt's tokens, with the one that begins every text where the model wants it."""
        tokens = self._quoting.tokenize(text)
        if self._model.adds_bos and (not len(tokens) or tokens[0] != self._model.bos):
            return np.concatenate([np.array([self._model.bos], np.int32), tokens])
        return tokens

    def _score(self, prompt: Tokens, continuations: Sequence[Any]) -> list[float]:
        firsts = np.array([tokens[0] if len(tokens) else 0 for tokens in continuations], np.int64)
        begin = Scoring(prompt, outputs_from=len(prompt) - 1, targets=[firsts], keep=True)
        totals = [float(value) for value in self._wait([begin])[0][0]]
        rest = [
            Scoring(
                np.concatenate([prompt, tokens[:-1].astype(np.int32)]),
                outputs_from=len(prompt),
                targets=[tokens[i : i + 1] for i in range(1, len(tokens))],
                keep=False,
            )
            for tokens in continuations
            if len(tokens) > 1
        ]
        scores = iter(self._wait(rest))
        for index, tokens in enumerate(continuations):
            if len(tokens) == 0:
                totals[index] = 0.0
            if len(tokens) > 1:
                totals[index] += sum(float(value[0]) for value in next(scores))
        return totals

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
