"""The test split's scores by answer, for data in which one answer is much more frequent than others."""

from __future__ import annotations

from engine.journal.events import Emit
from engine.journal.journal import Journal
from engine.journal.learning_events import ClassesScored
from engine.learning.optimizer import OptimizationSession
from engine.programs.state import LearnedState
from engine.release.doubted_labels import rollouts_of
from engine.release.run_plan import RunPlan


def report_class_scores(
    plan: RunPlan, journal: Journal, session: OptimizationSession, best: LearnedState, emit: Emit
) -> None:
    """Report balanced accuracy and macro F1 of the test split, before and after, where answers are few.

    With conditional rules, examples meet different rules: their last answers are those of the best state.
    """
    test = [rollout for rollout in rollouts_of(journal, plan.run) if rollout.split == "test"]
    base = LearnedState().digest
    before = [rollout for rollout in test if rollout.rules == base]
    after = {rollout.example: rollout for rollout in test if rollout.rules in (base, best.digest)}
    if session.config.conditional_rules:
        after = {rollout.example: rollout for rollout in test}
    examples = [example.values for example in plan.test]
    baseline = session.class_scores(before, examples)
    optimized = session.class_scores(list(after.values()), examples)
    if baseline is not None and optimized is not None:
        emit(ClassesScored(id="classes", baseline=baseline, optimized=optimized))
