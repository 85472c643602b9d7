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
MERGES = ["t h", "i n", "e r", "Ġ t", "th e", "Ġt he", "a n"]


def byte_letters() -> list[str]:
    """Return GPT-2's printable stand-in for each of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


class _TinyFile:
    """A GGUF file under construction, with a byte vocabulary and a few merges."""

    def __init__(
        self, path: Path, kind: str, *, seed: int, width: int, layers: int, context: int, template: str | None
    ) -> None:
        self.tokens = [*SPECIALS, *byte_letters(), *(merge.replace(" ", "") for merge in MERGES)]
        self.random = np.random.default_rng(seed)
        self.path = path
        self.writer = writer = gguf.GGUFWriter(str(path), kind)
        control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
        writer.add_name("tiny")
        writer.add_context_length(context)
        writer.add_embedding_length(width)
        writer.add_block_count(layers)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_vocab_size(len(self.tokens))
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(self.tokens)
        writer.add_token_types([control if token in SPECIALS else normal for token in self.tokens])
        writer.add_token_merges(MERGES)
        writer.add_eos_token_id(2)
        writer.add_bos_token_id(0)
        writer.add_add_bos_token(False)
        if template is not None:
            writer.add_chat_template(template)

    def attention(self, heads: int, kv_heads: int | list[int], hidden: int, rope: int | None = None) -> None:
        """Say how wide attention and feed-forward layers are."""
        self.writer.add_head_count(heads)
        self.writer.add_head_count_kv(kv_heads)
        self.writer.add_feed_forward_length(hidden)
        if rope is not None:
            self.writer.add_rope_dimension_count(rope)

    def weights(self, name: str, *shape: int, scale: float = 1.0, zero_rows: int = 0) -> None:
        values = self.random.normal(0, scale / np.sqrt(shape[-1]), shape).astype(np.float32)
        values[:zero_rows] = 0
        self.writer.add_tensor(f"{name}.weight", values)

    def constant(self, name: str, *shape: int, value: float = 1.0) -> None:
        self.writer.add_tensor(name, np.full(shape, value, np.float32))

    def feed_forward(self, block: str, width: int, hidden: int) -> None:
        self.constant(f"{block}.ffn_norm.weight", width)
        self.weights(f"{block}.ffn_gate", hidden, width)
        self.weights(f"{block}.ffn_up", hidden, width)
        self.weights(f"{block}.ffn_down", width, hidden)

    def finish(self) -> Path:
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        return self.path


def write_tiny_model(
    path: Path,
    *,
    seed: int = 0,
    width: int = 64,
    layers: int = 2,
    context: int = 2048,
    template: str | None = CHATML,
    ends: bool = True,
    pooling: gguf.PoolingType | None = None,
) -> Path:
    """Write a llama of 0.1 M parameters; one that doesn't end goes on until it is stopped.

    With a way of `pooling` it turns texts into vectors.
    """
    file = _TinyFile(path, "llama", seed=seed, width=width, layers=layers, context=context, template=template)
    if pooling is not None:
        file.writer.add_pooling_type(pooling)
    heads, hidden, size = 4, 2 * width, len(file.tokens)
    file.attention(heads, heads // 2, hidden, rope=width // heads)
    file.weights("token_embd", size, width, scale=16.0)
    # Clear winners: no two tokens tie.
    file.weights("output", size, width, scale=16.0, zero_rows=0 if ends else len(SPECIALS))
    file.constant("output_norm.weight", width)
    for layer in range(layers):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", width)
        file.weights(f"{block}.attn_q", width, width, scale=2.0)
        file.weights(f"{block}.attn_k", width // 2, width, scale=2.0)
        file.weights(f"{block}.attn_v", width // 2, width)
        file.weights(f"{block}.attn_output", width, width)
        file.feed_forward(block, width, hidden)
    return file.finish()


def write_tiny_mamba(path: Path, *, seed: int = 0, width: int = 64, layers: int = 2) -> Path:
    """Write a recurrent model, whose memory can't be cut."""
    file = _TinyFile(path, "mamba", seed=seed, width=width, layers=layers, context=2048, template=CHATML)
    inner, state, rank, kernel, size = 2 * width, 16, 8, 4, len(file.tokens)
    file.attention(0, 0, 0)
    file.writer.add_ssm_conv_kernel(kernel)
    file.writer.add_ssm_inner_size(inner)
    file.writer.add_ssm_state_size(state)
    file.writer.add_ssm_time_step_rank(rank)
    file.weights("token_embd", size, width)
    file.weights("output", size, width, scale=16.0)
    file.constant("output_norm.weight", width)
    for layer in range(layers):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", width)
        file.weights(f"{block}.ssm_in", 2 * inner, width)
        file.weights(f"{block}.ssm_conv1d", inner, kernel)
        file.constant(f"{block}.ssm_conv1d.bias", inner, value=0.0)
        file.weights(f"{block}.ssm_x", rank + 2 * state, inner)
        file.weights(f"{block}.ssm_dt", inner, rank)
        file.constant(f"{block}.ssm_dt.bias", inner, value=0.0)
        file.constant(f"{block}.ssm_a", inner, state, value=-0.01)
        file.constant(f"{block}.ssm_d", inner)
        file.weights(f"{block}.ssm_out", width, inner, scale=4.0)
    return file.finish()


def write_tiny_hybrid(path: Path, *, seed: int = 0, width: int = 64, window: int | None = None) -> Path:
    """Write an LFM2: short convolutions, which remember a state, between layers of attention."""
    kv_heads = [0, 2, 0, 2]
    layers, heads, hidden, reach = len(kv_heads), 4, 2 * width, 3
    file = _TinyFile(path, "lfm2", seed=seed, width=width, layers=layers, context=2048, template=CHATML)
    size, head = len(file.tokens), width // heads
    file.attention(heads, kv_heads, hidden)
    file.writer.add_shortconv_l_cache(reach)
    if window:
        file.writer.add_sliding_window(window)
    file.weights("token_embd", size, width, scale=16.0)
    file.weights("output", size, width, scale=16.0)
    file.constant("token_embd_norm.weight", width)
    for layer in range(layers):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", width)
        if kv_heads[layer]:
            file.weights(f"{block}.attn_q", width, width, scale=2.0)
            file.weights(f"{block}.attn_k", width // 2, width, scale=2.0)
            file.weights(f"{block}.attn_v", width // 2, width)
            file.weights(f"{block}.attn_output", width, width, scale=4.0)
            file.constant(f"{block}.attn_q_norm.weight", head)
            file.constant(f"{block}.attn_k_norm.weight", head)
        else:
            file.weights(f"{block}.shortconv.conv", width, reach)
            file.weights(f"{block}.shortconv.in_proj", 3 * width, width)
            file.weights(f"{block}.shortconv.out_proj", width, width, scale=4.0)
        file.feed_forward(block, width, hidden)
    return file.finish()


def write_tiny_window(path: Path, *, seed: int = 0, width: int = 64, window: int = 32) -> Path:
    """Write a Gemma 2: each second layer sees no further back than its window."""
    layers, heads, hidden = 4, 4, 2 * width
    file = _TinyFile(path, "gemma2", seed=seed, width=width, layers=layers, context=2048, template=CHATML)
    head = width // heads
    file.attention(heads, heads // 2, hidden, rope=head)
    file.writer.add_key_length(head)
    file.writer.add_value_length(head)
    file.writer.add_sliding_window(window)
    file.writer.add_final_logit_softcapping(1000.0)
    file.weights("token_embd", len(file.tokens), width, scale=16.0)
    file.constant("output_norm.weight", width)
    for layer in range(layers):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", width)
        file.weights(f"{block}.attn_q", width, width, scale=2.0)
        file.weights(f"{block}.attn_k", width // 2, width, scale=2.0)
        file.weights(f"{block}.attn_v", width // 2, width)
        file.weights(f"{block}.attn_output", width, width)
        # Embeddings are large: what a layer adds must be too, or the last token alone decides.
        file.constant(f"{block}.post_attention_norm.weight", width, value=16.0)
        file.feed_forward(block, width, hidden)
        file.constant(f"{block}.post_ffw_norm.weight", width, value=16.0)
    return file.finish()
