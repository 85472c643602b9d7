from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import gguf
import pytest

from engine.ground.model import LocalModel
from models import open_model
from models.demo import demo_model_path
from models.demo.training.data import analysis, merge, triage
from models.demo.training.evaluate import Evaluation
from models.gguf.library import NativeModel

tokenizers = pytest.importorskip("tokenizers")

SEED = 20_000
"""Far from what training and the report draw from."""


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModel]:
    with open_model("demo", log_file=tmp_path_factory.mktemp("log") / "llama.log") as model:
        yield model


@pytest.fixture(scope="module")
def evaluation(demo_model: LocalModel) -> Evaluation:
    return Evaluation(demo_model.lm, SEED)


def test_the_file_stays_small() -> None:
    assert demo_model_path().stat().st_size <= 12_000_000


def test_llama_cpp_reads_the_tokens_that_training_saw() -> None:
    trained = _tokenizer(demo_model_path())
    native = NativeModel(demo_model_path(), gpu_layers=0)
    rng = Random(SEED)
    for _ in range(333):
        for conversation in (triage(rng, max_rules=12, turns=1), analysis(rng), merge(rng)):
            system, turns = conversation.texts()
            text = system + turns[0]
            assert native.tokenize(text).tolist() == trained.encode(text).ids, text
    native.close()


def test_with_the_right_rules_the_answers_are_right(evaluation: Evaluation) -> None:
    assert evaluation.demo_tickets([SEED], with_rules=True, limit=50).share >= 0.92


def test_without_rules_the_special_causes_are_missed(evaluation: Evaluation) -> None:
    assert 0.3 <= evaluation.demo_tickets([SEED], with_rules=False, limit=50).share <= 0.6


def test_rules_are_followed_in_words_never_seen(evaluation: Evaluation) -> None:
    assert evaluation.held_out_tickets(rule_sets=5).share >= 0.92


def test_an_analysis_names_the_shared_cause_and_its_queue(evaluation: Evaluation) -> None:
    assert evaluation.shared_causes([SEED], temperatures=(0.7,)).share >= 0.7


def test_a_merge_keeps_every_cause_and_queue(evaluation: Evaluation) -> None:
    assert evaluation.merges(10).share >= 0.7


def _tokenizer(path: Path) -> tokenizers.Tokenizer:
    """Return the tokenizer as training had it, made from what the file says."""
    fields = gguf.GGUFReader(path).fields
    texts = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
    normal = {text: i for i, text in enumerate(texts) if kinds[i] == gguf.TokenType.NORMAL}
    added = [
        tokenizers.AddedToken(text, normalized=False, special=kind == gguf.TokenType.CONTROL)
        for text, kind in zip(texts, kinds, strict=True)
        if kind in (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)
    ]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=normal, merges=merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_tokens(added)
    return tokenizer
