from __future__ import annotations

import functools
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelFileError
from models.server.token_counts import EstimatedCounter, VocabularyCounter, count_prompt, fewest_tokens

vocabulary = functools.cache(VocabularyCounter)

SAMPLES = {
    "The refund for order 4711 was booked twice; please send the second amount back to my account.": 19,
    '{"queue": "billing", "reason": "charged twice"}': 13,
    "def mean(values: list[float]) -> float:\n    return sum(values) / len(values)\n": 23,
    "Die Rechnung wurde zweimal abgebucht, bitte erstatten Sie den zweiten Betrag.": 19,
    "请把第二笔金额退回到我的账户。": 11,
}
"""Tokens as the vocabulary of GPT-4 (cl100k) counts them, give or take a few."""


@pytest.mark.parametrize(("text", "tokens"), SAMPLES.items(), ids=str)
def test_the_estimate_is_on_the_high_side_but_not_absurd(text: str, tokens: int) -> None:
    assert tokens <= EstimatedCounter().count(text) <= 5 * tokens


@settings(deadline=None)
@given(st.text(string.printable + "äöü€漢", max_size=200))
def test_no_vocabulary_needs_fewer_tokens_than_words(tiny_gguf: Path, text: str) -> None:
    assert fewest_tokens(text) <= vocabulary(tiny_gguf).count(text)


def test_a_gguf_counts_with_its_own_vocabulary(tiny_gguf: Path) -> None:
    counter = vocabulary(tiny_gguf)
    assert counter.exact
    assert [counter.count(text) for text in ("", "the", " the", "abc", "ä")] == [0, 1, 2, 3, 2]


def test_a_file_that_is_no_gguf_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"no")
    with pytest.raises(ModelFileError, match=r"model\.gguf"):
        VocabularyCounter(path)


def test_a_prompt_counts_more_than_its_texts() -> None:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
    counter = EstimatedCounter()
    assert count_prompt(counter, messages) >= counter.count("be brief") + counter.count("hello") + 10
