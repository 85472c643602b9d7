"""The demo model's network: a small Llama (RMSNorm, rotary positions, SwiGLU, tied embeddings)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The network's sizes; `context` is in tokens."""

    vocabulary: int
    width: int = 192
    layers: int = 4
    heads: int = 6
    hidden: int = 512
    context: int = 4096
    rope_base: float = 1e8
    norm_eps: float = 1e-5

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


class Block(nn.Module):
    """One layer: attention, then a gated feed-forward network."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, shape.width, bias=False)
        self.value = nn.Linear(shape.width, shape.width, bias=False)
        self.output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Return the residual stream after this layer; x is (batch, time, width)."""
        batch, time, width = x.shape
        normed = self.attention_norm(x)
        query, key, value = (
            project(normed).view(batch, time, self.heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        query, key = rotate(query, rotation), rotate(key, rotation)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, time, width))
        normed = self.ffn_norm(x)
        result: Tensor = x + self.down(F.silu(self.gate(normed)) * self.up(normed))
        return result


class Network(nn.Module):
    """The whole network: token ids in, logits out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self._initialise()

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Return the final, normed residual stream; tokens and positions are (batch, time)."""
        x = self.embedding(tokens)
        rotation = rotations(self.shape, positions, x.dtype)
        for block in self.blocks:
            x = block(x, rotation, mask)
        normed: Tensor = self.norm(x)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Return scores over the vocabulary; input and output embeddings are one."""
        return F.linear(hidden, self.embedding.weight)

    def _initialise(self) -> None:
        deep = 1 / math.sqrt(2 * self.shape.layers)
        nn.init.normal_(self.embedding.weight, std=0.05)
        for block in self.blocks:
            for name, parameter in block.named_parameters():
                if parameter.ndim == 2:
                    scale = 0.3 * deep if name.startswith(("output", "down")) else 1.0
                    nn.init.normal_(parameter, std=scale / math.sqrt(parameter.shape[1]))
        _seed_look_up_heads(self)


def rotations(shape: Shape, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the rotary angles, (batch, 1, time, head_width / 2)."""
    pairs = torch.arange(0, shape.head_width, 2, device=positions.device)
    angles = positions[:, None, :, None] * shape.rope_base ** (-pairs / shape.head_width)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Return heads turned by their positions; neighbours (2i, 2i + 1) form a pair, as in llama.cpp."""
    cos, sin = rotation
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


_EMBEDDING_STD = 0.05
_CONSTANT = 0.5
"""Size of the constant in every embedding, relative to the length of its other entries."""
_CONTENT = 12
"""Dimensions of a head from here on turn so slowly that they compare content, not position."""
_OFFSETS = 5
_OFFSET_GAIN = 0.15
_MATCH_GAIN = 7.0
_COPY_GAIN = 0.15


@torch.no_grad()
def _seed_look_up_heads(network: Network) -> None:
    """Let the first two layers start out with induction heads, which gradient descent alone finds late.

    Layer 1: a constant in every embedding, turned by the rotary angle of an offset, makes a head attend that
    many tokens back; all these heads read the same projection of a token, so that what stands at different
    offsets can be compared. Layer 2: a head compares what stands before a token with what stands before
    others, and copies the token it finds: the next one, or the next but one.
    """
    shape = network.shape
    first, second = (cast(Block, block) for block in list(network.blocks)[:2])
    network.embedding.weight[:, 0] = _EMBEDDING_STD * math.sqrt(shape.width) * _CONSTANT
    shared = _orthogonal(shape.head_width, shape.width)
    shared[:, 0] = 0.0
    for head in range(_OFFSETS):
        _look_back(first, shape, head, offset=head + 1, read=shared)
    content = shape.head_width - _CONTENT
    reads = [shared * _OFFSET_GAIN] + [
        first.output.weight[:, _rows(shape, head)].T for head in range(_OFFSETS)
    ]
    for head, skip in enumerate((0, 0, 0, 1, 1)):
        mixes = [_orthogonal(content, shape.head_width) for _ in range(2)]
        _match(second, shape, head, [(mixes[i], reads[i + skip], reads[i + 1 + 2 * skip]) for i in range(2)])


def _rows(shape: Shape, head: int) -> slice:
    return slice(head * shape.head_width, (head + 1) * shape.head_width)


def _orthogonal(rows: int, columns: int) -> Tensor:
    return nn.init.orthogonal_(torch.empty(rows, columns))


def _look_back(block: Block, shape: Shape, head: int, *, offset: int, read: Tensor) -> None:
    """Let `head` attend `offset` tokens back and write what `read` sees there."""
    rows = _rows(shape, head)
    pairs = torch.arange(0, shape.head_width, 2)
    frequency = shape.rope_base ** (-pairs / shape.head_width)
    constant = _CONSTANT * math.sqrt(shape.width / (1 + _CONSTANT**2))
    strength = torch.zeros(len(pairs))
    strength[:4] = torch.tensor([8.0, 5.0, 3.0, 2.0]) / constant
    even = torch.arange(rows.start, rows.stop, 2)
    block.query.weight[rows] = 0.0
    block.key.weight[rows] = 0.0
    block.key.weight[even, 0] = strength
    block.query.weight[even, 0] = strength * torch.cos(frequency * offset)
    block.query.weight[even + 1, 0] = -strength * torch.sin(frequency * offset)
    block.value.weight[rows] = read
    block.output.weight[:, rows] = _orthogonal(shape.width, shape.head_width) * _OFFSET_GAIN


def _match(block: Block, shape: Shape, head: int, terms: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Let `head` attend where the key's readings equal the query's, and copy the token that stands there."""
    rows = _rows(shape, head)
    content = slice(rows.start + _CONTENT, rows.stop)
    block.query.weight[content] = sum(_MATCH_GAIN * mix @ query for mix, query, _ in terms)
    block.key.weight[content] = sum(_MATCH_GAIN * mix @ key for mix, _, key in terms)
    block.query.weight[rows.start : content.start] *= 0.3
    block.key.weight[rows.start : content.start] *= 0.3
    seen = _orthogonal(shape.head_width, shape.width)
    block.value.weight[rows] = seen
    block.output.weight[:, rows] = seen.T * _COPY_GAIN


def parameter_count(network: Network) -> int:
    """Return how many weights the network has."""
    return sum(parameter.numel() for parameter in network.parameters())
