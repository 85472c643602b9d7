"""Whether this build of llama.cpp can use AMX, Intel's matrix instructions.

GCC before 12.4 and 13.3 drops writes that they depend on (its bug 114098): a llama.cpp compiled by one of
these for a processor with AMX dies at its first matrix product. Only trying shows it, in another process.
Run as a file, this is that process: it evaluates a few tokens with the GGUF file given.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np

_TRIAL_SECONDS = 60


def usable() -> bool:
    """Return whether models may use AMX, which is tried once for each build of llama.cpp and remembered."""
    # Imported here because the trial runs this file by itself, outside of its package.
    from models.demo import demo_model_path
    from models.user_cache import file_key, recall, remember

    if b"AMX_INT8 = 1" not in llama.llama_print_system_info():
        return True
    libraries = sorted(Path(llama.__file__).with_name("lib").glob("*ggml-cpu*"))
    key = [platform.node(), file_key(*libraries)]
    known = recall("amx", key)
    if isinstance(known, bool):
        return known
    works = _try(demo_model_path())
    remember("amx", key, works)
    return works


def _try(model: Path) -> bool:
    command = [sys.executable, "-P", __file__, str(model)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and file
            command, capture_output=True, timeout=_TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _evaluate(path: str) -> int:
    """Evaluate a few tokens; a broken build doesn't return."""
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    params = llama.llama_context_default_params()
    params.n_ctx = 64
    context = llama.llama_init_from_model(model, params) if model else None
    if not context:
        return 2
    tokens = (llama.llama_token * 8)(*np.arange(8))
    return int(llama.llama_decode(context, llama.llama_batch_get_one(tokens, len(tokens))))


if __name__ == "__main__":
    sys.exit(_evaluate(sys.argv[1]))
