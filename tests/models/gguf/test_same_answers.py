"""The same request gets the same answer, log-probabilities and scores, bit for bit, whatever runs beside it.

`PROMPTGRAD_SOAK=1` asks 400 requests; else it is a short version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from asking import ask, request
from demo_work import Prompt, demo_prompts
from tiny_model import write_tiny_model, write_tiny_window

from models import ModelSettings, open_model
from models.gguf.context import TILE
from models.gguf.library import NativeModel
from models.gguf.model import GGUFModel
from models.gguf.rows import row_quantum

REQUESTS = 400 if os.environ.get("PROMPTGRAD_SOAK") else 36
LONGEST = 24
EARLIER = 16
"""Tickets that some prompts show before their own."""
QUEUES = ["billing", "loyalty", "logistics", "returns"]
FREE = {
    "type": "object",
    "properties": {"reasoning": {"type": "string", "maxLength": 40}, "queue": {"type": "string"}},
}
CLOSED = {"type": "object", "properties": {"queue": {"enum": QUEUES}}, "required": ["queue"]}
SHOWN = [
    part
    for queue, (_, text) in zip(QUEUES[:2], demo_prompts(2, seed=7), strict=True)
    for part in (text, json.dumps({"queue": queue}))
]
"""Turns of a chat in which other tickets got their queues: the answer is guessed from these."""

Job = tuple[int, str, Prompt]
Found = list[Any]


def jobs(earlier: int = EARLIER) -> list[Job]:
    """Return requests of every kind; many prompts share beginnings, a third of them long ones."""
    rng = Random(5)
    ways = ["greedy", "sampled", "free", "closed", "shown", "score", "among"]
    prompts = demo_prompts(REQUESTS, seed=3)
    shown = " ".join(text for _, text in prompts[:earlier])
    return [
        (i, rng.choice(ways), (f"{system} {shown}" if i % 3 == 0 else system, text))
        for i, (system, text) in enumerate(prompts)
    ]


def found(model: GGUFModel, job: Job) -> Found:
    """Ask, and return everything that an answer consists of."""
    number, way, (system, text) = job
    if way in ("score", "among"):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        answers = [json.dumps({"queue": queue}) for queue in QUEUES]
        return model.score(messages, answers, among=way == "among")
    config: dict[str, Any] = {"max_tokens": LONGEST, "logprobs": 2}
    texts = [*SHOWN, text] if way == "shown" else [text]
    if way == "sampled":
        config |= {"temperature": 1.0, "seed": number, "top_p": 0.95}
    if way in ("free", "closed", "shown"):
        schema = FREE if way == "free" else CLOSED
        config |= {"response_format": {"type": "json_schema", "schema": schema}}
    answer = ask(model, *texts, system=system, **config)
    choices = [
        [choice.token_id, choice.logprob, [top.logprob for top in choice.top]]
        for choice in answer.logprobs or ()
    ]
    return [answer.text, answer.finish_reason, answer.usage.output_tokens, choices]


def opened(uri: str = "demo", **settings: Any) -> GGUFModel:
    model = open_model(uri, settings=ModelSettings(**{"context_length": 1024, **settings}))
    assert isinstance(model, GGUFModel)
    return model


def all_found(model: GGUFModel, asked: list[Job], threads: int = 16) -> dict[int, Found]:
    with ThreadPoolExecutor(threads) as pool:
        return dict(
            zip([job[0] for job in asked], pool.map(lambda job: found(model, job), asked), strict=True)
        )


@pytest.fixture(scope="module")
def alone() -> dict[int, Found]:
    """What each request gets in a model that was never asked anything else."""
    with opened(threads=1, sequences=1) as model:
        results = {}
        for job in jobs():
            results[job[0]] = found(model, job)
            model._scheduler._cache.evict()
        return results


def shuffled(seed: int) -> list[Job]:
    asked = jobs()
    Random(seed).shuffle(asked)
    return asked


def test_some_prompts_are_read_in_wide_steps() -> None:
    with opened() as model:
        lengths = [
            model.count_prompt_tokens(
                [{"role": "system", "content": system}, {"role": "user", "content": text}]
            )
            for _, _, (system, text) in jobs()
        ]
        wide_from = model._context.wide_from
    assert min(lengths) < wide_from < sorted(lengths)[-REQUESTS // 4] - TILE


def test_alone_and_in_a_crowd_cold_and_warm(alone: dict[int, Found]) -> None:
    with opened() as model:
        assert all_found(model, shuffled(1), threads=64) == alone
        assert all_found(model, shuffled(2), threads=7) == alone
        assert model.statistics().prompt_tokens_reused > model.statistics().prompt_tokens_evaluated


@pytest.mark.parametrize(
    "settings",
    [
        {"threads": 2},
        {"sequences": 3},
        {"batch_size": 16},
        {"kv_memory": 1},
        {"context_length": 1500, "sequences": 24},
    ],
    ids=str,
)
def test_however_the_model_was_opened(alone: dict[int, Found], settings: dict[str, Any]) -> None:
    with opened(**settings) as model:
        assert all_found(model, shuffled(3)) == alone


def test_beside_requests_that_are_cancelled(alone: dict[int, Found]) -> None:
    rng, over = Random(9), threading.Event()
    with opened(sequences=6) as model:

        def disturb() -> None:
            while not over.is_set():
                system, text = rng.choice(demo_prompts(20, seed=11))
                events = model.lm.engine.stream(request(model, text, system=system, max_tokens=LONGEST))
                for _ in range(rng.randint(1, 5)):
                    next(events, None)
                events.close()

        disturber = threading.Thread(target=disturb)
        disturber.start()
        try:
            assert all_found(model, shuffled(4)) == alone
        finally:
            over.set()
            disturber.join()


def test_after_a_request_that_needed_larger_sequences(alone: dict[int, Found]) -> None:
    with opened(context_length=1024) as model:
        model._context.resize(320, 12)
        model._scheduler._cache.forget()
        asked = shuffled(5)
        half = all_found(model, asked[: REQUESTS // 2])
        ask(model, "late parcel " * 150, max_tokens=8)
        assert model._context.cells > 320

        assert half | all_found(model, asked[REQUESTS // 2 :]) == alone


def test_in_another_process(alone: dict[int, Found]) -> None:
    some = jobs()[:8]
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(some),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    others = json.loads(done.stdout)
    assert others == {str(job[0]): json.loads(json.dumps(alone[job[0]])) for job in some}


@pytest.mark.parametrize("write", [write_tiny_model, write_tiny_window], ids=["plain", "window"])
def test_random_weights_too(write: Callable[[Path], Path], tmp_path: Path) -> None:
    """Random weights tip ties, and a window's cells are given away where it can't be helped."""
    path = write(tmp_path / "tiny.gguf")
    asked = jobs(earlier=2)[:24]
    with opened(f"gguf:{path}", threads=1, sequences=1, context_length=2048) as model:
        expected = {job[0]: found(model, job) for job in asked}
    with opened(f"gguf:{path}", sequences=9, context_length=2048) as model:
        assert all_found(model, asked[::-1], threads=24) == expected
        assert all_found(model, asked, threads=5) == expected


def test_scores_of_many_prompts_are_those_of_each(alone: dict[int, Found]) -> None:
    scored = [job for job in jobs() if job[1] == "score"]
    prompts = [
        [{"role": "system", "content": system}, {"role": "user", "content": text}]
        for _, _, (system, text) in scored
    ]
    answers = [[json.dumps({"queue": queue}) for queue in QUEUES]] * len(scored)
    with opened() as model:
        assert model.score_all(prompts, answers) == [alone[job[0]] for job in scored]


def test_the_number_of_rows_was_tried_on_this_processor(tmp_path: Path, own_cache: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf")
    model = NativeModel(path, gpu_layers=0)
    try:
        assert row_quantum(model, path, 2) == 4
        (memory,) = (own_cache / "rows").iterdir()
        memory.write_text("16")
        assert row_quantum(model, path, 2) == 16
    finally:
        model.close()


def test_what_answers_depend_on_is_named() -> None:
    with opened() as model:
        assert model.numerics.startswith("rows of 4, tiles from 384 through guesses; ")
        assert "llama.cpp " in model.numerics


if __name__ == "__main__":
    with opened() as here:
        there = {number: found(here, (number, way, (p[0], p[1]))) for number, way, p in json.load(sys.stdin)}
        print(json.dumps(there))  # noqa: T201 - read by the test
