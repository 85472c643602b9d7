"""What a model's answers depend on besides its weights and what it is asked."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llama_cpp.llama_cpp as llama

from models.gguf.context import NativeContext
from models.gguf.library import NativeModel


def numerics_of(model: NativeModel, context: NativeContext, quantum: int | None) -> str:
    """Return a line that is the same wherever the same request gives the same answer bit for bit.

    It names llama.cpp's build, what the processor has that chooses its kernels, and how steps are made up.
    Where it begins with `varying`, an answer may also depend on what else is asked at the time.
    """
    exact = quantum is not None and context.fixed_kernels and not model.keeps_state
    steps = f"rows of {quantum}, tiles from {context.wide_from} through guesses" if exact else "varying"
    where = "GPU" if model.on_gpu else "CPU"
    return f"{steps}; {where} {_processor()}; llama.cpp {version('llama-cpp-python')} ({_build()})"


@cache
def _processor() -> str:
    """Return the processor's features that llama.cpp was built for and found."""
    told = llama.llama_print_system_info().decode("utf-8", "replace")
    features = [part.split(" = ")[0].rpartition(":")[2].strip() for part in told.split("|") if "= 1" in part]
    return " ".join(features)


@cache
def _build() -> str:
    """Return the beginning of a hash of llama.cpp's libraries."""
    digest = hashlib.sha256()
    folder = Path(llama.__file__).with_name("lib")
    for library in sorted({path.resolve() for path in folder.iterdir() if path.is_file()}):
        digest.update(library.read_bytes())
    return digest.hexdigest()[:12]
