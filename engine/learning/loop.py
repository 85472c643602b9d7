"""The optimization loop: batches, gradients, tested rules, and a whole validation after each epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.ground.errors import BudgetExhaustedError
from engine.ground.examples import Item
from engine.ground.metric_scores import columns_of, mean_of, metrics_of
from engine.ground.seeds import generator
from engine.journal.ablation_events import LayersCompared
from engine.journal.event_parts import Phase
from engine.journal.events import (
    BatchScored,
    ChangeReason,
    Emit,
    EpochFinished,
    EpochOutcome,
    PhaseStarted,
    ProgressEstimated,
)
from engine.learning.ablation import compare_layers
from engine.learning.analysis.batches import Batch
from engine.learning.analysis.gradients import GradientWriter
from engine.learning.elimination import Elimination
from engine.learning.layers import LayerLearner
from engine.learning.loop_states import LoopStates, Optimized
from engine.learning.merging import RuleMerger
from engine.learning.place import Place
from engine.learning.progress import Forecast
from engine.learning.pruning import prune
from engine.learning.review import Reviewer
from engine.learning.rollouts import Rollout, RolloutRunner
from engine.learning.selection import RuleAcceptor, RuleSelector
from engine.learning.slices import ScoredExamples, slice_name
from engine.learning.state_events import state_changed
from engine.learning.stopping import Stopping
from engine.programs.program import FrozenProgram
from engine.programs.rules import ParsedRule, Rule, RuleSet
from engine.programs.state import LearnedState
from engine.project.config import PromptGradConfig
from engine.project.sampling import draw_batch


@dataclass(frozen=True)
class LoopParts:
    """The parts of the loop, each with one task.

    `runner` tries candidates, `prover` scores whole states: two only where the search has its own model.
    """

    program: FrozenProgram
    runner: RolloutRunner
    prover: RolloutRunner
    gradients: GradientWriter | None
    selector: RuleSelector
    merger: RuleMerger
    acceptor: RuleAcceptor
    reviewer: Reviewer | None = None
    layers: LayerLearner | None = None
    elimination: Elimination | None = None


class OptimizationLoop:
    """Learns rules for a program, epoch by epoch; the best state wins, not the last."""

    def __init__(
        self,
        parts: LoopParts,
        config: PromptGradConfig,
        train: Sequence[Item],
        validation: Sequence[Item],
        *,
        seed: int,
        forecast: Forecast,
        emit: Emit,
        slice_field: str | None = None,
    ) -> None:
        self._parts = parts
        self._config = config
        self._train = train
        self._validation = validation
        self._seed = seed
        self._forecast = forecast
        self._emit = emit
        self._slices = [slice_name(item.values, slice_field) for item in validation]
        self._categories: list[str | None] = [None] * len(train)
        self._recent: list[int] = []
        self._states = LoopStates()
        self._undecided: set[str] = set()
        self._epoch = 0

    def run(self) -> Optimized:
        """Return the best rules found; a budget that runs out ends the loop with what it has."""
        try:
            reason = self._run_epochs()
            found = self._states.result(f"{reason}{self._nearly_accepted()}", exhausted=False)
            return replace(found, layers=self._compared_layers())
        except BudgetExhaustedError as error:
            return self._unscored(error.message) or self._states.result(error.message, exhausted=True)

    @property
    def _state(self) -> LearnedState:
        return self._states.current

    def _compared_layers(self) -> LayersCompared | None:
        """Say what each layer brings, if both were learned and the budget allows it."""
        if self._parts.layers is None or not self._states.best:
            return None
        self._enter("layers", Place(self._config.epochs))
        try:
            return compare_layers(self._parts.prover, self._states.best, self._validation, self._emit)
        except BudgetExhaustedError:
            return None

    def _nearly_accepted(self) -> str:
        """Say it where rules gained something in their tests and none was accepted."""
        if self._states.best or not self._undecided or self._parts.reviewer is not None:
            return ""
        count = len(self._undecided)
        return (
            f"; {count} {'rule' if count == 1 else 'rules'} gained something, but not enough for "
            'rule_validation_mode = "auto" on so few examples: review them, or validate on more'
        )

    def _unscored(self, reason: str) -> Optimized | None:
        """Return the state of an epoch that the budget cut short, if the tests of its rules speak for it.

        They do if it was made of the best state, by changes that were tested or decided by a person.
        """
        states, state = self._states, self._state.with_rules(self._pruned())
        if (
            states.baseline is None
            or state == states.best
            or not self._is_tested
            or not states.builds_on_best
        ):
            return None
        return Optimized(
            state,
            states.baseline.interval,
            None,
            f"{reason.rstrip('.')}. That was in epoch {self._epoch}: its rules were accepted one by one, "
            "each by its own test, and were not scored together on validation.",
            exhausted=True,
        )

    def _run_epochs(self) -> str:
        baseline = self._validate(epoch=0)
        self._states = self._states.begun(baseline)
        self._report_epoch(0, self._state, baseline, "baseline")
        if not self._validation:
            return "there are no validation examples"
        stopping = Stopping(self._config)
        for epoch in range(1, self._config.epochs + 1):
            self._epoch = epoch
            for number in range(1, self._batches() + 1):
                self._run_batch(Place(epoch, number))
            score, improved = self._close_epoch(epoch)
            reason = stopping.reason(score, improved=improved)
            if reason is not None and epoch < self._config.epochs:
                return reason
        return "all epochs are done"

    @property
    def _may_improve(self) -> bool:
        """Whether the best state gets a validation example wrong."""
        best = self._states.best_score
        return best is not None and best.interval.score < 1

    def _batches(self) -> int:
        """Return how many batches an epoch has: sources that look at all of train need one."""
        return self._config.batches_per_epoch if self._parts.gradients is not None else 1

    def _run_batch(self, place: Place) -> None:
        config, parts = self._config, self._parts
        batch = self._roll_out_batch(place)
        failed = len(batch.failures(config.failure_threshold)) > 0
        # Sources that look at all of train may find something even if this batch was all right.
        if parts.layers is not None and place.batch == 1 and (failed or self._may_improve):
            shown = self._state.demonstrations
            state = parts.layers.learn(self._state, batch, self._enter, self._keep)
            if parts.reviewer is not None:
                state = parts.reviewer.settle_demonstrations(shown, state, place)
            self._keep(state)
        if failed and parts.gradients is not None:
            self._learn_from_gradient(batch, parts.gradients)
            if len(self._state.rules) > config.merge_threshold:
                self._enter("merging", place)
                self._keep(parts.merger.merge(self._state, place))
        pruned = self._state.with_rules(self._pruned())
        if pruned != self._state:
            self._states = self._states.moved_to(pruned)
            self._report_change(place, "pruned")

    def _pruned(self) -> RuleSet:
        """Return as many of the current rules as the configuration allows."""
        config = self._config
        return prune(
            self._state.rules, self._states.tested, config.max_local_rules, config.rule_pruning_strategy
        )

    def _learn_from_gradient(self, batch: Batch, gradients: GradientWriter) -> None:
        parts, place = self._parts, batch.place
        self._enter("gradients", place)
        proposals = [
            proposal
            for proposal in gradients.write(batch, self._state.rules).kept
            if parts.acceptor(proposal) and not self._is_dropped(proposal, batch)
        ]
        self._enter("validation", place, f"{len(proposals)} proposals")
        before = self._state
        state, tested = parts.selector.apply(
            proposals,
            before,
            lambda proposal: self._made(proposal, batch),
            place,
            # Where a person decides, nothing is kept before.
            self._keep if parts.reviewer is None else None,
        )
        self._undecided |= {result.rule.id for result in tested if result.verdict == "needs_review"}
        self._keep(state if parts.reviewer is None else parts.reviewer.settle(before, tested))

    def _is_dropped(self, proposal: ParsedRule, batch: Batch) -> bool:
        reviewer = self._parts.reviewer
        if reviewer is None or proposal.action != "add":
            return False
        return reviewer.has_dropped(self._made(proposal, batch))

    def _keep(self, state: LearnedState) -> None:
        is_proved = self._is_tested and len(state.rules) <= self._config.max_local_rules
        self._states = self._states.tested_as(state) if is_proved else self._states.moved_to(state)

    @property
    def _is_tested(self) -> bool:
        """Whether each change of the rules passed a test or was decided by a person."""
        return self._config.validate_rules or self._parts.reviewer is not None

    def _roll_out_batch(self, place: Place) -> Batch:
        rng = generator(self._seed, "batch", place.epoch, place.batch)
        pool = self._not_shown()
        drawn = draw_batch(
            [self._categories[index] for index in pool],
            self._config.batch_size,
            rng,
            stratified=self._config.stratified_sampling,
            recent=[position for position, index in enumerate(pool) if index in self._recent],
        )
        indexes = [pool[position] for position in drawn]
        items = [self._train[index] for index in indexes]
        self._enter("rollouts", place)
        rollouts = self._parts.runner.run(self._state, items)
        self._recent = indexes
        for index, rollout in zip(indexes, rollouts, strict=True):
            self._categories[index] = self._category(rollout)
        batch = Batch(place, items, rollouts)
        failed = batch.failures(self._config.failure_threshold)
        self._emit(
            BatchScored(
                id=str(place),
                epoch=place.epoch,
                batch=place.batch,
                examples=tuple(item.key for item in items),
                failures=tuple(item.key for item, _ in failed),
                rules=self._state.digest,
                score=sum(rollout.score.value for rollout in rollouts) / len(rollouts),
                error_types=dict(Counter(rollout.score.error_type or "failure" for _, rollout in failed)),
            )
        )
        return batch

    def _not_shown(self) -> list[int]:
        """Return the training examples that aren't demonstrations; all of them where none is left.

        One that is shown would have to be run without itself, in a prompt that no other example shares.
        """
        shown = self._state.demonstrations.examples
        return [index for index, item in enumerate(self._train) if item.key not in shown] or [
            *range(len(self._train))
        ]

    def _category(self, rollout: Rollout) -> str:
        if rollout.score.value >= self._config.failure_threshold:
            return ""
        return rollout.score.error_type or "failure"

    def _made(self, proposal: ParsedRule, batch: Batch) -> Rule:
        predictor = proposal.predictor or self._parts.program.predictors[0]
        said = (proposal.text, proposal.trigger, predictor)
        for rule in self._state.rules:
            if proposal.action == "remove" and (rule.text, rule.trigger, rule.predictor) == said:
                return rule
        failed = batch.failures(self._config.failure_threshold)
        return Rule(
            text=proposal.text,
            trigger=proposal.trigger,
            predictor=predictor,
            rationale=proposal.rationale,
            confidence=proposal.confidence,
            support=proposal.support,
            epoch=batch.place.epoch,
            batch=batch.place.batch,
            suggested_by=tuple(item.key for item, _ in failed[: self._config.gradient_failure_display_limit]),
        )

    def _close_epoch(self, epoch: int) -> tuple[float, bool]:
        """Return the score of the epoch's state on the whole validation split, and whether it is the best."""
        if self._parts.elimination is not None and self._state != self._states.best:
            self._enter("elimination", Place(epoch))
            self._keep(self._parts.elimination.thin(self._state, epoch))
        scored, score = self._state, self._validate(epoch)
        assert score is not None
        self._states, outcome = self._states.after_epoch(score, self._config.rollback_threshold)
        self._report_epoch(epoch, scored, score, outcome)
        if self._state != scored:
            self._report_change(Place(epoch), "rolled_back")
        return score.interval.score, outcome == "improved"

    def _validate(self, epoch: int) -> ScoredExamples | None:
        """Return the current rules' scores on the validation split, each the mean over its repeats."""
        if not self._validation:
            return None
        self._enter("epoch" if epoch else "baseline", Place(epoch))
        repeats = [
            self._parts.prover.run(self._state, self._validation, repeat)
            for repeat in range(self._config.num_val_runs)
        ]
        self._parts.prover.reading.refuse_unreadable()
        answers = list(zip(*repeats, strict=True))
        name = self._parts.runner.metric_name
        return ScoredExamples(
            [sum(rollout.score.value for rollout in rollouts) / len(rollouts) for rollouts in answers],
            [all(rollout.score.is_success for rollout in rollouts) for rollouts in answers],
            self._slices,
            columns_of([mean_of([metrics_of(one.score, name) for one in repeat]) for repeat in answers]),
        )

    def _report_epoch(
        self, epoch: int, state: LearnedState, score: ScoredExamples | None, outcome: EpochOutcome
    ) -> None:
        if score is None:
            return
        self._emit(
            EpochFinished(
                id=f"epoch{epoch}",
                epoch=epoch,
                validation=score.interval,
                rules=state.digest,
                n_rules=len(state.rules),
                n_demonstrations=len(state.demonstrations),
                best=(self._states.best_score or score).interval.score,
                outcome=outcome,
                slices=score.by_slice,
                metrics=score.figures,
            )
        )

    def _report_change(self, place: Place, reason: ChangeReason) -> None:
        event = f"{place}/{reason}/{self._state.digest}"
        self._emit(state_changed(self._state, event, place, reason))

    def _enter(self, phase: Phase, place: Place, detail: str = "") -> None:
        epoch, batch = place.epoch, place.batch
        begun = PhaseStarted(
            id=f"{place}/{phase}/phase", phase=phase, epoch=epoch, batch=batch, detail=detail
        )
        self._emit(begun)
        done, expected = self._forecast.at(phase, epoch, batch)
        self._emit(ProgressEstimated(id=f"{place}/{phase}/progress", done=done, expected=expected))
