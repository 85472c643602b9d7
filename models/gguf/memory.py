"""Whether a GGUF model fits into this machine's memory, before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from models.errors import ModelMemoryError
from models.gguf.header import GGUFHeader, read_header, shards
from models.gguf.package import is_installed
from models.settings import DEFAULT_CONTEXT, ModelSettings

BYTES_PER_VALUE = 2
"""Keys and values are kept in 16 bits."""


def check_fits(settings: ModelSettings, *paths: Path) -> None:
    """Say that models don't fit, each beside the others, before minutes are spent on loading them.

    Raises:
        ModelMemoryError: they need more than is free; memory of a GPU is llama.cpp's to check.
        ModelNotFoundError: a file or a shard of it is missing.
        ModelFileError: it is damaged.
    """
    needed, free = [_needed_by_file(path, settings) for path in paths], available_bytes()
    if sum(needed) <= free or _goes_to_gpu(settings):
        return
    names = " and ".join(path.name for path in paths)
    sizes = " + ".join(f"{size / 1e9:.1f}" for size in needed)
    verb, instead = ("need", "one model for both tasks") if len(paths) > 1 else ("needs", "a smaller one")
    raise ModelMemoryError(
        f"{names} {verb} about {sizes} GB of memory, and {free / 1e9:.1f} GB are free.",
        hint="Close programs, lower `context_length` under [model], or choose "
        f"a smaller quantization or {instead}.",
    )


def _needed_by_file(path: Path, settings: ModelSettings) -> int:
    files = shards(path)
    headers = [read_header(file) for file in files]  # each of them, so that a damaged shard is found here
    return needed_bytes(headers[0], sum(file.stat().st_size for file in files), settings.context_length)


def needed_bytes(header: GGUFHeader, file_bytes: int, context_length: int | None = None) -> int:
    """Return about how much memory a model takes: its weights, and the KV cache of one full context."""
    tokens = context_length or min(header.context_length or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    return file_bytes + tokens * kv_bytes_per_token(header)


def kv_bytes_per_token(header: GGUFHeader) -> int:
    """Return what one evaluated token takes in the KV cache; too much for hybrid models, never too little."""
    heads = _largest(header.of_architecture("attention.head_count")) or 1
    kv_heads = _largest(header.of_architecture("attention.head_count_kv")) or heads
    width = _largest(header.of_architecture("embedding_length")) // heads
    key = _largest(header.of_architecture("attention.key_length")) or width
    value = _largest(header.of_architecture("attention.value_length")) or width
    return _largest(header.of_architecture("block_count")) * kv_heads * (key + value) * BYTES_PER_VALUE


def available_bytes() -> int:
    """Return how much memory programs can have now without pushing others out."""
    return psutil.virtual_memory().available


def _goes_to_gpu(settings: ModelSettings) -> bool:
    if settings.gpu_layers == 0:
        return False
    if not is_installed():
        return False
    import llama_cpp

    return bool(llama_cpp.llama_supports_gpu_offload())


def _largest(value: Any) -> int:
    """Return a number of the metadata; some models have one for each layer."""
    if isinstance(value, list):
        return max((_largest(item) for item in value), default=0)
    return value if isinstance(value, int) and value > 0 else 0
