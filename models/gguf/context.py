"""A context that evaluates tokens: one KV stream a sequence, and one attention kernel for all of them.

What a token's evaluation gives must depend on the tokens before it and on nothing else. Three things of
llama.cpp's would change the order of its sums, and so the last bits, which grow from layer to layer:

- Where the cells of a sequence lie among those of others. Here each sequence has a stream of its own, and as
  only its end is ever cut, a token's cell is its position.
- Which kernel computes attention: on a CPU there are three, chosen by how many tokens a stream has in a step.
  From 64 on they are computed in tiles, several times as fast behind a long beginning. So prompts are read in
  wide steps of at least so many from some position on, and with them the opening of the answer; their
  beginning and the rest of the answer in narrow steps of fewer. One token of one stream alone has the third
  kernel, and never comes. Where steps can't be filled up, because the memory can't forget, keys and values
  of two 16-bit types leave one kernel.
- Which kernel multiplies matrices: that depends on the number of rows, see `rows.py`.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from models.errors import ModelFileError, ModelMemoryError
from models.gguf.library import Logits, NativeModel, pointer_to
from models.gguf.prefix_tree import Tokens

ABORTED = 2
CELLS_BETWEEN = 64
"""Cells at the end of each stream for the tokens that fill a step up."""
TILE = 64
"""Tokens of a stream from which on llama.cpp computes their attention in tiles."""
_TILED_FROM = 384
"""The position from which on some fifty tokens take longer one by one than sixty-four in tiles."""
_F16, _BF16 = 1, 30
_LARGEST_STEP = 512

# The package's own binding returns a pointer object; an address costs a fifth of that on every step.
_get_logits = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(("llama_get_logits", llama._lib))

# llama.cpp asks "abort?" before each operation, from its own thread. A Python callback would take the GIL
# thousands of times a second. The C function strlen gives the same answer for a buffer that holds "" or "x".
_strlen = ctypes.cast(ctypes.CDLL(None if hasattr(ctypes, "pythonapi") else "msvcrt").strlen, ctypes.c_void_p)
_abort_callback = ctypes.cast(_strlen, llama.ggml_abort_callback)


class Batch:
    """Tokens for one step, in buffers that are made once."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.tokens = np.zeros(capacity, np.int32)
        self.positions = np.zeros(capacity, np.int32)
        self.sequences = np.zeros(capacity, np.int32)
        self.outputs = np.zeros(capacity, np.int8)
        self._counts = np.ones(capacity, np.int32)
        self._pointers = self.sequences.ctypes.data + 4 * np.arange(capacity, dtype=np.uintp)
        self.native = llama.llama_batch(
            n_tokens=0,
            token=pointer_to(self.tokens, llama.llama_token),
            embd=None,
            pos=pointer_to(self.positions, llama.llama_pos),
            n_seq_id=pointer_to(self._counts, ctypes.c_int32),
            seq_id=pointer_to(self._pointers, ctypes.POINTER(llama.llama_seq_id)),
            logits=pointer_to(self.outputs, ctypes.c_int8),
        )

    def take(self, count: int) -> Any:
        """Return the first tokens as llama.cpp takes them."""
        self.native.n_tokens = count
        return self.native


class NativeContext:
    """Evaluates batches over one KV cache; used by one thread at a time, except `abort`."""

    def __init__(
        self, model: NativeModel, *, cells: int, sequences: int, batch_size: int, threads: int
    ) -> None:
        """Make room for `sequences` of `cells` tokens each.

        Raises:
            ModelMemoryError: there is none.
        """
        self.cells = cells
        self.sequences = sequences
        self._model = model
        self._threads = threads
        self._abort = ctypes.create_string_buffer(2)
        self._tiles = not (model.on_gpu or model.keeps_state)
        self._batch_size = max(min(batch_size, _LARGEST_STEP), TILE if self._tiles else 1)
        self.fixed_kernels = False
        """Whether a token's place in its prompt or answer says which kernel its attention has."""
        self.handle = self._open()
        self.memory = llama.llama_get_memory(self.handle)
        self.batch = Batch(max(self._batch_size, sequences))
        self.n_vocab = model.n_vocab
        self._copied: tuple[int, Any, int] | None = None
        """The sequence whose cells were last copied, their bytes and how many tokens they are."""

    @property
    def wide_from(self) -> int:
        """The position from which on prompts are read in wide steps."""
        return _TILED_FROM if self._tiles else self.cells

    @property
    def narrow_width(self) -> int:
        """The most tokens that a stream may have in a narrow step."""
        return TILE - 1 if self._tiles else self.batch.capacity

    def _open(self) -> Any:
        has_one_type = self._model.on_gpu or self._tiles
        types = [(_F16, _F16)] if has_one_type else [(_F16, _BF16), (_F16, _F16)]
        for keys, values in types:
            handle = llama.llama_init_from_model(self._model.handle, self._params(keys, values))
            if handle:
                self.fixed_kernels = self._tiles or keys != values
                return handle
        raise ModelMemoryError(
            f"llama.cpp can't make a context of {self.sequences} times {self.cells:,} tokens.",
            hint="Set a smaller `context_length` under [model], or close other programs.",
        )

    def _params(self, keys: int, values: int) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = (self.cells + CELLS_BETWEEN) * self.sequences
        params.n_seq_max = self.sequences
        params.n_batch = params.n_ubatch = max(self._batch_size, self.sequences)
        params.n_threads = params.n_threads_batch = self._threads
        params.kv_unified = False
        params.flash_attn_type = -1 if self._model.on_gpu else 1
        params.type_k, params.type_v = keys, values
        params.swa_full = True
        params.no_perf = True
        params.abort_callback = _abort_callback
        params.abort_callback_data = ctypes.addressof(self._abort)
        return params

    def resize(self, cells: int, sequences: int) -> None:
        """Make other room; what was evaluated is forgotten.

        Raises:
            ModelMemoryError: there is none.
        """
        self.close()
        self._copied = None
        self.cells, self.sequences = cells, sequences
        self.handle = self._open()
        self.memory = llama.llama_get_memory(self.handle)

    def use_threads(self, threads: int) -> None:
        """Let the next steps have so many threads."""
        if threads != self._threads:
            self._threads = threads
            llama.llama_set_n_threads(self.handle, threads, threads)

    def decode(self, count: int) -> int:
        """Evaluate the first tokens of the batch; 0, ABORTED, or something else for a fatal error."""
        return int(llama.llama_decode(self.handle, self.batch.take(count)))

    def logits(self, rows: int) -> Logits:
        """Return the last step's outputs in the batch's order, valid until the next step."""
        address = _get_logits(self.handle)
        buffer = (ctypes.c_float * (rows * self.n_vocab)).from_address(address)
        return np.ctypeslib.as_array(buffer).reshape(rows, self.n_vocab)

    def length(self, sequence: int) -> int:
        """Return how many positions a sequence holds."""
        return int(llama.llama_memory_seq_pos_max(self.memory, sequence)) + 1

    def copy(self, source: int, target: int, length: int) -> None:
        """Give `target` the first positions of `source`, in place of what it has."""
        self.cut(target, 0)
        if self._model.keeps_state or self._model.has_window:
            llama.llama_memory_seq_cp(self.memory, source, target, -1, -1)
        else:  # llama.cpp would copy all cells of the stream, also those that are empty
            data, size = self._bytes_of(source, length)
            if llama.llama_state_seq_set_data(self.handle, data, size, target) != size:
                raise RuntimeError("llama.cpp can't copy a sequence.")
        if not self._model.keeps_state:
            llama.llama_memory_seq_rm(self.memory, target, length, -1)

    def cut(self, sequence: int, length: int) -> bool:
        """Forget what a sequence has from position `length` on; False if this model's memory can't."""
        if self._copied and self._copied[0] == sequence and length < self._copied[2]:
            self._copied = None
        return bool(llama.llama_memory_seq_rm(self.memory, sequence, length or -1, -1))

    def clear(self) -> None:
        """Forget everything."""
        self._copied = None
        llama.llama_memory_clear(self.memory, True)

    def _bytes_of(self, sequence: int, length: int) -> tuple[Any, int]:
        """Return at least the first positions of a sequence as bytes; copies come in rows from one source."""
        if self._copied is None or self._copied[0] != sequence or self._copied[2] < length:
            size = int(llama.llama_state_seq_get_size(self.handle, sequence))
            data = (ctypes.c_uint8 * size)()
            if llama.llama_state_seq_get_data(self.handle, data, size, sequence) != size:
                raise RuntimeError("llama.cpp can't read a sequence.")
            self._copied = (sequence, data, self.length(sequence))
        return self._copied[1], len(self._copied[1])

    def shares_beginnings(self) -> bool:
        """Try whether a sequence can go on from the middle of another one; the cache is empty afterwards.

        Recurrent memory can't be cut, whatever a model's name says, and its state can't be copied in part.
        """
        tokens = np.arange(4, dtype=np.int32) % self.n_vocab
        whole = self._evaluate(tokens, 0, sequence=0)
        self.copy(0, 1, 2)
        continued = self._evaluate(tokens[2:], 2, sequence=1) if self.length(1) == 2 else None
        shares = (
            continued is not None and _are_close(whole, continued) and self.cut(0, 2) and self.length(0) == 2
        )
        self.clear()
        return bool(shares)

    def copies_states(self) -> bool:
        """Try whether a whole sequence and its copy go on independently; the cache is empty afterwards."""
        tokens = np.arange(4, dtype=np.int32) % self.n_vocab
        whole = self._evaluate(tokens, 0, sequence=0)
        self.clear()
        self._evaluate(tokens[:2], 0, sequence=0)
        self.copy(0, 1, 2)
        continued = [self._evaluate(tokens[2:], 2, sequence=sequence) for sequence in (1, 0)]
        self.clear()
        return all(_are_close(whole, logits) for logits in continued)

    def bytes_of(self, tokens: int) -> int:
        """Return what a sequence of so many tokens takes in memory; the cache is empty afterwards."""
        self._evaluate(np.zeros(tokens, np.int32), 0, sequence=0)
        size = int(llama.llama_state_seq_get_size(self.handle, 0))
        self.clear()
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
