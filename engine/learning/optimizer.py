"""The optimizer: learns correction rules for a DSPy module and returns it with the best of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from engine.ground.answer_scoring import AnswerScorer, answer_scorer
from engine.ground.errors import ConfigError, DataError, ProjectError
from engine.ground.examples import Item, example_name
from engine.ground.interval import Interval
from engine.ground.score import Example, Metric
from engine.ground.seeds import generator
from engine.ground.statistics import mean_interval
from engine.journal.events import Emit, Notice, RolloutFinished
from engine.journal.progress_log import logged, shown_on_stderr
from engine.learning.analysis.gradients import GradientWriter
from engine.learning.analysis.leakage import QuotationIndex
from engine.learning.answers import answer_space
from engine.learning.elimination import Elimination
from engine.learning.findings.label_doubts import Doubt, doubted_labels
from engine.learning.layer_tests import LayerTester
from engine.learning.layer_wiring import LayerWiring
from engine.learning.loop import LoopParts, OptimizationLoop
from engine.learning.loop_states import Optimized
from engine.learning.merging import RuleMerger
from engine.learning.progress import Forecast, ReflectionCount
from engine.learning.proposals.choice import FAILURE_ANALYSIS
from engine.learning.review import Reviewer
from engine.learning.rollouts import RolloutRunner
from engine.learning.rule_tests import RuleTester
from engine.learning.selection import RuleAcceptor, RuleSelector, accept_by_default, checked
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.programs.coercion import as_metric
from engine.programs.conditional import program_with
from engine.programs.formatting import ExampleFormatter, FieldFormatter, as_text
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from engine.programs.user_formatter import CheckedFormatter
from engine.project.config import PromptGradConfig
from engine.project.sampling import stratified_split

_NO_ADAPTER = (
    "No adapter is configured: the program is measured with ChatAdapter, with which DSPy will serve it. A "
    "small model answers better with dspy.configure(adapter=dspy.JSONAdapter())."
)


class PromptGradOptimizer(Teleprompter):
    """Learns correction rules from failures, proves each on examples, and keeps the base prompt as it is.

    `metric` takes (example, prediction) and returns a `Score`; a DSPy-style metric that returns a number or
    a bool works as well. `base_prompt_source` is "module" or the base instructions themselves.
    """

    def __init__(
        self,
        metric: Metric,
        config: PromptGradConfig | None = None,
        base_prompt_source: str = "module",
        example_formatter: ExampleFormatter | None = None,
        rule_acceptor: RuleAcceptor | None = None,
    ) -> None:
        super().__init__()
        if config is not None and not isinstance(config, PromptGradConfig):
            raise ConfigError(
                f"The config is of type {type(config).__name__}.",
                hint="Pass PromptGradConfig(epochs=2, ...).",
            )
        self.config = config or PromptGradConfig()
        if base_prompt_source != "module":
            self.config = replace(self.config, base_prompt_source=base_prompt_source)
        self.metric = as_metric(metric, success_from=self.config.failure_threshold)
        self.example_formatter = CheckedFormatter(example_formatter) if example_formatter else None
        self.rule_acceptor = checked(rule_acceptor) if rule_acceptor else accept_by_default

    def optimize(
        self,
        module: dspy.Module,
        train_examples: Sequence[Mapping[str, Any]],
        val_examples: Sequence[Mapping[str, Any]] | None = None,
    ) -> dspy.Module:
        """Return `module` with base instructions and the learned corrections.

        The model is DSPy's configured one (`dspy.configure(lm=...)`); it writes the gradients too. The
        program is measured with DSPy's configured adapter: by default ChatAdapter, as when it is served.
        With `verbose`, progress goes to the logger `promptgrad`, and to stderr where no logging is set up.

        Raises:
            DataError: there are too few examples to learn and to validate.
            MetricError, ProjectError: a function that was passed in raised.
            ModelUnavailableError: the model stopped answering.
        """
        return self._optimize(module, train_examples, val_examples)

    def _optimize(
        self,
        module: dspy.Module,
        train_examples: Sequence[Example],
        val_examples: Sequence[Example] | None,
        declared: frozenset[str] | None = None,
    ) -> dspy.Module:
        lm = _configured_lm()
        session = OptimizationSession(
            self,
            module,
            SessionExamples(train_examples, val_examples, declared=declared),
            SessionModels(lm, scorer=_scorer_of(lm), adapter=dspy.settings.adapter or dspy.ChatAdapter()),
        )
        with shown_on_stderr() if self.config.verbose else nullcontext(), closing(session):
            if dspy.settings.adapter is None:
                session.emit(Notice(id="adapter", text=_NO_ADAPTER))
            return session.program_with(session.run().state)

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: Sequence[dspy.Example],
        teacher: dspy.Module | None = None,
        valset: Sequence[dspy.Example] | None = None,
        **kwargs: Any,
    ) -> dspy.Module:
        """Return `student` with learned corrections; this is `optimize` under DSPy's name.

        Where the examples say what their inputs are (`with_inputs`), the student gets no other fields.

        Raises:
            TypeError: a `teacher` or another argument that this optimizer has no use for.
        """
        if teacher is not None or kwargs:
            unknown = ", ".join((["teacher"] if teacher is not None else []) + list(kwargs))
            raise TypeError(f"PromptGradOptimizer.compile has no use for: {unknown}")
        return self._optimize(
            student,
            [dict(example) for example in trainset],
            None if valset is None else [dict(example) for example in valset],
            _declared_inputs(trainset),
        )


class OptimizationSession:
    """One optimization with its parts wired: program, examples, rollouts, gradients, tests.

    `runner` tries candidates on the model of the search, `prover` scores states on the task's: one and the
    same without a model for the search. `calls_before` is what making the module took.

    Raises:
        DataError: there are too few examples to learn and to validate.
    """

    def __init__(
        self,
        optimizer: PromptGradOptimizer,
        module: dspy.Module,
        examples: SessionExamples,
        models: SessionModels,
        followers: SessionFollowers | None = None,
        *,
        calls_before: int = 0,
    ) -> None:
        config = optimizer.config
        self.config = config
        self.seed = config.seed if config.seed is not None else random.randrange(2**31)
        self._followers = followers or SessionFollowers()
        emit = self._followers.emit
        self._reflections = ReflectionCount(logged(emit) if config.verbose else emit)
        self.emit: Emit = self._reflections
        self.program = FrozenProgram(module, config.base_prompt_source, examples.declared)
        self._optimizer = optimizer
        self._examples = examples
        self._models = models
        self._calls_before = calls_before
        self.prover = self._runner(models.task, searches=False)
        self.runner = self._runner(models.search, searches=True) if models.search else self.prover
        self.train, self.validation = self._split(examples.train, examples.validation)
        self.tester = RuleTester(self.runner, self.validation, config, seed=self.seed, emit=self.emit)

    def run(self) -> Optimized:
        """Learn rules from the training examples."""
        return self._loop().run()

    def validate(self, state: LearnedState) -> Interval:
        """Return the mean score of the program with a learned state on the validation examples."""
        rollouts = self.prover.run(state, self.validation)
        return mean_interval([rollout.score.value for rollout in rollouts])

    def doubted_labels(
        self, rollouts: Iterable[RolloutFinished], test_examples: Sequence[Example], best: LearnedState
    ) -> list[Doubt]:
        """Return the examples of all splits whose labels these rollouts give reason to doubt."""
        space = answer_space(self.program, self.train)
        if space is None:
            return []
        items = [*self.train, *self.validation, *self.runner.items(test_examples, "test")]
        return doubted_labels(rollouts, items, space, self._wiring().likelihood(), best)

    @property
    def calls(self) -> int:
        """How many calls of models were made, or answered by the journal, so far."""
        searched = self.runner.calls if self.runner is not self.prover else 0
        return self._calls_before + self.prover.calls + searched + self._reflections.calls

    def program_with(self, state: LearnedState) -> dspy.Module:
        """Return the module with a learned state; it is conditional if the configuration says so."""
        return program_with(self.program, state, self.config.selection)

    def close(self) -> None:
        """Give the threads back."""
        self.runner.close()
        self.prover.close()

    def _runner(self, lm: dspy.LM, *, searches: bool) -> RolloutRunner:
        return RolloutRunner(
            self.program,
            self._optimizer.metric,
            lm,
            adapter=self._models.adapter,
            max_workers=self.config.max_workers,
            seed=self.seed,
            selection=self.config.selection,
            searches=searches,
            emit=self.emit,
        )

    def _split(
        self, train_examples: Sequence[Example], val_examples: Sequence[Example] | None
    ) -> tuple[list[Item], list[Item]]:
        train = self.runner.items(train_examples, "train")
        if val_examples is None:
            train, validation = self._hold_out(train)
        else:
            validation = self.runner.items(val_examples, "validation")
        if not train or not validation:
            raise DataError(
                f"There are {len(train)} training and {len(validation)} validation examples.",
                hint="Give at least one of each, or enough training examples to hold some out.",
            )
        self._refuse_without_inputs([*train, *validation])
        return train, validation

    def _refuse_without_inputs(self, items: Sequence[Item]) -> None:
        for item in items:
            if self.program.inputs and not item.inputs:
                raise DataError(
                    f"The {item.split} example {example_name(item.values, item.key)} has no input of the "
                    f"program; its fields are {', '.join(item.values) or 'none'}.",
                    hint=f"The program takes {', '.join(sorted(self.program.inputs))}.",
                )

    def _hold_out(self, train: list[Item]) -> tuple[list[Item], list[Item]]:
        labels = [self._label(item) for item in train]
        rng = generator(self.seed, "holdout")
        kept, held_out = stratified_split(labels, self.config.val_holdout_fraction, rng)
        return [train[index] for index in kept], [
            replace(train[index], split="validation") for index in held_out
        ]

    def _label(self, item: Item) -> str:
        return "; ".join(
            as_text(value) for key, value in item.values.items() if key not in item.inputs and key != "id"
        )

    def _wiring(self) -> LayerWiring:
        return LayerWiring(
            self.program,
            self.runner,
            self.train,
            self.config,
            self._models,
            seed=self.seed,
            emit=self.emit,
        )

    def _loop(self) -> OptimizationLoop:
        config, predictors = self.config, len(self.program.predictors)
        forecast = Forecast(
            config, len(self.validation), self._examples.test_size, lambda: self.calls, predictors
        )
        return OptimizationLoop(
            self._parts(self._wiring()),
            config,
            self.train,
            self.validation,
            seed=self.seed,
            forecast=forecast,
            emit=self.emit,
            slice_field=self._examples.slice_field,
        )

    def _parts(self, wiring: LayerWiring) -> LoopParts:
        config, emit, models = self.config, self.emit, self._models
        acceptor = self._optimizer.rule_acceptor
        decisions = self._followers.decisions
        reviewer = Reviewer(decisions, self.tester, emit) if decisions else None
        tester = self.tester if config.validate_rules else None
        layer_tester = LayerTester(
            self.runner,
            self.validation,
            config,
            seed=self.seed,
            emit=emit,
            likelihood=wiring.likelihood_in_tests(),
        )
        is_greedy = config.validate_rules and config.rule_selection_mode == "greedy"
        texts = [as_text(value) for item in self.train for value in item.inputs.values()]
        quotations = QuotationIndex(texts)
        return LoopParts(
            program=self.program,
            runner=self.runner,
            prover=self.prover,
            gradients=self._gradients(quotations) if FAILURE_ANALYSIS in wiring.sources else None,
            selector=RuleSelector(tester, config, emit),
            merger=RuleMerger(models.reflecting, tester, adapter=models.reflection_adapter, emit=emit),
            acceptor=acceptor,
            reviewer=reviewer,
            elimination=Elimination(layer_tester, emit) if is_greedy else None,
            layers=wiring.learner(layer_tester, quotations, acceptor, reviewer),
        )

    def _gradients(self, quotations: QuotationIndex) -> GradientWriter:
        return GradientWriter(
            self.program,
            self._models.reflecting,
            self.config,
            self._optimizer.example_formatter or FieldFormatter(self.program.inputs or ()),
            quotations,
            seed=self.seed,
            adapter=self._models.reflection_adapter,
            emit=self.emit,
            live=self._followers.live,
        )


def _declared_inputs(examples: Sequence[dspy.Example]) -> frozenset[str] | None:
    """Return the fields that the examples name as inputs; None if one of them names none."""
    try:
        return frozenset(field for example in examples for field in example.inputs())
    except ValueError:
        return None


def _scorer_of(lm: dspy.LM) -> AnswerScorer | None:
    """Return what scores answers by the model behind an LM of ours, if it can."""
    return answer_scorer(getattr(getattr(lm, "engine", None), "scorer", None))


def _configured_lm() -> dspy.LM:
    lm = dspy.settings.lm
    if lm is None:
        raise ProjectError(
            "No model is configured.",
            hint='Call dspy.configure(lm=open_model("demo").lm, adapter=dspy.JSONAdapter()), or another LM.',
        )
    return lm
