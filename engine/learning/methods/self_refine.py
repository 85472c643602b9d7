"""Self-refine: the prompt criticises itself and is rewritten, until a rewrite gains nothing.

Source: Madaan et al. 2023, Self-Refine (arXiv 2303.17651), turned from answers to the instruction.
"""

from __future__ import annotations

import dspy

from engine.learning.methods.candidates import InstructionCandidate, InstructionSearch, step_by_step
from engine.learning.methods.method import MethodTask

_CRITICISE = (
    "Name the one thing in this instruction that is most likely to be misunderstood, or that is missing, in "
    "one sentence."
)
_REWRITE = "Rewrite the instruction so that this is mended. Write the new instruction and nothing else."


def self_refine(task: MethodTask) -> dspy.Module:
    """Criticise and rewrite the instruction as long as that raises the score."""
    return step_by_step(InstructionSearch(task, proposals=2), _improve)


def _improve(search: InstructionSearch, step: str, start: InstructionCandidate, rounds: int) -> None:
    for _ in range(rounds):
        best = search.best.text
        criticism = search.propose(_CRITICISE, best, temperature=0.7)
        text = search.propose(_REWRITE, f"Instruction: {best}\n\nCriticism: {criticism}", temperature=0.7)
        if not text or text == best:
            break
        candidate = search.scored(search.with_instruction(start.program, step, text))
        if candidate is not search.best:
            break
