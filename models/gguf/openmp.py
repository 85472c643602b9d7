"""How long the threads of OpenMP, which llama.cpp computes with, wait awake for each other."""

from __future__ import annotations

import os

_TURNS = "10000"
"""About 0.1 ms. Threads that are awake meet at once, and a small model's step has hundreds of such meetings;
but where other programs want the cores, a thread that waits awake keeps the one it waits for from running."""


def wait_briefly() -> None:
    """Choose a short wait, GNU's is 3 ms, before llama.cpp is loaded; what the environment says stands."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _TURNS)
