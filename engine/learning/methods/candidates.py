"""Candidate instructions: proposed by a model and scored on validation; the best are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field

import dspy
from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import BudgetExhaustedError
from engine.ground.score import Example, Score
from engine.ground.seeds import derive_seed, generator, sampling_lm
from engine.journal.replay import cause_of
from engine.learning.methods.method import MethodTask
from engine.programs.formatting import as_text
from engine.programs.program import run_program
from engine.project.sampling import stratified_split

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
class InstructionCandidate:
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

    Every candidate is scored on the same examples, so that scores are comparable: on all of validation, or
    on 40 that the seed draws, with each answer in proportion. A candidate takes so many `proposals`. The best
    one that was scored is remembered, so that a budget that ends early loses nothing.
    """

    def __init__(self, task: MethodTask, proposals: int = 1) -> None:
        self.task = task
        self._outputs = {name for step in task.program.predictors() for name in step.signature.output_fields}
        self.examples = self._drawn(task.validation)
        self._proposals = proposals
        self._asked = 0
        self._best: InstructionCandidate | None = None

    @property
    def scoring(self) -> int:
        """Calls that score a candidate: one run of the program for each example."""
        return len(self.examples) * self.task.steps

    @property
    def cost(self) -> int:
        """Calls for a new candidate: its proposals and its scores."""
        return self.scoring + self._proposals

    @property
    def rounds(self) -> int:
        """How many candidates the budget allows besides the unchanged program."""
        return (self.task.calls - self.scoring) // self.cost

    @property
    def best(self) -> InstructionCandidate:
        """The best candidate that was scored, the first of equals."""
        assert self._best is not None, "the unchanged program is scored first"
        return self._best

    def steps(self) -> list[str]:
        """Return the names of the program's steps."""
        return [name for name, _ in self.task.program.named_predictors()]

    def start(self, step: str) -> InstructionCandidate:
        """Return the best program so far, with its known answers, as a candidate for another step."""
        known = self._best or InstructionCandidate("", self.task.program)
        text = dict(known.program.named_predictors())[step].signature.instructions
        self._best = self.scored(InstructionCandidate(text, known.program, known.answers))
        return self._best

    def with_instruction(self, program: dspy.Module, step: str, text: str) -> InstructionCandidate:
        """Return a program whose step has another instruction; it isn't scored yet."""
        made = program.deepcopy()
        predictor = dict(made.named_predictors())[step]
        predictor.signature = predictor.signature.with_instructions(text)
        return InstructionCandidate(text, made)

    def scored(self, candidate: InstructionCandidate) -> InstructionCandidate:
        """Run a candidate on the examples that it wasn't run on yet."""
        wanted = self.examples[len(candidate.answers) :]
        with ThreadPoolExecutor(self.task.threads, thread_name_prefix="method") as pool:
            futures = [
                pool.submit(copy_context().run, self._answer, candidate.program, example)
                for example in wanted
            ]
            candidate.answers += [future.result() for future in futures]
        if self._best is None or candidate.mean > self._best.mean:
            self._best = candidate
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
        """Return the outputs that an example is labelled with, as text; "" if it has none."""
        names = self._outputs - self.task.inputs
        return "; ".join(as_text(value) for key, value in example.items() if key in names)

    def _drawn(self, examples: Sequence[Example]) -> list[Example]:
        if len(examples) <= _MOST_EXAMPLES:
            return list(examples)
        labels = [self.expected(example) for example in examples]
        rng = generator(self.task.seed, "method", "validation")
        _, drawn = stratified_split(labels, _MOST_EXAMPLES / len(examples), rng)
        return [examples[index] for index in drawn]


def step_by_step(
    search: InstructionSearch, improve: Callable[[InstructionSearch, str, InstructionCandidate, int], None]
) -> dspy.Module:
    """Improve each step of a program in turn and return the best program; a used-up budget ends it early.

    `improve` gets the step's name, the best candidate so far and how many candidates it may try.
    """
    steps = search.steps()
    search.task.need("This method", search.scoring + search.cost)
    search.start(steps[0])
    with suppress(BudgetExhaustedError):
        for step in steps:
            improve(search, step, search.start(step), max(search.rounds // len(steps), 1))
    return search.best.program


def _instruction(said: str) -> str:
    """Return the instruction in a model's reply, without a heading, quotes or a code fence."""
    text = said.strip().strip("`").strip()
    for heading in ("Instruction:", "New instruction:", "Instructions:"):
        text = text.removeprefix(heading).strip()
    text = text.strip('"').strip()
    return text if len(text) <= _LONGEST else ""
