"""Candidate instructions: proposed by a model and scored on validation; the best are kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field

import dspy
from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import BudgetExhaustedError
from engine.ground.score import Example, Score
from engine.ground.seeds import derive_seed, sampling_lm
from engine.journal.replay import cause_of
from engine.learning.methods.method import MethodTask
from engine.programs.formatting import as_text
from engine.programs.program import run_program

_LONGEST = 1500
"""The most characters of a usable instruction; a small model that writes more has lost control."""
_PROPOSAL_TOKENS = 300
_MOST_EXAMPLES = 40
_UNREADABLE = Score(0.0, False, "The answer could not be read.", "unparseable")


@dataclass(frozen=True)
class Answered:
    """One example with the program's answer and its score."""

    example: Example
    answer: str
    score: Score


@dataclass
class Candidate:
    """One instruction of one step, with its scores so far."""

    text: str
    program: dspy.Module
    answers: list[Answered] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """The mean score, 0..1; 0 before it was tried."""
        return sum(one.score.value for one in self.answers) / max(len(self.answers), 1)

    def failures(self, threshold: float = 0.5) -> list[Answered]:
        """Return the examples that were answered wrong."""
        return [one for one in self.answers if one.score.value < threshold]


class InstructionSearch:
    """Proposes and scores instructions for one step after another of a program, within the task's budget.

    Every candidate is scored on the same examples, 40 at most, so that scores are comparable.
    """

    def __init__(self, task: MethodTask) -> None:
        self.task = task
        self.examples = list(task.validation)[:_MOST_EXAMPLES]
        self._asked = 0

    @property
    def cost(self) -> int:
        """Calls per candidate: its proposal, and one run of the program for each example."""
        return len(self.examples) * self.task.steps + 1

    @property
    def rounds(self) -> int:
        """How many candidates the budget allows besides the unchanged program."""
        return self.task.calls // self.cost - 1

    def steps(self) -> list[str]:
        """Return the names of the program's steps."""
        return [name for name, _ in self.task.program.named_predictors()]

    def as_it_is(self, step: str, program: dspy.Module | None = None) -> Candidate:
        """Return the unchanged program, scored."""
        program = program or self.task.program
        text = dict(program.named_predictors())[step].signature.instructions
        return self.scored(Candidate(text, program))

    def with_instruction(self, program: dspy.Module, step: str, text: str) -> Candidate:
        """Return a program whose step has another instruction; it isn't scored yet."""
        made = program.deepcopy()
        predictor = dict(made.named_predictors())[step]
        predictor.signature = predictor.signature.with_instructions(text)
        return Candidate(text, made)

    def scored(self, candidate: Candidate) -> Candidate:
        """Run a candidate on the examples that it wasn't run on yet."""
        wanted = self.examples[len(candidate.answers) :]
        with ThreadPoolExecutor(self.task.threads, thread_name_prefix="method") as pool:
            futures = [
                pool.submit(copy_context().run, self._answer, candidate.program, example)
                for example in wanted
            ]
            candidate.answers += [future.result() for future in futures]
        return candidate

    def propose(self, system: str, user: str, temperature: float = 1.0) -> str:
        """Ask the reflection model for one instruction; "" if it gave none that can be used."""
        self._asked += 1
        seed = derive_seed(self.task.seed, "method", "proposal", self._asked)
        lm = sampling_lm(self.task.reflection_lm, seed, temperature=temperature, max_tokens=_PROPOSAL_TOKENS)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        try:
            said = lm(messages=messages)[0]
        except Exception as error:
            raise cause_of(error) or error from error
        return _instruction(said if isinstance(said, str) else str(said.get("text", "")))

    def _answer(self, program: dspy.Module, example: Example) -> Answered:
        inputs = {key: value for key, value in example.items() if key in self.task.inputs}
        try:
            with dspy.context(lm=self.task.lm, adapter=self.task.adapter, trace=[]):
                prediction = run_program(program, inputs)
        except AdapterParseError:
            return Answered(example, "", _UNREADABLE)
        except Exception as error:
            raise cause_of(error) or error from error
        shown = "; ".join(as_text(value) for value in dict(prediction.items()).values())
        return Answered(example, shown, self.task.score(example, prediction))

    def shown(self, example: Example) -> str:
        """Return an example's inputs as text."""
        return "\n".join(as_text(value) for key, value in example.items() if key in self.task.inputs)

    def expected(self, example: Example) -> str:
        """Return what an example expects, as text."""
        skipped = (*self.task.inputs, "id")
        return "; ".join(as_text(value) for key, value in example.items() if key not in skipped)


def step_by_step(
    search: InstructionSearch, improve: Callable[[InstructionSearch, str, Candidate, int], Candidate]
) -> dspy.Module:
    """Improve each step of a program in turn and return the best program; a used-up budget ends it early.

    `improve` gets the step's name, the best candidate so far and how many candidates it may try.
    """
    steps = search.steps()
    search.task.need("This method", 2 * search.cost)
    best: Candidate | None = None
    try:
        for step in steps:
            best = search.as_it_is(step, best.program if best else None)
            best = improve(search, step, best, max(search.rounds // len(steps), 1))
    except BudgetExhaustedError:
        if best is None:
            raise
    assert best is not None
    return best.program


def _instruction(said: str) -> str:
    """Return the instruction in a model's reply, without a heading, quotes or a code fence."""
    text = said.strip().strip("`").strip()
    for heading in ("Instruction:", "New instruction:", "Instructions:"):
        text = text.removeprefix(heading).strip()
    text = text.strip('"').strip()
    return text if len(text) <= _LONGEST else ""
