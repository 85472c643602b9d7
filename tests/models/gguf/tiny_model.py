"""Writes small GGUF files with random weights: nonsense answers, but real ones, and the same each time."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    "{% if enable_thinking %}<think>\n{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_letters() -> list[str]:
    """Return GPT-2's printable stand-in for each of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def write_tiny_model(
    path: Path,
    *,
    seed: int = 0,
    width: int = 64,
    layers: int = 2,
    context: int = 2048,
    template: str | None = CHATML,
) -> Path:
    """Write a llama of 0.1 M parameters with a byte vocabulary and a few merges."""
    random = np.random.default_rng(seed)
    letters = byte_letters()
    merges = [("t", "h"), ("i", "n"), ("e", "r"), ("Ġ", "t"), ("th", "e"), ("Ġt", "he"), ("a", "n")]
    tokens = [*SPECIALS, *letters, *("".join(pair) for pair in merges)]
    kinds = [gguf.TokenType.CONTROL] * len(SPECIALS) + [gguf.TokenType.NORMAL] * (len(tokens) - len(SPECIALS))
    heads, hidden, size = 4, 2 * width, len(tokens)

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)

    def weights(name: str, *shape: int, scale: float = 1.0) -> None:
        values = random.normal(0, scale / np.sqrt(shape[-1]), shape).astype(np.float32)
        writer.add_tensor(name, values)

    weights("token_embd.weight", size, width, scale=16.0)
    weights("output.weight", size, width, scale=16.0)  # Clear winners: no two tokens tie
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(f"{block}.ffn_norm.weight", np.ones(width, np.float32))
        weights(f"{block}.attn_q.weight", width, width, scale=2.0)
        weights(f"{block}.attn_k.weight", width // 2, width, scale=2.0)
        weights(f"{block}.attn_v.weight", width // 2, width)
        weights(f"{block}.attn_output.weight", width, width)
        weights(f"{block}.ffn_gate.weight", hidden, width)
        weights(f"{block}.ffn_up.weight", hidden, width)
        weights(f"{block}.ffn_down.weight", width, hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tiny_mamba(path: Path, *, seed: int = 0, width: int = 64, layers: int = 2) -> Path:
    """Write a recurrent model, whose memory can't be cut."""
    random = np.random.default_rng(seed)
    tokens = [*SPECIALS, *byte_letters(), "th"]
    kinds = [gguf.TokenType.CONTROL] * len(SPECIALS) + [gguf.TokenType.NORMAL] * 257
    inner, state, rank, kernel, size = 2 * width, 16, 8, 4, len(tokens)

    writer = gguf.GGUFWriter(str(path), "mamba")
    writer.add_context_length(2048)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(layers)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)

    def weights(name: str, *shape: int, scale: float = 1.0) -> None:
        writer.add_tensor(name, random.normal(0, scale / np.sqrt(shape[-1]), shape).astype(np.float32))

    weights("token_embd.weight", size, width)
    weights("output.weight", size, width, scale=16.0)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(width, np.float32))
        weights(f"{block}.ssm_in.weight", 2 * inner, width)
        weights(f"{block}.ssm_conv1d.weight", inner, kernel)
        writer.add_tensor(f"{block}.ssm_conv1d.bias", np.zeros(inner, np.float32))
        weights(f"{block}.ssm_x.weight", rank + 2 * state, inner)
        weights(f"{block}.ssm_dt.weight", inner, rank)
        writer.add_tensor(f"{block}.ssm_dt.bias", np.zeros(inner, np.float32))
        writer.add_tensor(f"{block}.ssm_a", np.full((inner, state), -0.01, np.float32))
        writer.add_tensor(f"{block}.ssm_d", np.ones(inner, np.float32))
        weights(f"{block}.ssm_out.weight", width, inner, scale=4.0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
