"""Models whose memory is not that of plain attention: windows, states, and both at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from asking import Answer, ask, ask_all, chosen, parting_margin, request
from conftest import Open
from llama_cpp import Llama
from tiny_model import write_tiny_hybrid, write_tiny_mamba, write_tiny_window

from models.gguf.model import GGUFModel

KINDS: dict[str, Callable[[Path], Path]] = {
    "window": write_tiny_window,
    "recurrent": write_tiny_mamba,
    "hybrid": write_tiny_hybrid,
    "hybrid with a window": partial(write_tiny_hybrid, window=32),
}
STATES = ("recurrent", "hybrid", "hybrid with a window")
RULES = "Route the ticket to the team that can solve it, and name the team in one word. " * 4
TOKENS = 24


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return KINDS[kind](tmp_path_factory.mktemp("kind") / "tiny.gguf")


def texts(count: int, seed: int = 0) -> list[str]:
    """Return tickets below two sets of rules, as a validation round asks them."""
    rng = random.Random(seed)
    words = ["refund", "gift card", "late parcel", "invoice", "wrong size", "password", "the", "again"]
    rules = (RULES, RULES + "Gift cards go to loyalty. ")
    return [rng.choice(rules) + " ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(count)]


def serial_answers(path: Path, model: GGUFModel, asked: list[str]) -> list[list[int]]:
    """Return the tokens that llama-cpp-python generates, each prompt evaluated from its beginning."""
    answers = []
    kinds = {"flash_attn": True, "type_k": 1, "type_v": 1}  # as the model's own context has them
    reference = Llama(str(path), n_ctx=2048, n_batch=2048, verbose=False, n_threads=1, **kinds)
    for text in asked:
        tokens = reference.tokenize(model.render([{"role": "user", "content": text}]).encode(), False, True)
        reference.reset()
        reference._ctx.kv_cache_clear()
        answer = list(islice(reference.generate(tokens, temp=0.0, reset=False), TOKENS))
        ends = [i for i, token in enumerate(answer) if token in model._model.end_tokens]
        answers.append(answer[: ends[0]] if ends else answer)
    reference.close()
    return answers


def parts(answer: Answer, expected: list[int]) -> bool:
    """Whether an answer parts from the expected one, which it may where two tokens were as good as tied."""
    margin = parting_margin(answer, [(token, 0.0) for token in expected])
    assert margin is None or margin < 0.02
    return margin is not None


def test_answers_are_those_of_llama_cpp_itself_alone_and_among_others(path: Path, open_tiny: Open) -> None:
    asked = texts(12)
    alone, among = open_tiny(path, sequences=1), open_tiny(path)
    expected = serial_answers(path, alone, asked)

    with ThreadPoolExecutor(16) as threads:
        given = [chosen(alone, text) for text in asked], list(threads.map(partial(chosen, among), asked))
    for answers in given:
        assert sum(map(parts, answers, expected)) <= 2
    assert len(set(map(tuple, expected))) > 3


def test_small_batches_make_no_difference(path: Path, open_tiny: Open) -> None:
    asked = texts(8)

    small = ask_all(open_tiny(path, batch_size=64, sequences=4), asked)
    assert sum(map(str.__eq__, small, ask_all(open_tiny(path), asked))) >= len(asked) - 1  # Ties


def test_what_prompts_share_is_evaluated_few_times(path: Path, kind: str, open_tiny: Open) -> None:
    """A state can be kept only where it is known that others go on: at most two requests find out."""
    model, asked = open_tiny(path), texts(40)

    ask_all(model, asked)

    trunk = model.count_prompt_tokens([{"role": "user", "content": RULES}])
    counts = model.statistics()
    rest = counts.prompt_tokens_requested - len(asked) * trunk
    assert counts.prompt_tokens_evaluated <= rest + (5 if kind in STATES else 2) * trunk
    assert counts.prompt_tokens_evaluated + counts.prompt_tokens_reused == counts.prompt_tokens_requested


def test_scores_are_those_of_prompts_evaluated_alone(path: Path, open_tiny: Open) -> None:
    model = open_tiny(path)
    messages = [{"role": "user", "content": RULES + "late parcel"}]
    queues = ["billing", "b", "loyalty team", "zzz"]

    together = model.score(messages, queues)

    assert together == pytest.approx(
        [open_tiny(path).score(messages, [queue])[0] for queue in queues], abs=0.05
    )
    assert len(set(together)) == len(queues)


def test_cancelled_requests_leave_nothing_behind(path: Path, kind: str, open_tiny: Open) -> None:
    model = open_tiny(path, sequences=4)
    expected = ask(model, "Again?").text
    for text in texts(12):
        events = model.lm.engine.stream(request(model, text, max_tokens=400))
        next(events)
        next(events, None)
        events.close()

    assert ask(model, "Again?").text == expected
    model._scheduler.close()
    cache = model._scheduler._cache
    while cache.evict():
        pass
    assert cache.used == 0
    assert cache.idle_sequences == model._context.sequences


def test_states_take_no_more_memory_than_they_may(kind: str, path: Path, open_tiny: Open) -> None:
    if kind not in STATES:
        pytest.skip("has no state")
    model = open_tiny(path, kv_memory=1)
    asked = texts(12)
    per_token, state = model._bytes_per_token_and_sequence()

    assert model._scheduler._cache.idle_sequences * state <= 2**20
    assert (per_token > 0) is (kind != "recurrent")
    alone = open_tiny(path, sequences=1)
    same = [one == ask(alone, text).text for one, text in zip(ask_all(model, asked), asked, strict=True)]
    assert sum(same) >= len(same) - 2  # Ties
