"""Writes GGUF files with random weights of a real model's shape: speed depends on the shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@dataclass(frozen=True)
class Shape:
    """A llama-style decoder's dimensions."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    vocabulary: int
    context: int


HALF_BILLION = Shape("random-0.5b", 896, 24, 14, 2, 4864, 32_768, 32_768)


def byte_letters() -> list[str]:
    """Return GPT-2's printable stand-in for each of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Return tokens and merges: the bytes, then pairs of letters and pairs of pairs, as BPE makes them."""
    tokens = [*SPECIALS, *byte_letters()]
    merges: list[str] = []
    known = set(tokens)
    units = ["Ġ", *"etaoinshrdlucmfwypvbgkqjxz"]
    while len(tokens) < size:
        longer = []
        for left in units:
            for right in units:
                if left + right not in known and right[0] != "Ġ" and len(tokens) < size:
                    known.add(left + right)
                    tokens.append(left + right)
                    merges.append(f"{left} {right}")
                    longer.append(left + right)
        units = longer[:400]
    return tokens, merges


def write_random_model(path: Path, shape: Shape, seed: int = 0) -> Path:
    """Write a Q8_0 GGUF of the shape; about a second per 100 MB."""
    random = np.random.default_rng(seed)
    tokens, merges = vocabulary(shape.vocabulary)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(shape.name)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIALS) + [1] * (len(tokens) - len(SPECIALS)))
    writer.add_token_merges(merges)
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)
    for name, dimensions in _tensors(shape).items():
        _add(writer, random, name, dimensions)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(shape: Shape) -> dict[str, tuple[int, ...]]:
    width, kv_width = shape.width, shape.width // shape.heads * shape.kv_heads
    tensors: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (shape.vocabulary, width),
        "output_norm.weight": (width,),
    }
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        tensors |= {
            f"{block}.attn_norm.weight": (width,),
            f"{block}.attn_q.weight": (width, width),
            f"{block}.attn_k.weight": (kv_width, width),
            f"{block}.attn_v.weight": (kv_width, width),
            f"{block}.attn_output.weight": (width, width),
            f"{block}.ffn_norm.weight": (width,),
            f"{block}.ffn_gate.weight": (shape.hidden, width),
            f"{block}.ffn_up.weight": (shape.hidden, width),
            f"{block}.ffn_down.weight": (width, shape.hidden),
        }
    return tensors


def _add(writer: Any, random: np.random.Generator, name: str, dimensions: tuple[int, ...]) -> None:
    if len(dimensions) == 1:
        writer.add_tensor(name, np.ones(dimensions, np.float32))
        return
    values = random.standard_normal(dimensions, np.float32) / np.float32(np.sqrt(dimensions[-1]))
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
