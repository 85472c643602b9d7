"""What one step evaluates: a block of streams next to each other, each with as many tokens.

llama.cpp evaluates streams together where they lie side by side and have the same number of tokens; anything
else it takes apart into steps of its own. So places between them are filled with tokens that are forgotten
again, as is what is missing to a number of rows that has its kernel in common with all others (`rows.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.gguf.context import CELLS_BETWEEN, TILE, NativeContext
from models.gguf.scheduling.request import Request

_BLOCK = 32
"""Rows that a matrix product takes about the same time for, up to so many (AMX; elsewhere it is smaller)."""
_FIXED = 8
"""What each step costs besides, in rows."""


@dataclass(frozen=True, slots=True)
class Block:
    """Streams from `first` on, each with `width` tokens."""

    first: int
    streams: int
    width: int


@dataclass(slots=True)
class Part:
    """A request's share of a step."""

    request: Request
    start: int
    """Positions that its sequence had before."""
    length: int
    rows: Sequence[int] = ()
    """Which of the step's outputs are its own."""


@dataclass(slots=True)
class Step:
    """A batch that is filled, and whose it is."""

    parts: list[Part]
    count: int
    outputs: int
    filled: list[tuple[int, int]]
    """Streams that hold tokens to be forgotten, and how many they have without."""


def prompt_block(
    context: NativeContext, ready: Mapping[Request, int], oldest: Request, quantum: int, *, is_wide: bool
) -> Block:
    """Return the block around the oldest request's stream that evaluates most for its time.

    `ready` says how many tokens each request that waits has for a step, which is a wide one or a narrow one.
    """
    least, most = (TILE, context.batch.capacity) if is_wide else (1, context.narrow_width)
    best, best_rate = None, 0.0
    waiting = sorted((request.sequence, count) for request, count in ready.items())
    for low, (first, _) in enumerate(waiting):
        if first > oldest.sequence:
            break
        tokens: list[int] = []
        for stream, count in waiting[low:]:
            if stream != first + len(tokens):
                break
            tokens.append(count)
            capacity = min(context.batch.capacity, len(tokens) * most)
            width = _width(len(tokens), max(*tokens, least), capacity, quantum)
            if width < least or width - min(tokens) > CELLS_BETWEEN:
                continue
            # What is left over in a wide part costs another tile, however few tokens it is.
            idle = sum(max(0, least - (each - width)) for each in tokens if each > width) if is_wide else 0
            rate = sum(min(each, width) for each in tokens) / (_cost(len(tokens) * width) + idle)
            if stream >= oldest.sequence and rate > best_rate:
                best, best_rate = Block(first, len(tokens), width), rate
    assert best is not None
    return best


def answer_block(context: NativeContext, ready: Mapping[Request, int], quantum: int) -> Block:
    """Return a block of all streams that answer, each with as many tokens as pay in a narrow step."""
    streams = [request.sequence for request in ready]
    first, last = min(streams), max(streams)
    while (last - first + 1) % quantum and last - first + 1 < context.sequences:
        first, last = (first, last + 1) if last + 1 < context.sequences else (first - 1, last)
    count = last - first + 1
    capacity = min(context.batch.capacity, count * context.narrow_width)
    widths = {_width(count, tokens, capacity, quantum) for tokens in ready.values()} - {0}
    useful = {
        width: sum(min(tokens, width) for tokens in ready.values()) / _cost(count * width) for width in widths
    }
    return Block(first, count, max(sorted(useful), key=lambda width: useful[width]))


def fill(context: NativeContext, block: Block, ready: Mapping[Request, int], quantum: int) -> Step:
    """Write a block into the context's batch: of each request as many tokens as are `ready`."""
    batch, width = context.batch, block.width
    requests = {request.sequence: request for request in ready}
    count = block.streams * width
    batch.tokens[:count] = 0
    batch.outputs[:count] = 0
    step = Step([], count, 0, [])
    wanted: list[list[int]] = []
    for index in range(block.streams):
        stream, at = block.first + index, index * width
        request = requests.get(stream)
        start = request.evaluated if request else context.length(stream)
        length = min(width, ready[request]) if request else 0
        batch.positions[at : at + width] = range(start, start + width)
        batch.sequences[at : at + width] = stream
        if request:
            batch.tokens[at : at + length] = request.following(length)
            outputs = [at + offset for offset in request.outputs(start, start + length)]
            batch.outputs[outputs] = 1
            wanted.append(outputs)
            step.parts.append(Part(request, start, length))
        if length < width:
            step.filled.append((stream, start + length))
    step.outputs = _fill_outputs(batch.outputs[:count], quantum)
    row = np.cumsum(batch.outputs[:count]) - 1
    for part, outputs in zip(step.parts, wanted, strict=True):
        part.rows = row[outputs].tolist()
    return step


def line(context: NativeContext, requests: Sequence[Request], capacity: int) -> Step:
    """Write tokens of requests one after the other, for memories that can't forget."""
    batch, step, wanted = context.batch, Step([], 0, 0, []), []
    for request in requests:
        length, start, at = min(request.ready, capacity - step.count), request.evaluated, step.count
        if length <= 0:
            break
        batch.tokens[at : at + length] = request.following(length)
        batch.positions[at : at + length] = range(start, start + length)
        batch.sequences[at : at + length] = request.sequence
        batch.outputs[at : at + length] = 0
        outputs = [at + offset for offset in request.outputs(start, start + length)]
        batch.outputs[outputs] = 1
        step.parts.append(Part(request, start, length, range(step.outputs, step.outputs + len(outputs))))
        step.outputs += len(outputs)
        step.count += length
        wanted.append(outputs)
    return step


def _width(streams: int, tokens: int, capacity: int, quantum: int) -> int:
    """Return how many tokens each stream gets, so that the rows are a multiple of the quantum; or 0."""
    unit = quantum // math.gcd(streams, quantum)
    width = -(-tokens // unit) * unit
    most = capacity // streams // unit * unit
    return min(width, most)


def _cost(rows: int) -> int:
    return _FIXED + -(-rows // _BLOCK) * _BLOCK


def _fill_outputs(outputs: np.ndarray[tuple[int], np.dtype[np.int8]], quantum: int) -> int:
    """Ask for more outputs up to a multiple of the quantum, and return how many there are now."""
    count = int(outputs.sum())
    missing = -count % quantum
    if missing:
        outputs[np.flatnonzero(outputs == 0)[-missing:]] = 1
    return count + missing
