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

_FIXED = 20
"""What each step costs besides its rows, in rows."""
_ATTENDED = 700
"""Tokens to which a row of a narrow step attends in the time that its matrix products take."""


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
            rate = sum(min(each, width) for each in tokens) / (_FIXED + len(tokens) * width + idle)
            if stream >= oldest.sequence and rate > best_rate:
                best, best_rate = Block(first, len(tokens), width), rate
    assert best is not None
    return best


def answer_block(context: NativeContext, ready: Mapping[Request, int], quantum: int) -> Block:
    """Return the block around the first request's stream that evaluates most for its time.

    It has all streams that answer and those between them, or the neighbours of the first alone.
    """
    tokens = {request.sequence: count for request, count in ready.items()}
    row = 1 + sum(request.evaluated for request in ready) / len(ready) / _ATTENDED
    best, best_rate = None, 0.0
    for first, last in _spans([*tokens], context.sequences, quantum):
        count = last - first + 1
        inside = [tokens[stream] for stream in range(first, last + 1) if stream in tokens]
        capacity = min(context.batch.capacity, count * context.narrow_width)
        for width in sorted({_width(count, each, capacity, quantum) for each in inside} - {0}):
            rate = sum(min(each, width) for each in inside) / (_FIXED + count * width * row)
            if rate > best_rate:
                best, best_rate = Block(first, count, width), rate
    assert best is not None
    return best


def _spans(answering: Sequence[int], streams: int, quantum: int) -> list[tuple[int, int]]:
    """Return the first and last streams of blocks around the first that answers, each also filled up."""
    first = last = answering[0]
    while first - 1 in answering:
        first -= 1
    while last + 1 in answering:
        last += 1
    spans = {(min(answering), max(answering)), (first, last)}
    return sorted(spans | {_filled_up(*span, streams, quantum) for span in spans})


def _filled_up(first: int, last: int, streams: int, quantum: int) -> tuple[int, int]:
    """Return a span with as many more streams as make a multiple of the quantum, if there are so many."""
    while (last - first + 1) % quantum and last - first + 1 < streams:
        first, last = (first, last + 1) if last + 1 < streams else (first - 1, last)
    return first, last


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


def _fill_outputs(outputs: np.ndarray[tuple[int], np.dtype[np.int8]], quantum: int) -> int:
    """Ask for more outputs up to a multiple of the quantum, and return how many there are now."""
    count = int(outputs.sum())
    missing = -count % quantum
    if missing:
        outputs[np.flatnonzero(outputs == 0)[-missing:]] = 1
    return count + missing
