"""Native work in a thread that ends with it, and takes its OpenMP threads along.

GNU's OpenMP, which llama.cpp is built with, keeps a team for each thread that ever computed something. Once
the teams have more threads than the machine has cores, they no longer wait for each other awake but in the
kernel, and a small model's step takes three times as long. So only a scheduler's thread keeps a team.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_passing_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises."""
    with ThreadPoolExecutor(1, thread_name_prefix="gguf-passing") as executor:
        return executor.submit(work).result()
