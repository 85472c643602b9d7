"""Export: the trained network and its tokenizer as one GGUF file that llama.cpp loads."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from models.demo.training.effort import METADATA_PREFIX, Effort
from models.demo.training.network import Network
from models.demo.training.prompts import CHAT_TEMPLATE, END
from models.demo.training.tokenizer import CONTROL, PAD

NAME = "PromptGrad demo"

_HEAD_WIDTH = 64
"""A head's width in the file, zeros included: with AVX-512 llama.cpp's attention takes 64 numbers at a time,
and one at a time where a head has fewer."""

_BLOCK_TENSORS = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def export(network: Network, effort: Effort, tokenizer: Tokenizer, path: Path) -> None:
    """Write `network` to `path`: matrices in Q8_0, vectors in float32."""
    writer = gguf.GGUFWriter(path, "llama")
    _write_shape(writer, network)
    _write_effort(writer, effort)
    _write_tokenizer(writer, tokenizer, network.shape.vocabulary)
    _add(writer, "token_embd.weight", _numbers(network.embedding.weight))
    for number, block in enumerate(network.blocks):
        for ours, theirs in _BLOCK_TENSORS.items():
            values = _numbers(getattr(block, ours).weight)
            _add(writer, f"blk.{number}.{theirs}.weight", _widened(ours, values, network.shape.heads))
    _add(writer, "output_norm.weight", _numbers(network.norm.weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_shape(writer: gguf.GGUFWriter, network: Network) -> None:
    shape = network.shape
    writer.add_name(NAME)
    writer.add_license("MIT")
    writer.add_description(
        "Knows one small support desk and the prompts of PromptGrad; made for its demo and tests."
    )
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(_HEAD_WIDTH)
    writer.add_key_length(_HEAD_WIDTH)
    writer.add_value_length(_HEAD_WIDTH)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _write_effort(writer: gguf.GGUFWriter, effort: Effort) -> None:
    writer.add_uint32(f"{METADATA_PREFIX}.steps", effort.steps)
    writer.add_uint64(f"{METADATA_PREFIX}.tokens", effort.tokens)
    writer.add_float32(f"{METADATA_PREFIX}.minutes", effort.minutes)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, size: int) -> None:
    state = json.loads(tokenizer.to_str())
    ids = tokenizer.get_vocab(with_added_tokens=True)
    texts = [f"<|unused-{number}|>" for number in range(size)]
    kinds = [gguf.TokenType.UNUSED] * size
    for text, number in ids.items():
        texts[number], kinds[number] = text, gguf.TokenType.NORMAL
    for added in state["added_tokens"]:
        kinds[added["id"]] = (
            gguf.TokenType.CONTROL if added["content"] in CONTROL else gguf.TokenType.USER_DEFINED
        )
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in state["model"]["merges"]])
    writer.add_eos_token_id(ids[END])
    writer.add_eot_token_id(ids[END])
    writer.add_pad_token_id(ids[PAD])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _numbers(weight: object) -> np.ndarray:
    values: np.ndarray = weight.detach().float().numpy()  # type: ignore[attr-defined]
    return values


def _widened(part: str, values: np.ndarray, heads: int) -> np.ndarray:
    """Return a matrix of a block for heads of `_HEAD_WIDTH`, which computes the same.

    Rotary angles depend on a pair's place and on the head's width: each pair keeps its angles where zeros
    follow it. Scores are divided by the root of the width, which the query makes up for.
    """
    if part == "output":
        return np.ascontiguousarray(_with_zeros(values.T, heads).T)
    if part not in ("query", "key", "value"):
        return values
    wide = _with_zeros(values, heads)
    return wide * np.float32(np.sqrt(len(wide) / len(values))) if part == "query" else wide


def _with_zeros(rows: np.ndarray, heads: int) -> np.ndarray:
    """Return rows, (heads * width, n), with zeros behind each pair of them, (heads * `_HEAD_WIDTH`, n)."""
    pairs = rows.reshape(heads, -1, 2, rows.shape[1])
    times = _HEAD_WIDTH // (2 * pairs.shape[1])
    wide = np.zeros((heads, pairs.shape[1], times, 2, rows.shape[1]), np.float32)
    wide[:, :, 0] = pairs
    return wide.reshape(heads * _HEAD_WIDTH, rows.shape[1])


def _add(writer: gguf.GGUFWriter, name: str, values: np.ndarray) -> None:
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
