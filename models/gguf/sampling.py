"""From a row of logits to the next token: greedy, sampled, and held to a grammar."""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from models.gguf.library import Logits, NativeModel

_PENALTY_WINDOW = 64
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_GRAMMARS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request draws its tokens."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0

    @property
    def penalizes(self) -> bool:
        """Whether earlier tokens change the logits."""
        return self.repeat_penalty != 1.0 or self.frequency_penalty != 0.0 or self.presence_penalty != 0.0

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, so that no sampler is needed."""
        return self.temperature <= 0.0 and not self.penalizes


class Candidates:
    """Tokens with their logits, in the memory that llama.cpp's samplers work on."""

    def __init__(self, size: int) -> None:
        self._data: npt.NDArray[Any] = np.zeros(size, _CANDIDATE)
        self._ids = np.arange(size, dtype=np.int32)
        self._array = llama.llama_token_data_array()
        self._pointer: Any = ctypes.cast(self._data.ctypes.data, llama.llama_token_data_p)
        self.native = ctypes.byref(self._array)

    def fill(self, row: Logits) -> None:
        """Take the whole vocabulary."""
        self._data["id"] = self._ids
        self._data["logit"] = row
        self._reset(len(row))

    def fill_some(self, tokens: npt.NDArray[np.int64], row: Logits) -> None:
        """Take some tokens, in this order."""
        part = self._data[: len(tokens)]
        part["id"] = tokens
        part["logit"] = row[tokens]
        self._reset(len(tokens))

    def fill_one(self, token: int) -> None:
        """Take one token, to ask a grammar about it."""
        self._data[0] = (token, 0.0, 0.0)
        self._reset(1)

    def refused(self) -> bool:
        """Whether a sampler ruled out the first candidate."""
        return bool(self._data["logit"][0] == -np.inf)

    def first_allowed(self) -> int | None:
        """Return the first candidate that is not ruled out."""
        allowed = self._data["logit"][: self._array.size] > -np.inf
        index = int(allowed.argmax())
        return int(self._data["id"][index]) if allowed[index] else None

    def selected(self) -> int:
        """Return the token that a chain has chosen."""
        return int(self._array.data[self._array.selected].id)

    def _reset(self, size: int) -> None:
        self._array.data = self._pointer
        self._array.size = size
        self._array.selected = -1
        self._array.sorted = False


class Grammar:
    """A grammar and how far one answer has come in it."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def clone(self) -> Grammar:
        """Return an independent grammar at the same point."""
        return Grammar(llama.llama_sampler_clone(self._handle))

    def filter(self, candidates: Candidates) -> None:
        """Rule out the candidates that the grammar doesn't allow next."""
        llama.llama_sampler_apply(self._handle, candidates.native)

    def allows(self, token: int, candidates: Candidates) -> bool:
        """Whether a token may come next."""
        candidates.fill_one(token)
        self.filter(candidates)
        return not candidates.refused()

    def accept(self, token: int) -> None:
        """Go on by one allowed token."""
        llama.llama_sampler_accept(self._handle, token)

    def close(self) -> None:
        """Free the grammar."""
        if self._handle:
            llama.llama_sampler_free(self._handle)
            self._handle = None


class GrammarCache:
    """Parses each grammar once per model and hands out copies; thread-safe."""

    def __init__(self, model: NativeModel) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._parsed: OrderedDict[str, Grammar] = OrderedDict()

    def get(self, gbnf: str) -> Grammar:
        """Return a fresh copy of a grammar.

        Raises:
            ValueError: llama.cpp can't parse it.
        """
        with self._lock, self._model.in_use():
            parsed = self._parsed.pop(gbnf, None) or self._parse(gbnf)
            self._parsed[gbnf] = parsed
            if len(self._parsed) > _GRAMMARS_KEPT:
                self._parsed.popitem(last=False)[1].close()
            return parsed.clone()

    def close(self) -> None:
        """Free all parsed grammars."""
        with self._lock:
            for grammar in self._parsed.values():
                grammar.close()
            self._parsed.clear()

    def _parse(self, gbnf: str) -> Grammar:
        handle = llama.llama_sampler_init_grammar(self._model.vocab, gbnf.encode(), b"root")
        if not handle:
            raise ValueError("llama.cpp can't parse the grammar made from this JSON schema.")
        return Grammar(handle)


class TokenSampler:
    """Chooses one answer's tokens; its random numbers are its own, whatever else is in the batch."""

    def __init__(self, sampling: Sampling, grammar: Grammar | None, n_vocab: int) -> None:
        self.greedy = sampling.greedy
        self.grammar = grammar
        self._chain = None if self.greedy else _chain(sampling, n_vocab)

    def choose(self, row: Logits, likeliest: int, candidates: Candidates) -> int | None:
        """Return the next token, or None if the grammar allows none.

        The grammar is asked about the chosen token first: asking about a whole vocabulary costs milliseconds.
        """
        token: int | None = likeliest if self._chain is None else self._draw(row, candidates, held=False)
        if self.grammar is not None and token is not None:
            if not self.grammar.allows(token, candidates):
                token = self._choose_held(row, candidates)
            if token is not None:
                self.grammar.accept(token)
        if self._chain is not None and token is not None:
            llama.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        """Free the samplers."""
        if self._chain is not None:
            llama.llama_sampler_free(self._chain)
            self._chain = None
        if self.grammar is not None:
            self.grammar.close()
            self.grammar = None

    def _choose_held(self, row: Logits, candidates: Candidates) -> int | None:
        """Choose among what the grammar allows."""
        if self._chain is not None:
            return self._draw(row, candidates, held=True)
        assert self.grammar is not None
        size = len(row)
        for count in (min(size, 64), min(size, 2048), size):
            likely = np.argpartition(row, size - count)[size - count :]
            candidates.fill_some(likely[np.argsort(-row[likely], kind="stable")], row)
            self.grammar.filter(candidates)
            token = candidates.first_allowed()
            if token is not None or count == size:
                return token
        return None

    def _draw(self, row: Logits, candidates: Candidates, *, held: bool) -> int | None:
        """Draw from the chain, over the whole vocabulary or what the grammar leaves of it."""
        candidates.fill(row)
        if held and self.grammar is not None:
            self.grammar.filter(candidates)
            if candidates.first_allowed() is None:
                return None
        llama.llama_sampler_apply(self._chain, candidates.native)
        return candidates.selected()


def _chain(sampling: Sampling, n_vocab: int) -> Any:
    """Build llama.cpp's samplers in its usual order."""
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    if sampling.penalizes:
        penalties = llama.llama_sampler_init_penalties(
            n_vocab,
            _PENALTY_WINDOW,
            sampling.repeat_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
        llama.llama_sampler_chain_add(chain, penalties)
    if sampling.temperature <= 0.0:
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_greedy())
        return chain
    if sampling.top_k > 0:
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1.0:
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0.0:
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_min_p(sampling.min_p, 1))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(sampling.temperature))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(sampling.seed & 0xFFFFFFFF))
    return chain


def log_probabilities(row: Logits) -> npt.NDArray[np.float32]:
    """Return a row's log-softmax."""
    shifted = row - row.max()
    result: npt.NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum())
    return result
