"""OPRO: the prompt for a better instruction shows the previous ones with their scores.

Source: Yang et al. 2023, Large Language Models as Optimizers (arXiv 2309.03409).
"""

from __future__ import annotations

import dspy

from engine.ground.seeds import generator
from engine.learning.methods.candidates import InstructionCandidate, InstructionSearch, step_by_step
from engine.learning.methods.method import MethodTask

_REMEMBERED = 8
_SHOWN = 3
_ASK = (
    "You improve the instruction for a task. You see instructions with the share of examples that they got "
    "right, the worst first, and some examples of the task. Write one new instruction that differs from all "
    "of them and scores higher. Write nothing else."
)


def opro(task: MethodTask) -> dspy.Module:
    """Ask for a better instruction again and again, showing what each earlier one scored."""
    return step_by_step(InstructionSearch(task), _improve)


def _improve(search: InstructionSearch, step: str, start: InstructionCandidate, rounds: int) -> None:
    tried = [start]
    rng = generator(search.task.seed, "opro", step)
    for _ in range(rounds):
        text = search.propose(_ASK, trajectory(search, tried, rng.sample(range(10**6), 1)[0]))
        if text and all(text != candidate.text for candidate in tried):
            tried.append(search.scored(search.with_instruction(start.program, step, text)))


def trajectory(search: InstructionSearch, tried: list[InstructionCandidate], seed: int) -> str:
    """Return the best instructions so far, the worst of them first, and some examples."""
    best = sorted(tried, key=lambda one: one.mean)[-_REMEMBERED:]
    lines = [f"Instruction: {one.text}\nScore: {one.mean:.2f}" for one in best]
    train = list(search.task.train)
    examples = generator(seed, "examples").sample(train, min(_SHOWN, len(train)))
    shown = [f"Input: {search.shown(one)}\nOutput: {search.expected(one)}" for one in examples]
    return "\n\n".join((*lines, "Examples of the task:", *shown))
