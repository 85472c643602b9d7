"""How many rows a step needs for a row's result not to depend on their number: tried, not looked up.

llama.cpp's matrix kernels change with the number of rows: one alone has its own kernel (with AMX and
without), repacked weights are multiplied four rows at a time and what is left over one by one. Within one
kernel a row gives the same whatever the others are. So steps are filled up to a multiple of some number of
rows, the smallest for which steps of very different sizes agree bit for bit on this processor and build: the
narrow steps among themselves, and the wide ones.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np

from models.gguf.context import TILE, NativeContext
from models.gguf.library import Logits, NativeModel
from models.user_cache import file_key, recall, remember

USUAL = 4
"""What holds for every kernel known so far."""
_TRIED = (USUAL, 8, 16, 32)
_NARROW = ((1, 1), (1, 3), (2, 1), (3, 1), (5, 1), (2, 4), (8, 1), (3, 7))
"""Streams and tokens of steps that have to agree, in multiples of the number tried."""
_WIDE = ((1, 128), (2, 64), (3, 96), (5, 64))
"""Streams and tokens of steps that have to agree with a step of 64 tokens."""
_STREAMS = 8
_MOST_ROWS = 512


def row_quantum(model: NativeModel, path: Path, threads: int) -> int | None:
    """Return the number that each step's rows are to be a multiple of, or None if no number helps.

    It takes a few seconds on a large model, once for each file and build of llama.cpp.
    """
    libraries = sorted(Path(llama.__file__).with_name("lib").glob("*ggml*"))
    key = ["tiles", platform.node(), llama.llama_print_system_info().decode(), file_key(path, *libraries)]
    known = recall("rows", key)
    if isinstance(known, int):
        return known or None
    found = next((quantum for quantum in _TRIED if _agrees(model, quantum, threads)), None)
    remember("rows", key, found or 0)
    return found


def _agrees(model: NativeModel, quantum: int, threads: int) -> bool:
    """Whether steps of a multiple of so many rows give one sequence the same logits, with one thread too."""
    context = NativeContext(model, cells=2 * TILE, sequences=_STREAMS, batch_size=_MOST_ROWS, threads=threads)
    narrow = [
        (streams, multiple * quantum)
        for streams, multiple in _NARROW
        if multiple * quantum <= context.narrow_width
    ]
    try:
        return _agree(context, quantum, narrow, threads) and _agree(context, TILE, _WIDE, threads)
    finally:
        context.close()


def _agree(context: NativeContext, count: int, shapes: Sequence[tuple[int, int]], threads: int) -> bool:
    """Whether the first `count` rows are the same in steps of all shapes, and in their own."""
    context.use_threads(threads)
    expected = _rows(context, 1, count, count)
    for streams, width in shapes:
        if not np.array_equal(_rows(context, streams, width, count), expected):
            return False
    context.use_threads(1)
    return np.array_equal(_rows(context, 3, count, count), expected)


def _rows(context: NativeContext, streams: int, width: int, count: int) -> Logits:
    """Return the first rows of the last of some streams, evaluated together."""
    batch, total = context.batch, streams * width
    batch.tokens[:total] = np.random.default_rng(streams).integers(0, context.n_vocab, total)
    last = slice(total - width, total)
    batch.tokens[last] = np.random.default_rng(0).integers(0, context.n_vocab, 4096)[:width]
    batch.positions[:total] = np.tile(np.arange(width), streams)
    batch.sequences[:total] = np.repeat(np.arange(_STREAMS - streams, _STREAMS), width)
    batch.outputs[:total] = 0
    batch.outputs[last] = 1
    if context.decode(total) != 0:
        raise RuntimeError("llama.cpp can't evaluate a few tokens.")
    rows = np.array(context.logits(width)[:count])
    context.clear()
    return rows
