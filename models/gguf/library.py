"""A thin, typed layer over llama.cpp's C interface: a model's file, and a context that evaluates tokens."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt
from dspy import lm15

from models.errors import ModelFileError, ModelMemoryError
from models.gguf import amx, native_log
from models.gguf.prefix_tree import Tokens

Logits = npt.NDArray[np.float32]

ABORTED = 2
NO_ROOM = 1

# The package's own binding returns a pointer object; an address costs a fifth of that on every step.
_get_logits = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(("llama_get_logits", llama._lib))

# llama.cpp asks "abort?" before each operation, from its own thread. A Python callback would take the GIL
# thousands of times a second. The C function strlen gives the same answer for a buffer that holds "" or "x".
_strlen = ctypes.cast(ctypes.CDLL(None if hasattr(ctypes, "pythonapi") else "msvcrt").strlen, ctypes.c_void_p)
_abort_callback = ctypes.cast(_strlen, llama.ggml_abort_callback)


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that steers the model and that no text of a person should spell."""

    token: int
    text: str
    strips_left: bool
    """Whether blanks before it belong to it."""
    strips_right: bool


class NativeModel:
    """The weights and the vocabulary of one GGUF file."""

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int,
        vocabulary_only: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        native_log.install()
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_extra_bufts = amx.usable()
        params.vocab_only = vocabulary_only
        report = on_progress or (lambda _fraction: None)

        def progress(fraction: float, _data: int | None) -> bool:
            report(fraction)
            return True

        callback = llama.llama_progress_callback(progress)
        params.progress_callback = callback
        self.handle = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise ModelFileError(
                f"llama.cpp can't load {path}.",
                hint="The file may be incomplete or of an architecture that this version doesn't know; "
                "the log says which.",
            )
        if llama.llama_model_has_encoder(self.handle) or not llama.llama_model_has_decoder(self.handle):
            llama.llama_model_free(self.handle)
            raise ModelFileError(f"{path} is no model that continues a text.", hint="Choose a chat model.")
        self.vocab = llama.llama_model_get_vocab(self.handle)
        self.n_vocab: int = llama.llama_vocab_n_tokens(self.vocab)
        self.on_gpu = gpu_layers != 0 and bool(llama.llama_supports_gpu_offload())
        self.context_length: int = llama.llama_model_n_ctx_train(self.handle)
        self._pieces: list[bytes | None] = [None] * self.n_vocab
        self._calls = 0
        self._closed = False
        self._idle = threading.Condition()
        self.end_tokens = frozenset(t for t in range(self.n_vocab) if llama.llama_vocab_is_eog(self.vocab, t))

    def metadata(self, key: str) -> str | None:
        """Return a value of the file's metadata as text."""
        buffer = ctypes.create_string_buffer(256)
        if llama.llama_model_meta_val_str(self.handle, key.encode(), cast(Any, buffer), 256) < 0:
            return None
        return buffer.value.decode("utf-8", "replace")

    def chat_template(self) -> str | None:
        """Return the file's own chat template."""
        text = llama.llama_model_chat_template(self.handle, None)
        return text.decode("utf-8", "replace") if text else None

    def special_tokens(self) -> list[SpecialToken]:
        """Return the tokens that `tokenize` knows with `special` alone."""
        kinds = list(map(llama.llama_vocab_get_attr, repeat(self.vocab, self.n_vocab), range(self.n_vocab)))
        return [
            SpecialToken(
                token,
                self.special_text(token),
                strips_left=bool(kind & llama.LLAMA_TOKEN_ATTR_LSTRIP),
                strips_right=bool(kind & llama.LLAMA_TOKEN_ATTR_RSTRIP),
            )
            for token, kind in enumerate(kinds)
            if kind & (llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN)
        ]

    def special_text(self, token: int) -> str:
        """Return how a special token is written, or nothing if the vocabulary has no such token."""
        return llama.llama_vocab_get_text(self.vocab, token).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def bos(self) -> int:
        """The token that begins a text, or -1."""
        return int(llama.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> int:
        """The token that ends a text, or -1."""
        return int(llama.llama_vocab_eos(self.vocab))

    @property
    def adds_bos(self) -> bool:
        """Whether every prompt has to begin with `bos`."""
        return bool(llama.llama_vocab_get_add_bos(self.vocab)) and self.bos >= 0

    def tokenize(self, text: str, *, special: bool = True) -> Tokens:
        """Return a text's tokens; `special` reads `<|im_start|>` and the like as one token. Thread-safe."""
        data = text.encode()
        room = len(data) + 8
        buffer = np.empty(room, np.int32)
        pointer = _pointer(buffer, llama.llama_token)
        with self.in_use():
            count = llama.llama_tokenize(self.vocab, data, len(data), pointer, room, False, special)
        return buffer[:count].copy()

    def piece(self, token: int) -> bytes:
        """Return the bytes that a token stands for; none for a control token."""
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    @property
    def has_window(self) -> bool:
        """Whether some layers look back no further than a sliding window."""
        return bool(llama.llama_model_n_swa(self.handle) > 0)

    @property
    def keeps_state(self) -> bool:
        """Whether a sequence takes memory besides that of its tokens, as recurrent and hybrid ones do."""
        return bool(llama.llama_model_is_recurrent(self.handle) or llama.llama_model_is_hybrid(self.handle))

    def kv_bytes_per_token(self) -> int:
        """Return what one evaluated token takes in memory, with 16-bit keys and values."""
        layers = llama.llama_model_n_layer(self.handle)
        heads = llama.llama_model_n_head(self.handle) or 1
        kv_heads = llama.llama_model_n_head_kv(self.handle) or heads
        architecture = self.metadata("general.architecture") or ""
        width = llama.llama_model_n_embd(self.handle) // heads
        key = int(self.metadata(f"{architecture}.attention.key_length") or width)
        value = int(self.metadata(f"{architecture}.attention.value_length") or width)
        return int(layers * kv_heads * (key + value) * 2)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `close` from freeing the model under a caller's feet.

        Raises:
            ServerError: the model is closed.
        """
        with self._idle:
            if self._closed:
                raise lm15.ServerError("The model is closed.")
            self._calls += 1
        try:
            yield
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Free the weights once nobody uses them."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._calls == 0)
        if self.handle:
            llama.llama_model_free(self.handle)
            self.handle = None

    def _read_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            with self.in_use():
                length = llama.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
            if length >= 0:
                return buffer.raw[:length]
            size = -length


class Batch:
    """Tokens for one step, in buffers that are made once."""

    def __init__(self, capacity: int, *, twins: int = 0) -> None:
        self.capacity = capacity
        self.tokens = np.zeros(capacity, np.int32)
        self.positions = np.zeros(capacity, np.int32)
        self._owners = np.zeros((capacity, 2), np.int32)
        self.sequences = self._owners[:, 0]
        self.outputs = np.zeros(capacity, np.int8)
        self._twins = twins
        self._counts = np.full(capacity, 2 if twins else 1, np.int32)
        self._pointers = self._owners.ctypes.data + 8 * np.arange(capacity, dtype=np.uintp)
        self.native = llama.llama_batch(
            n_tokens=0,
            token=_pointer(self.tokens, llama.llama_token),
            embd=None,
            pos=_pointer(self.positions, llama.llama_pos),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=_pointer(self._pointers, ctypes.POINTER(llama.llama_seq_id)),
            logits=_pointer(self.outputs, ctypes.c_int8),
        )

    def take(self, count: int) -> Any:
        """Return the first tokens as llama.cpp takes them."""
        if self._twins:
            self._owners[:count, 1] = self._owners[:count, 0] + self._twins
        self.native.n_tokens = count
        return self.native


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    """Return an array's memory as a C pointer; the array must outlive it."""
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))


class NativeContext:
    """Evaluates batches over one KV cache; used by one thread at a time, except `abort`.

    llama.cpp gives away a cell that one sequence alone holds once it has left that sequence's sliding window,
    though a prompt that shares an earlier part still needs it. So where a model has such a window, each
    sequence has a twin which holds the same cells.
    """

    def __init__(
        self, model: NativeModel, *, cells: int, sequences: int, batch_size: int, threads: int
    ) -> None:
        params = llama.llama_context_default_params()
        params.n_ctx = cells
        self._twins = sequences if model.has_window and not model.keeps_state else 0
        params.n_seq_max = sequences + self._twins
        params.n_batch = max(batch_size, params.n_seq_max)
        params.n_ubatch = min(params.n_batch, 512)
        params.n_threads = params.n_threads_batch = self._threads = threads
        params.kv_unified = True
        params.swa_full = True
        params.no_perf = True
        self._abort = ctypes.create_string_buffer(2)
        params.abort_callback = _abort_callback
        params.abort_callback_data = ctypes.addressof(self._abort)
        self.handle = llama.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise ModelMemoryError(
                f"llama.cpp can't make a context of {cells:,} tokens.",
                hint="Set a smaller `context_length` under [model], or close other programs.",
            )
        self.memory = llama.llama_get_memory(self.handle)
        self.batch = Batch(batch_size, twins=self._twins)
        self._n_vocab = model.n_vocab

    def use_threads(self, threads: int) -> None:
        """Let the next steps have so many threads."""
        if threads != self._threads:
            self._threads = threads
            llama.llama_set_n_threads(self.handle, threads, threads)

    def decode(self, count: int) -> int:
        """Evaluate the first tokens of the batch; 0, NO_ROOM, ABORTED, or below 0 for a fatal error."""
        return int(llama.llama_decode(self.handle, self.batch.take(count)))

    def logits(self, rows: int) -> Logits:
        """Return the last step's outputs in the batch's order, valid until the next step."""
        address = _get_logits(self.handle)
        buffer = (ctypes.c_float * (rows * self._n_vocab)).from_address(address)
        return np.ctypeslib.as_array(buffer).reshape(rows, self._n_vocab)

    def copy(self, source: int, target: int, length: int) -> None:
        """Let `target` share the first positions of `source`; no data moves."""
        llama.llama_memory_seq_cp(self.memory, source, target, 0, length)
        if self._twins:
            llama.llama_memory_seq_cp(self.memory, source, target + self._twins, 0, length)

    def cut(self, sequence: int, length: int) -> bool:
        """Forget what a sequence has from position `length` on; False if this model's memory can't."""
        begin = length if length else -1
        if self._twins:
            llama.llama_memory_seq_rm(self.memory, sequence + self._twins, begin, -1)
        return bool(llama.llama_memory_seq_rm(self.memory, sequence, begin, -1))

    def shares_beginnings(self) -> bool:
        """Try whether a sequence can go on from the middle of another one; the cache is empty afterwards.

        Recurrent memory can't be cut, whatever a model's name says, and its state can't be copied in part.
        """
        tokens = np.arange(4, dtype=np.int32) % self._n_vocab
        whole = self._evaluate(tokens, 0, sequence=0)
        self.copy(0, 1, 2)
        held = llama.llama_memory_seq_pos_max(self.memory, 1)
        continued = self._evaluate(tokens[2:], 2, sequence=1) if held == 1 else None
        shares = (
            continued is not None
            and _are_close(whole, continued)
            and self.cut(0, 2)
            and llama.llama_memory_seq_pos_max(self.memory, 0) == 1
        )
        llama.llama_memory_clear(self.memory, True)
        return bool(shares)

    def copies_states(self) -> bool:
        """Try whether a whole sequence and its copy go on independently; the cache is empty afterwards."""
        tokens = np.arange(4, dtype=np.int32) % self._n_vocab
        whole = self._evaluate(tokens, 0, sequence=0)
        llama.llama_memory_clear(self.memory, True)
        self._evaluate(tokens[:2], 0, sequence=0)
        self.copy(0, 1, 2)
        continued = [self._evaluate(tokens[2:], 2, sequence=sequence) for sequence in (1, 0)]
        llama.llama_memory_clear(self.memory, True)
        return all(_are_close(whole, logits) for logits in continued)

    def bytes_of(self, tokens: int) -> int:
        """Return what a sequence of so many tokens takes in memory; the cache is empty afterwards."""
        self._evaluate(np.zeros(tokens, np.int32), 0, sequence=0)
        size = int(llama.llama_state_seq_get_size(self.handle, 0))
        llama.llama_memory_clear(self.memory, True)
        return size

    def _evaluate(self, tokens: Tokens, start: int, *, sequence: int) -> Logits:
        """Evaluate a few tokens and return the logits after the last one."""
        count, batch = len(tokens), self.batch
        batch.tokens[:count] = tokens
        batch.positions[:count] = range(start, start + count)
        batch.sequences[:count] = sequence
        batch.outputs[:count] = 0
        batch.outputs[count - 1] = 1
        if self.decode(count) != 0:
            raise ModelFileError("The model can't evaluate a few tokens.", hint="The log may say why.")
        return np.array(self.logits(1)[0])

    def abort(self, wanted: bool) -> None:
        """Make the step that is running, and any after it, end at once; from any thread."""
        self._abort[0] = b"x" if wanted else b"\0"

    def close(self) -> None:
        """Free the KV cache."""
        if self.handle:
            llama.llama_free(self.handle)
            self.handle = None


def _are_close(left: Logits, right: Logits) -> bool:
    """Whether two rows are the same but for the order of sums."""
    return bool(np.allclose(left, right, atol=0.02 * float(np.ptp(left))))
