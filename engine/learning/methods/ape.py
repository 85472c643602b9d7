"""APE: instructions are induced from inputs and outputs, and the best are varied and tried again.

Source: Zhou et al. 2023, Large Language Models Are Human-Level Prompt Engineers (arXiv 2211.01910).
"""

from __future__ import annotations

import dspy

from engine.ground.errors import ConfigError
from engine.ground.seeds import generator
from engine.learning.methods.candidates import InstructionCandidate, InstructionSearch, step_by_step
from engine.learning.methods.method import MethodTask

_SHOWN = 5
_SHARE_INDUCED = 0.6
"""The share of the budget for instructions from examples; the rest varies the best."""
_INDUCE = (
    "Someone gave an instruction, and these are the inputs and outputs that came of it. Write that "
    "instruction in a few plain sentences: what to do, and which outputs there are. Write nothing else."
)
_VARY = (
    "Say this instruction in other words. Keep what it asks for. Write the new instruction and nothing else."
)


def ape(task: MethodTask) -> dspy.Module:
    """Propose instructions from examples, score them, and resample around the best.

    Raises:
        ConfigError: no training example is labelled with an output of the program.
    """
    search = InstructionSearch(task)
    if not any(map(search.expected, task.train)):
        raise ConfigError(
            "ape induces instructions from inputs and outputs, and the training examples label no output of "
            "the program.",
            hint="Add the expected output to the training examples, or take opro.",
        )
    return step_by_step(search, _improve)


def _improve(search: InstructionSearch, step: str, start: InstructionCandidate, rounds: int) -> None:
    labelled = [example for example in search.task.train if search.expected(example)]
    rng = generator(search.task.seed, "ape", step)
    induced = max(round(rounds * _SHARE_INDUCED), 1)
    for number in range(rounds):
        if number < induced:
            examples = rng.sample(labelled, min(_SHOWN, len(labelled)))
            pairs = "\n\n".join(
                f"Input: {search.shown(example)}\nOutput: {search.expected(example)}" for example in examples
            )
            text = search.propose(_INDUCE, pairs)
        else:
            text = search.propose(_VARY, search.best.text)
        if text and text != search.best.text:
            search.scored(search.with_instruction(start.program, step, text))
