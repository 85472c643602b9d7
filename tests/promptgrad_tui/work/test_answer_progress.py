"""Answers are counted, whichever thread they come from."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from engine.journal.events import RolloutFinished
from promptgrad_tui.work.answer_progress import rollout_counter

N = 64


def test_rollouts_of_many_threads_are_counted_once_each() -> None:
    said: list[tuple[str, float | None]] = []

    def slowly(text: str, share: float | None) -> None:
        time.sleep(0.001)
        said.append((text, share))

    listen = rollout_counter("Answering", N, slowly)
    event = RolloutFinished.model_construct(example="T-1")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: listen(event), range(N)))
    assert sorted(share for _, share in said) == [number / N for number in range(1, N + 1)]
    assert ("Answering: 1 of 64 answers", 1 / N) in said
