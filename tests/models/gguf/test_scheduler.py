from __future__ import annotations

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from asking import ask, ask_all, chosen, parting_margin, request
from conftest import Open
from dspy.lm15 import ServerError
from llama_cpp import Llama
from tiny_model import write_tiny_mamba, write_tiny_model

from models.cancelled import RequestCancelledError
from models.gguf.model import GGUFModel
from models.gguf.sampling import Sampling, TokenSampler
from models.gguf.scheduling.request import Generation
from tests.patience import PATIENCE_SECONDS

TRUNK = "Route the ticket to the team that can solve it, and name the team in one word. " * 8


def prompts(count: int, seed: int = 0) -> list[str]:
    """Return prompts that share beginnings of random lengths."""
    rng = random.Random(seed)
    words = ["refund", "gift card", "late parcel", "invoice", "wrong size", "password", "the", "again"]
    return [
        TRUNK[: rng.choice([0, 40, 200, len(TRUNK)])] + " ".join(rng.choices(words, k=rng.randint(1, 12)))
        for _ in range(count)
    ]


def trie_nodes(model: GGUFModel, texts: list[str]) -> int:
    """Return how many distinct beginnings the prompts of these texts have."""
    nodes = set()
    for text in texts:
        tokens = model._prompt_tokens([{"role": "user", "content": text}])[0].tolist()
        nodes |= {tuple(tokens[:end]) for end in range(1, len(tokens) + 1)}
    return len(nodes)


def narrow(model: GGUFModel, sequences: int) -> None:
    """Leave a model so many sequences, before it is asked anything."""
    model._context.resize(model.context_length, sequences)
    model._scheduler._cache.forget()


def test_greedy_answers_are_those_of_llama_cpp_itself(tiny_path: Path, tiny: GGUFModel) -> None:
    reference = Llama(str(tiny_path), n_ctx=2048, verbose=False, n_threads=1, logits_all=True)
    parted = 0
    for text in prompts(12):
        prompt = tiny.render([{"role": "user", "content": text}])
        tokens = reference.tokenize(prompt.encode(), add_bos=False, special=True)
        reference.reset()
        expected = list(islice(reference.generate(tokens, temp=0.0), 24))
        if reference.token_eos() in expected:
            expected = expected[: expected.index(reference.token_eos())]

        answer = ask(tiny, text, logprobs=0)

        given = [choice.token_id for choice in answer.logprobs or ()]
        if given != expected:  # Its attention adds up in another order, which may tip a tie.
            pairs = zip([*given, None], [*expected, None], strict=False)
            same = next(place for place, (one, other) in enumerate(pairs) if one != other)
            runner_up, best = np.sort(reference.scores[len(tokens) - 1 + same])[-2:]
            assert best - runner_up < 0.02
            parted += 1
    assert parted <= 1


def test_an_answer_is_the_same_alone_and_among_others(open_tiny: Open) -> None:
    texts = prompts(60)
    serial, batching = open_tiny(sequences=1), open_tiny(sequences=16)
    alone = [ask(serial, text, logprobs=2).logprobs for text in texts]

    with ThreadPoolExecutor(32) as pool:
        among = list(pool.map(lambda text: ask(batching, text, logprobs=2).logprobs, texts))

    assert among == alone


def test_what_prompts_share_is_evaluated_once(tiny: GGUFModel) -> None:
    texts = [TRUNK + f"Ticket {i}: my parcel is late." for i in range(40)]

    ask_all(tiny, texts)

    counts = tiny.statistics()
    assert counts.prompt_tokens_evaluated / trie_nodes(tiny, texts) <= 1.05
    assert counts.prompt_tokens_evaluated + counts.prompt_tokens_reused == counts.prompt_tokens_requested


def test_several_trunks_stay_while_they_take_turns(tiny: GGUFModel) -> None:
    texts = [f"{rule} {TRUNK} Ticket {i}" for i in range(20) for rule in ("Rule A.", "Rule B.", "Analysis.")]

    ask_all(tiny, texts)

    assert tiny.statistics().prompt_tokens_evaluated / trie_nodes(tiny, texts) <= 1.05


def test_the_same_prompt_again_evaluates_one_token(tiny: GGUFModel) -> None:
    first = ask(tiny, "Where is my parcel?")
    second = ask(tiny, "Where is my parcel?")

    assert second.text == first.text
    assert second.usage.cache_read_tokens == (second.usage.input_tokens or 0) - 1


def test_a_prompt_longer_than_a_batch_is_evaluated_in_chunks(open_tiny: Open) -> None:
    text = TRUNK * 2

    in_chunks = ask(open_tiny(batch_size=32), text)

    assert in_chunks.text == ask(open_tiny(batch_size=2048), text).text


def test_what_was_not_used_for_longest_makes_room(open_tiny: Open) -> None:
    model = open_tiny(context_length=256, sequences=2)
    narrow(model, 3)
    texts = [f"{i} " + "different words each time " * 5 for i in range(12)]
    expected = [ask(open_tiny(sequences=1), text, max_tokens=8).text for text in texts[:3]]

    answers = ask_all(model, texts, max_tokens=8)

    assert answers[:3] == expected
    assert model.statistics().cells_used <= 3 * 256
    assert model._scheduler._cache.kept_prompts <= 3


def test_a_full_cache_means_waiting(open_tiny: Open) -> None:
    model = open_tiny(context_length=1024, sequences=16)
    narrow(model, 2)

    answers = ask_all(model, prompts(30), max_tokens=200)

    assert len(answers) == 30
    assert model.statistics().active == 0


def test_a_long_prompt_makes_room_for_another_that_begins_alike(open_tiny: Open) -> None:
    """Neither fits beside the other: what they share must not keep all of the first one."""
    model = open_tiny(context_length=256, sequences=2)
    narrow(model, 2)
    first, other = "first " * 36, "other " * 36

    answers = [ask(model, text, max_tokens=8).text for text in (first, other, first)]

    serial = open_tiny(sequences=1)
    assert answers == [ask(serial, text, max_tokens=8).text for text in (first, other, first)]


def test_a_prompt_asked_again_may_fill_the_context(open_tiny: Open) -> None:
    model = open_tiny(context_length=256, sequences=2)
    narrow(model, 2)

    answers = [ask(model, "Where is my parcel?", max_tokens=1000) for _ in range(2)]

    assert answers[0].text == answers[1].text
    assert model.statistics().active == 0


def test_a_recurrent_model_goes_on_from_the_state_that_prompts_share(tmp_path: Path, open_tiny: Open) -> None:
    path = write_tiny_mamba(tmp_path / "mamba.gguf")
    texts = prompts(30)
    serial = open_tiny(path, sequences=1)
    alone = [chosen(serial, text) for text in texts]

    model = open_tiny(path)
    with ThreadPoolExecutor(16) as pool:
        among = list(pool.map(partial(chosen, model), texts))

    margins = [margin for pair in zip(alone, among, strict=True) if (margin := parting_margin(*pair))]
    assert len(set(map(tuple, alone))) > 10
    assert len(margins) <= 2
    assert max(margins, default=0.0) < 0.02  # Ties
    assert model.statistics().prompt_tokens_reused > 0


def test_cancel_ends_everything_at_once_and_the_model_goes_on(tmp_path: Path, open_tiny: Open) -> None:
    path = write_tiny_model(tmp_path / "endless.gguf", context=65_536, ends=False)
    model = open_tiny(path, sequences=4, context_length=65_536)
    expected = ask(model, "Again?").text
    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(ask, model, f"{i} {TRUNK}", max_tokens=12_000) for i in range(12)]
        while model.statistics().active < 2:
            time.sleep(0.001)
        while not all(map(Future.done, futures)):
            model.cancel()
            time.sleep(0.001)
        errors = [future.exception() for future in futures]

    assert {type(error) for error in errors} == {RequestCancelledError}
    assert ask(model, "Again?").text == expected
    assert model.statistics().active == model.statistics().waiting == 0


def test_cancel_without_a_request_spares_the_next_one(tiny: GGUFModel) -> None:
    tiny.cancel()

    assert ask(tiny, "Hello?").text


def test_cancel_reaches_into_the_evaluation_of_a_prompt(tmp_path: Path, open_tiny: Open) -> None:
    path = write_tiny_model(tmp_path / "slow.gguf", width=512, layers=16, context=8192)
    model = open_tiny(path, batch_size=8192, context_length=8192)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(ask, model, "long " * 1500)
        while model.statistics().active == 0:
            time.sleep(0.001)
        time.sleep(0.05)
        model.cancel()
        assert isinstance(future.exception(timeout=PATIENCE_SECONDS), RequestCancelledError)
        while model.statistics().active:
            time.sleep(0.001)

    # On a busy machine a step may have ended before the cancel; of the one that was cut off, nothing is left.
    counts = model.statistics()
    assert counts.prompt_tokens_evaluated < counts.prompt_tokens_requested / 2
    assert counts.cells_used == counts.prompt_tokens_evaluated


def test_a_waiting_caller_that_is_interrupted_frees_its_place(tiny: GGUFModel) -> None:
    events = tiny.lm.engine.stream(request(tiny, TRUNK, max_tokens=1000))
    next(events)
    next(events)
    events.close()

    deadline = time.monotonic() + PATIENCE_SECONDS
    while tiny.statistics().active and time.monotonic() < deadline:
        time.sleep(0.001)
    assert tiny.statistics().active == 0


def test_what_goes_wrong_with_one_answer_ends_no_other(tiny: GGUFModel) -> None:
    expected = ask_all(tiny, prompts(6))

    def vanish(_text: bytes) -> None:
        raise OSError("nobody listens")

    tokens = tiny._prompt_tokens([{"role": "user", "content": TRUNK}])[0]
    sampler = TokenSampler(Sampling(), None, tiny._model.n_vocab)
    broken = Generation(tokens, model=tiny._model, sampler=sampler, max_tokens=24, on_text=vanish)
    tiny._scheduler.submit(broken)

    assert ask_all(tiny, prompts(6)) == expected
    with pytest.raises(ServerError, match="nobody listens"):
        broken.future.result(PATIENCE_SECONDS)
    assert tiny.statistics().active == 0


def test_requests_after_close_fail_and_do_not_hang(open_tiny: Open) -> None:
    model = open_tiny()
    model.close()
    model.close()

    with pytest.raises(Exception, match="closed"):
        ask(model, "Too late?")
