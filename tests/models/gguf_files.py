"""GGUF headers as bytes, well-formed or not, for what no model maker writes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

UINT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 6, 7, 8, 9, 10


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value_of(value: Any) -> bytes:
    """Return a value with its type before it."""
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value)
    items = [value_of(item) for item in value]
    kind = items[0][:4] if items else struct.pack("<I", UINT32)
    return (
        struct.pack("<I", ARRAY) + kind + struct.pack("<Q", len(items)) + b"".join(item[4:] for item in items)
    )


def header_bytes(
    metadata: dict[str, Any],
    tensors: dict[str, tuple[tuple[int, ...], int]] | None = None,
    *,
    version: int = 3,
) -> bytes:
    """Return a header; `tensors` maps names to dimensions and where their data begins."""
    tensors = tensors or {}
    data = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        data += text(key) + value_of(value)
    for name, (dimensions, offset) in tensors.items():
        data += text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        data += struct.pack("<IQ", 0, offset)
    return data


MODEL = {
    "general.architecture": "qwen3",
    "general.name": "Qwen3 0.6B",
    "general.file_type": 15,
    "qwen3.context_length": 40_960,
    "qwen3.block_count": 28,
    "qwen3.embedding_length": 1024,
    "qwen3.attention.head_count": 16,
    "qwen3.attention.head_count_kv": 8,
    "qwen3.attention.key_length": 128,
    "qwen3.attention.value_length": 128,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.chat_template": "{{ messages }}",
}


def write_model(path: Path, metadata: dict[str, Any] | None = None, *, body: int = 4096) -> Path:
    """Write a file whose header is that of a model and whose weights are zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {"a": ((1000, 300), 0), "b": ((300_000,), 1024)}
    path.write_bytes(header_bytes(metadata or MODEL, tensors) + bytes(body))
    return path
