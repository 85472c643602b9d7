"""The work of a lane: its method with its seed, metered, under a name of its own in the journal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import dspy

from engine.ground.errors import (
    BudgetExhaustedError,
    ConfigError,
    ContextOverflowError,
    PromptGradError,
    UnreadableAnswersError,
)
from engine.journal.events import Emit
from engine.journal.replay import Replay
from engine.journal.scoring import recorded_scorer
from engine.learning.methods.metering import Meter, MeteredLM, MeteredScorer
from engine.learning.methods.registry import run_method
from engine.learning.optimizer import OptimizationSession, PromptGradOptimizer
from engine.learning.rollouts import RolloutRunner
from engine.learning.session_inputs import SessionExamples, SessionFollowers, SessionModels
from engine.programs.conditional import ConditionalProgram
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from engine.release.base_making import method_task
from engine.release.contest.lane import Found, Lane
from engine.release.run_context import Listener, RunContext, RunEvents

NO_RESULT = (ConfigError, ContextOverflowError, UnreadableAnswersError)
"""What disqualifies a method, and no other; so does a used-up budget of its own."""


class LaneWorker:
    """Runs the lanes of a contest and measures what they made, with every answer in the journal."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def emit(self, lane: Lane, listen: Listener | None = None) -> Emit:
        """Return where a lane's own events go; `listen` is called with each of them."""
        events = RunEvents(self._context.journal, lane.id, None)
        if listen is not None:
            events.subscribe(listen)
        return events.emit

    def run(self, lane: Lane, calls: int, on_call: Callable[[int], None]) -> Found:
        """Return what a lane's method makes with at most `calls`; a method that fails has no result.

        Raises:
            RunStoppedError: a person stopped the contest.
            BudgetExhaustedError: the minutes of the whole contest are used up.
            ModelUnavailableError: the model failed.
        """
        own = self._context.plan.program
        meter = Meter(calls, on_call)
        try:
            made = self._promptgrad(lane, meter) if lane.method == "promptgrad" else self._other(lane, meter)
        except NO_RESULT as error:
            problem = error.message
        except PromptGradError as error:
            if not (meter.is_used_up and isinstance(error, BudgetExhaustedError)):
                raise
            problem = error.message
        except Exception as error:
            problem = f"It raised {type(error).__name__}: {error}"
        else:
            return replace(made, calls=meter.used, tokens=meter.tokens)
        return Found(own, LearnedState(), None, meter.used, meter.tokens, problem)

    def runner(self, found: Found, lane: Lane | None = None, listen: Listener | None = None) -> RolloutRunner:
        """Return what measures a program, outside of any budget; without a lane, for the contest itself.

        `listen` is called with each event of the lane, from several threads.
        """
        program = found.program
        context, plan = self._context, self._context.plan
        config = plan.config
        return RolloutRunner(
            FrozenProgram(program, config.base_prompt_source if program is plan.program else "module"),
            plan.metric,
            (self._replay(lane) if lane else context.replay).lm(plan.models.task),
            adapter=dspy.settings.adapter or dspy.JSONAdapter(),
            max_workers=config.max_workers,
            seed=lane.seed if lane else config.seed or 0,
            selection=found.selection,
            emit=self.emit(lane, listen) if lane else context.events.emit,
        )

    def _replay(self, lane: Lane) -> Replay:
        context = self._context
        return Replay(context.journal, lane.id, checkpoint=context.control.checkpoint)

    def _other(self, lane: Lane, meter: Meter) -> Found:
        assert lane.method != "promptgrad"
        plan = self._context.plan
        task = method_task(plan, self._replay(lane), meter.limit, self.emit(lane))
        made = run_method(lane.method, replace(task, seed=lane.seed), meter)
        if isinstance(made, ConditionalProgram):
            return Found(made.base, made.learned, made.selection)
        return Found(made, LearnedState())

    def _promptgrad(self, lane: Lane, meter: Meter) -> Found:
        plan, replay = self._context.plan, self._replay(lane)
        optimizer = PromptGradOptimizer(
            plan.metric,
            replace(plan.config, seed=lane.seed),
            example_formatter=plan.formatter,
            rule_acceptor=plan.rule_acceptor,
        )
        task, reflection = (
            MeteredLM.of(replay.lm(model), meter, lane.seed)
            for model in (plan.models.task, plan.models.reflection)
        )
        scorer = recorded_scorer(replay, plan.models.task)
        session = OptimizationSession(
            optimizer,
            plan.program,
            SessionExamples(
                [example.values for example in plan.train],
                [example.values for example in plan.validation],
                slice_field=plan.slice_field,
            ),
            SessionModels(
                task,
                reflection=reflection,
                scorer=MeteredScorer(scorer, meter) if scorer is not None else None,
                room=self._context.leaves_room,
            ),
            SessionFollowers(self.emit(lane)),
        )
        with closing(session):
            result = session.run()
        if meter.ended is not None and not meter.is_used_up:
            raise meter.ended
        return Found(plan.program, result.state, plan.config.selection)
