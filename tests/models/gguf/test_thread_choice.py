"""How many threads a step has, on machines whose steps are computed here."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from models.gguf.thread_choice import ThreadChoice

Machine = Callable[[int], tuple[float, float]]
"""What a step with so many threads takes: by the clock, and of that on a core, in seconds."""


def quiet(threads: int) -> tuple[float, float]:
    return 0.008 / threads, 0.008 / threads


def busy(threads: int) -> tuple[float, float]:
    """Each thread more is one more to wait for."""
    return (0.016, 0.008) if threads == 1 else (0.05 * threads, 0.008 / threads)


def half_busy(threads: int) -> tuple[float, float]:
    """A machine of eight cores that has four of them free."""
    return quiet(threads) if threads <= 4 else (0.1, 0.001)


def work(choice: ThreadChoice, machine: Machine, steps: int, noise: random.Random | None = None) -> int:
    """Let a machine take so many steps of answers; return how many had other threads than the last one."""
    used = []
    for _ in range(steps):
        used.append(choice.threads)
        seconds, on_core = machine(choice.threads)
        factor = noise.uniform(0.7, 1.5) if noise else 1.0
        choice.stepped(seconds * factor, on_core * factor, 8, answers=True)
    return sum(threads != used[-1] for threads in used)


def test_a_quiet_machine_has_all_its_threads_and_no_trials() -> None:
    choice = ThreadChoice(8)

    assert work(choice, quiet, 10_000) == 0
    assert choice.threads == 8


def test_a_busy_machine_comes_down_to_one_thread_within_a_hundred_steps() -> None:
    choice = ThreadChoice(8)
    work(choice, busy, 100)

    assert choice.threads == 1


@pytest.mark.parametrize("seed", range(20))
def test_noise_makes_nothing_of_it(seed: int) -> None:
    choice = ThreadChoice(2)
    noise = random.Random(seed)

    work(choice, busy, 200, noise)
    assert choice.threads == 1
    work(choice, quiet, 200, noise)
    assert choice.threads == 2


def test_as_many_threads_as_there_are_free_cores() -> None:
    choice = ThreadChoice(8)
    work(choice, half_busy, 100)

    assert choice.threads == 4


def test_trials_that_change_nothing_become_rare() -> None:
    choice = ThreadChoice(8)
    work(choice, half_busy, 100)

    assert work(choice, half_busy, 20_000) < 100


def test_all_threads_come_back_once_the_machine_is_quiet() -> None:
    choice = ThreadChoice(6)
    work(choice, busy, 300)
    assert choice.threads == 1
    work(choice, quiet, 300)

    assert choice.threads == 6


def test_steps_of_prompts_say_nothing_about_steps_of_answers() -> None:
    choice = ThreadChoice(2)
    for step in range(200):
        seconds, on_core = busy(choice.threads)
        is_prompt = step % 3 == 0
        choice.stepped(seconds * (40 if is_prompt else 1), on_core, 8, answers=not is_prompt)

    assert choice.threads == 1


def test_one_core_leaves_nothing_to_choose() -> None:
    choice = ThreadChoice(1)
    work(choice, busy, 500)

    assert choice.threads == 1
