"""Seeds for everything random in a run, derived from the run's one seed and a place in the run."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dspy


def derive_seed(seed: int, *place: object) -> int:
    """Return a seed in 0..2**31-1 that depends on the run's seed and the place, and on nothing else."""
    text = "/".join(str(part) for part in (seed, *place))
    # 31 bits, so that it fits into a signed 32-bit integer wherever it is sent.
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1


def generator(seed: int, *place: object) -> Random:
    """Return a random generator for one place in the run."""
    return Random(derive_seed(seed, *place))


def sampling_lm(lm: dspy.LM, seed: int, **options: Any) -> dspy.LM:
    """Return `lm` as it samples with `seed`, and with `options`.

    An LM that takes no seed gets none. DSPy's cache keeps the answers of each seed apart.
    """
    if "seed" in lm.supported_params:
        options["seed"] = seed
    if lm.cache:
        options["rollout_id"] = seed
    return lm.copy(**options)
