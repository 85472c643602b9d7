"""TextGrad: feedback on wrong answers as a gradient, and a rewrite of the instruction that follows it.

Past feedback stays in the prompt as momentum. Unlike the original, a rewrite counts only if it scores
higher: without that, scores fall with iterations.

Source: Yuksekgonul et al. 2024, TextGrad (arXiv 2406.07496).
"""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from engine.ground.seeds import generator
from engine.learning.methods.candidates import Answered, InstructionCandidate, InstructionSearch, step_by_step
from engine.learning.methods.method import MethodTask

_FAILURES = 3
_MOMENTUM = 3
_CRITICISE = (
    "An instruction led to wrong answers. In one or two sentences, say what the instruction should have said "
    "so that these answers had been right. Speak of the instruction, not of single inputs."
)
_REWRITE = (
    "Rewrite the instruction so that it follows the feedback. Keep all that isn't criticised. Write the new "
    "instruction and nothing else."
)


def textgrad(task: MethodTask) -> dspy.Module:
    """Criticise failures, rewrite the instruction by the criticism, and keep what scores higher."""
    return step_by_step(InstructionSearch(task, proposals=2), _improve)


def _improve(search: InstructionSearch, step: str, start: InstructionCandidate, rounds: int) -> None:
    feedback: list[str] = []
    rng = generator(search.task.seed, "textgrad", step)
    for _ in range(rounds):
        best = search.best
        failures = best.failures()
        if not failures:
            break
        shown = rng.sample(failures, min(_FAILURES, len(failures)))
        gradient = search.propose(_CRITICISE, _criticised(search, best.text, shown), temperature=0.7)
        if not gradient:
            continue
        feedback.append(gradient)
        asked = "\n".join(f"- {one}" for one in feedback[-_MOMENTUM:])
        text = search.propose(
            _REWRITE, f"Instruction: {best.text}\n\nFeedback, the latest last:\n{asked}", temperature=0.7
        )
        if text and text != best.text:
            search.scored(search.with_instruction(start.program, step, text))


def _criticised(search: InstructionSearch, text: str, failures: Sequence[Answered]) -> str:
    cases = "\n\n".join(
        f"Input: {search.shown(one.example)}\nAnswer: {one.answer or '(unreadable)'}\n"
        f"Wrong: {one.score.feedback or 'expected ' + search.expected(one.example)}"
        for one in failures
    )
    return f"Instruction: {text}\n\n{cases}"
