"""Which streams share a step: those whose rows are worth the places between them."""

from __future__ import annotations

import numpy as np
import pytest

from models.gguf.model import GGUFModel
from models.gguf.scheduling.request import Request
from models.gguf.scheduling.step import Block, answer_block


def answering(sequence: int, evaluated: int) -> Request:
    request = Request(np.zeros(evaluated, np.int32), room=8)
    request.sequence, request.evaluated = sequence, evaluated
    return request


@pytest.mark.parametrize(
    ("sequences", "evaluated", "block"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 100, Block(0, 8, 1)),
        ([0, 1, 2, 5, 6, 7], 100, Block(0, 8, 1)),
        ([1, 0, 2, 3, 12, 13, 14, 15], 3000, Block(0, 4, 1)),
        ([13, 0, 1, 2, 3, 12, 14, 15], 3000, Block(12, 4, 1)),
        ([5], 3000, Block(5, 1, 4)),
    ],
)
def test_streams_far_apart_share_a_step_behind_short_prompts_only(
    tiny: GGUFModel, sequences: list[int], evaluated: int, block: Block
) -> None:
    """Behind a long prompt a row costs several times as much, one that fills a place as any other."""
    ready = {answering(sequence, evaluated): 1 for sequence in sequences}
    assert answer_block(tiny._context, ready, quantum=4) == block


@pytest.mark.parametrize(("tokens", "width"), [([1] * 7 + [4], 1), ([4] * 8, 4)], ids=["one", "all"])
def test_a_guess_of_one_answer_alone_widens_no_step(tiny: GGUFModel, tokens: list[int], width: int) -> None:
    ready = {answering(sequence, 3000): count for sequence, count in enumerate(tokens)}
    assert answer_block(tiny._context, ready, quantum=4).width == width
