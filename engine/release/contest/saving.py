"""What a method of a contest made, saved as an artifact of the ordinary kind."""

from __future__ import annotations

from dataclasses import asdict

from engine.ground.interval import Interval
from engine.ground.statistics import mean_interval
from engine.journal.event_parts import SplitScores
from engine.journal.events import ArtifactSaved
from engine.learning.rollouts import RolloutRunner
from engine.programs.conditional import program_with
from engine.programs.program import FrozenProgram
from engine.programs.state import LearnedState
from engine.release.artifacts import ArtifactContent, save_artifact
from engine.release.contest.ranking import RankedMethod
from engine.release.measurement import Measurement
from engine.release.release_gate import evaluate_gates
from engine.release.run_context import RunContext
from engine.release.run_plan import installed_versions


def save_program(
    context: RunContext,
    own: RolloutRunner,
    contestant: RankedMethod,
    baseline: Interval,
    measured: Measurement,
    opening: int,
) -> None:
    """Save the program of a method's best seed and note its folder, unless it is the project's own."""
    plan, best = context.plan, contestant.best
    program, state = best.found.program, best.found.state
    source = plan.config.base_prompt_source if program is plan.program else "module"
    frozen = FrozenProgram(program, source)
    unchanged = own.program.with_state(LearnedState()).dump_state()
    if frozen.with_state(state).dump_state() == unchanged:
        return
    config = plan.config
    gates = evaluate_gates(plan.gates, measured, plan.judge_agreement).results if measured.examples else ()
    tested = measured.tested
    path = save_artifact(
        plan.artifacts,
        ArtifactContent(
            name=plan.name,
            module=program_with(frozen, state, best.found.selection),
            base=plan.program,
            base_instructions=frozen.base,
            instructions=frozen.instructions(state.rules),
            rules=state.rules.rules,
            demonstrations=state.demonstrations.demonstrations,
            config=asdict(config),
            seed=best.lane.seed,
            metric=plan.metric_name,
            revision=plan.models.task.revision,
            model_uri=plan.models.task.uri,
            data=plan.data,
            baseline=SplitScores(validation=baseline, test=measured.baseline if tested else None),
            optimized=SplitScores(
                validation=mean_interval(best.validation), test=measured.optimized if tested else None
            ),
            run=best.lane.id,
            versions=installed_versions(),
            details={**plan.details, "contest": plan.run, "method": contestant.method},
            measurement=measured,
            gates=gates,
            test_opening=opening,
        ),
    )
    contestant.artifact = str(path)
    contestant.passed = all(gate.passed for gate in gates)
    context.events.emit(
        ArtifactSaved(id=f"artifact/{contestant.method}", path=str(path), passed=contestant.passed)
    )
