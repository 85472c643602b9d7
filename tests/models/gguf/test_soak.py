"""Everything at once: many threads, shared beginnings, callers that cancel, vanish or sample.

`PROMPTGRAD_SOAK=1` asks 2,000 requests; else it is a short version.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest
from asking import Answer, ask, chosen, request
from demo_work import Prompt, demo_prompts

from models import ModelSettings, open_model
from models.gguf.model import GGUFModel
from models.gguf.sampling import Grammar, TokenSampler
from tests.patience import PATIENCE_SECONDS

REQUESTS = 2000 if os.environ.get("PROMPTGRAD_SOAK") else 300
THREADS = 64
LONGEST = 40
QUEUE = {
    "type": "object",
    "properties": {"queue": {"type": "string", "maxLength": 12}},
    "required": ["queue"],
}
WAYS = {"greedy": 12, "schema": 2, "sampled": 3, "cancelled": 2, "vanished": 1}
"""How requests are asked, and how often."""


@pytest.fixture(scope="module")
def model() -> Iterator[GGUFModel]:
    """The demo model with fewer places than threads and too few sequences for all prompts."""
    settings = ModelSettings(sequences=12, context_length=1024, kv_memory=40)
    with open_model("demo", settings=settings) as opened:
        assert isinstance(opened, GGUFModel)
        yield opened


def sampling(rng: Random) -> dict[str, Any]:
    """Return random settings of every kind that a request may bring."""
    chosen: dict[str, Any] = {"temperature": rng.choice([0.3, 1.0, 1.8]), "seed": rng.randrange(1000)}
    extras: dict[str, Any] = {
        "top_k": rng.choice([1, 5, 40]),
        "top_p": rng.choice([0.5, 0.95]),
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "stop": ("queue",),
        "logprobs": 2,
        "extensions": {"min_p": 0.1, "repeat_penalty": 1.2},
    }
    return chosen | {name: extras[name] for name in extras if rng.random() < 0.3}


class Crowd:
    """Client threads that take requests from one list until it is empty."""

    def __init__(self, model: GGUFModel, prompts: list[Prompt], seed: int) -> None:
        self.greedy: dict[int, Answer] = {}
        self.others: dict[int, str | None] = {}
        self.errors: list[BaseException] = []
        self.ended = 0
        """Requests that nobody asks any more, however they ended."""
        rng = Random(seed)
        ways = rng.choices(list(WAYS), list(WAYS.values()), k=len(prompts))
        self.jobs = [
            (i, way, prompt, Random(i)) for i, (way, prompt) in enumerate(zip(ways, prompts, strict=True))
        ]
        self._model = model
        self._left = iter(self.jobs)
        self._lock = threading.Lock()

    def work(self) -> None:
        while True:
            with self._lock:
                job = next(self._left, None)
            if job is None:
                return
            lives_on = True
            try:
                lives_on = self._ask(*job)
            except BaseException as error:
                self.errors.append(error)
            with self._lock:
                self.ended += 1
            if not lives_on:
                threading.Thread(target=self.work, daemon=True).start()
                return

    def _ask(self, number: int, way: str, prompt: Prompt, rng: Random) -> bool:
        """Ask once; False where the thread is to die of it."""
        model, (system, text) = self._model, prompt
        if way == "vanished":
            if rng.random() < 0.5:
                model.lm.engine.start(request(model, text, system=system, max_tokens=LONGEST))
            else:
                next(model.lm.engine.stream(request(model, text, system=system, max_tokens=LONGEST)))
            return False
        if way == "cancelled":
            events = model.lm.engine.stream(request(model, text, system=system, max_tokens=LONGEST))
            for _ in range(rng.randint(1, 6)):
                next(events, None)
            events.close()
            return True
        if way == "greedy":
            self.greedy[number] = chosen(model, text, system=system, max_tokens=LONGEST)
            return True
        config: dict[str, Any] = {"max_tokens": LONGEST}
        if way == "schema":
            config["response_format"] = {"type": "json_schema", "schema": QUEUE}
        if way == "sampled":
            config |= sampling(rng)
        self.others[number] = ask(model, text, system=system, **config).text
        return True


@pytest.mark.timeout(3600)
def test_a_crowd_gets_the_serial_answers_and_leaves_nothing_behind(model: GGUFModel) -> None:
    prompts = demo_prompts(REQUESTS, seed=7)
    crowd = Crowd(model, prompts, seed=8)
    threads = [threading.Thread(target=crowd.work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while crowd.ended < len(crowd.jobs):  # the test's own time limit ends it
        time.sleep(0.05)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (counts := model.statistics()).active + counts.waiting and time.monotonic() < deadline:
        time.sleep(0.01)

    assert crowd.errors == []
    assert counts.active == counts.waiting == 0
    assert len(crowd.greedy) + len(crowd.others) == sum(
        way not in ("vanished", "cancelled") for _, way, _, _ in crowd.jobs
    )

    greedy = [(i, p) for i, way, p, _ in crowd.jobs if way == "greedy"]
    expected = {p: chosen(model, p[1], system=p[0], max_tokens=LONGEST) for p in {p for _, p in greedy}}
    assert {i: crowd.greedy[i] for i, _ in greedy} == {i: expected[prompt] for i, prompt in greedy}
    model._scheduler.close()
    assert_nothing_is_left(model)


def assert_nothing_is_left(model: GGUFModel) -> None:
    """Check that what is held is held by the tree, and that the tree can let go of it."""
    cache = model._scheduler._cache
    tree = cache._tree
    assert cache.used == tree.size == sum(len(node.tokens) for node in nodes(tree.root))
    assert all(node.users == 0 and node.owner is None for node in nodes(tree.root))
    while cache.evict():
        pass
    assert cache.used == 0
    assert sorted(cache._free) == list(range(cache.idle_sequences)) == list(range(model._context.sequences))
    memory = model._scheduler._context.memory
    assert {llama.llama_memory_seq_pos_max(memory, sequence) for sequence in cache._free} == {-1}
    gc.collect()
    alive = [each for each in gc.get_objects() if isinstance(each, TokenSampler | Grammar)]
    grammars = set(map(id, model._engine._grammars._parsed.values()))
    assert all(each._chain is None for each in alive if isinstance(each, TokenSampler))
    assert all(each._handle is None or id(each) in grammars for each in alive if isinstance(each, Grammar))


def nodes(root: Any) -> Iterator[Any]:
    for child in root.children.values():
        yield child
        yield from nodes(child)
