"""Assembles the parts that learn sets of rules and demonstrations, for one program and its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.ground.examples import Item
from engine.journal.events import Emit
from engine.learning.analysis.leakage import QuotationIndex
from engine.learning.answers import AnswerSpace, answer_space
from engine.learning.demonstrations.search import DemonstrationSearch
from engine.learning.layer_tests import LayerTester
from engine.learning.layers import LayerLearner
from engine.learning.proposals.choice import FAILURE_ANALYSIS, chosen_sources, made_sources
from engine.learning.proposals.questions import Questioner
from engine.learning.review import Reviewer
from engine.learning.rollouts import RolloutRunner
from engine.learning.rule_search import RuleSearch
from engine.learning.screening.likelihood import Likelihood
from engine.learning.screening.likelihood_signal import LikelihoodSignal
from engine.learning.screening.score_signal import ScoreSignal
from engine.learning.screening.signal import Signal
from engine.learning.selection import RuleAcceptor
from engine.learning.session_inputs import SessionModels
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.formatting import as_text
from engine.programs.nearest import longest_demonstrations
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig, SourceName


class LayerWiring:
    """The chosen sources and screening signal, and the parts built for them.

    `sources` are the names of all that propose rules, the analysis of failures among them.
    """

    def __init__(
        self,
        program: FrozenProgram,
        runner: RolloutRunner,
        train: Sequence[Item],
        config: PromptGradConfig,
        models: SessionModels,
        *,
        seed: int,
        emit: Emit,
    ) -> None:
        self._program = program
        self._runner = runner
        self._train = train
        self._config = config
        self._models = models
        self._seed = seed
        self._emit = emit
        self._space = answer_space(program, train)
        self.sources: Sequence[SourceName] = chosen_sources(
            config.sources, self._space, is_one_step=self._answers_at_once(self._space)
        )

    def learner(
        self,
        tester: LayerTester,
        quotations: QuotationIndex,
        acceptor: RuleAcceptor,
        reviewer: Reviewer | None,
    ) -> LayerLearner | None:
        """Return the learner of rule sets and demonstrations; None if only failures are analysed."""
        config, seed, emit = self._config, self._seed, self._emit
        sources = made_sources(
            self.sources,
            Questioner(self._models.reflecting, seed=seed, emit=emit),
            self._program.task(),
            seed=seed,
            samples=config.gradient_samples,
        )
        if not sources and not config.max_demonstrations:
            return None
        signal = self._signal()

        def is_sound(rule: Rule) -> bool:
            return quotations.quoted_span(rule.text) is None and acceptor(rule.proposed())

        rules = RuleSearch(
            sources, signal, tester, is_sound, most=config.max_local_rules, seed=seed, emit=emit
        )
        return LayerLearner(
            self._demonstration_search(tester) if config.max_demonstrations else None,
            rules if sources else None,
            signal,
            self._space,
            self._train,
            failure_threshold=config.failure_threshold,
            reviewer=reviewer,
            emit=emit,
        )

    def _demonstration_search(self, tester: LayerTester) -> DemonstrationSearch:
        config = self._config
        return DemonstrationSearch(
            self._runner,
            tester,
            self._space,
            self._train,
            self._fits,
            most=config.max_demonstrations,
            spared=config.batch_size if FAILURE_ANALYSIS in self.sources else 0,
            is_pool=config.conditional_demonstrations > 0,
            seed=self._seed,
            emit=self._emit,
        )

    def likelihood(self) -> Likelihood | None:
        """Return the likelihood of answers if the model has it and the program answers directly."""
        space, scorer = self._space, self._models.scorer
        if scorer is None or space is None or not self._answers_at_once(space):
            return None
        return Likelihood(self._program, scorer, self._models.adapter, space, self._config.selection)

    def likelihood_in_tests(self) -> Likelihood | None:
        """Return the likelihood that tests use where the score can't tell; None if only the score counts.

        The mode "auto" proves gains of the score. Rivals must be the same on both sides of a test, so the
        possible answers have to be known.
        """
        config = self._config
        is_wanted = config.rule_validation_signal == "likelihood" and config.rule_validation_mode == "delta"
        is_closed = self._space is not None and self._space.is_closed
        return self.likelihood() if is_wanted and is_closed else None

    def _signal(self) -> Signal:
        likelihood = self.likelihood()
        return ScoreSignal(self._runner) if likelihood is None else LikelihoodSignal(likelihood)

    def _answers_at_once(self, space: AnswerSpace | None) -> bool:
        """Return whether the program's only step writes the answer and nothing else."""
        if space is None or len(self._program.predictors) > 1:
            return False
        return list(self._program.signature(space.predictor).output_fields) == [space.field]

    def _fits(self, demonstrations: DemonstrationSet) -> bool:
        """Return whether the longest training example still fits behind these demonstrations.

        Where an input meets only some of them, behind the longest of so many.
        """
        most = self._config.conditional_demonstrations
        if most:
            demonstrations = DemonstrationSet(longest_demonstrations(demonstrations, most))
        module = self._program.with_state(LearnedState(RuleSet(), demonstrations))
        adapter = self._models.adapter
        longest = max(self._train, key=lambda item: sum(len(as_text(v)) for v in item.inputs.values()))
        return all(
            self._models.room(adapter.format(step.signature, step.demos, _known_inputs(step, longest)))
            for _, step in module.named_predictors()
        )


def _known_inputs(step: Any, item: Item) -> dict[str, Any]:
    return {name: item.inputs.get(name, "") for name in step.signature.input_fields}
