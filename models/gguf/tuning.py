"""How many threads and answers at a time a model is fastest with on this machine: tried once, remembered."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import llama_cpp.llama_cpp as llama
import psutil

from models.gguf.context import NativeContext
from models.gguf.library import NativeModel
from models.user_cache import file_key, recall, remember

SEQUENCES = 16
"""Answers at a time where nothing else was found to be better."""
_TRIED_SEQUENCES = (1, 2, 4, 8, SEQUENCES)
_SHORT_STEP_SECONDS = 0.05
"""Where one token takes longer, it is the weights that take the time: all cores help, and so do many rows."""
_WORTH_IT = 0.9
"""What another setting may take of the usual one's time to be preferred: the rest may be noise."""
_REPEATS = 6
_BUSY = 0.5
"""Share of the cores that other work may keep busy; beyond it a trial tells about that work."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a model's context is made with, unless the project says otherwise."""

    threads: int
    sequences: int


def tuned(model: NativeModel, path: Path) -> Tuning:
    """Return the settings for a model's file, from a trial of a second or so, or an earlier one.

    On a busy machine the usual settings are returned, and the trial is left for another time.
    """
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    usual = Tuning(cores, SEQUENCES)
    if model.keeps_state:
        return usual
    # A home folder may be shared by machines, and another build of llama.cpp may be another kind of fast.
    key = [platform.node(), cores, file_key(path, Path(llama.__file__))]
    known = recall("tuning", key)
    if isinstance(known, dict) and known.keys() == asdict(usual).keys():
        return Tuning(**known)
    if psutil.getloadavg()[0] > _BUSY * cores:
        return usual
    found = _try(model, usual)
    remember("tuning", key, asdict(found))
    return found


def _try(model: NativeModel, usual: Tuning) -> Tuning:
    context = NativeContext(model, cells=64, sequences=SEQUENCES, batch_size=SEQUENCES, threads=usual.threads)
    try:
        if _step_seconds(context, 1) > _SHORT_STEP_SECONDS:
            return usual
        threads = _fastest_threads(context, usual.threads)
        context.use_threads(threads)
        per_token = {rows: _step_seconds(context, rows) / rows for rows in _TRIED_SEQUENCES}
    finally:
        context.close()
    best = min(per_token, key=lambda rows: per_token[rows])
    return Tuning(threads, best if per_token[best] < _WORTH_IT * per_token[SEQUENCES] else SEQUENCES)


def _fastest_threads(context: NativeContext, cores: int) -> int:
    taken = dict.fromkeys(sorted({1, max(1, cores // 2), cores}), float("inf"))
    for _ in range(_REPEATS):  # in turn, so that a busy moment hits all alike
        for threads in taken:
            context.use_threads(threads)
            taken[threads] = min(taken[threads], _step_seconds(context, SEQUENCES, repeats=1))
    best = min(taken, key=lambda threads: taken[threads])
    return best if taken[best] < _WORTH_IT * taken[cores] else cores


def _step_seconds(context: NativeContext, rows: int, repeats: int = _REPEATS) -> float:
    """Return how long the next token of so many answers takes, at best."""
    batch, taken = context.batch, []
    batch.tokens[:rows] = 0
    batch.sequences[:rows] = range(rows)
    batch.outputs[:rows] = 1
    for position in range(repeats + 1):  # the first one warms up
        batch.positions[:rows] = position
        began = time.perf_counter()
        context.decode(rows)
        context.logits(rows)
        taken.append(time.perf_counter() - began)
    context.clear()
    return min(taken[1:])
