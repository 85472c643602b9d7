"""The end of a run: the test split is opened for what was learned, gates decide, the artifact is saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

from engine.ground.errors import PromptGradError
from engine.ground.interval import Interval
from engine.journal.event_parts import GateResult, Phase, SplitScores
from engine.journal.events import ArtifactSaved, Emit, Notice, PhaseStarted, ProgressEstimated
from engine.journal.journal import Journal
from engine.learning.optimizer import OptimizationSession
from engine.programs.state import LearnedState
from engine.project.gates import GateReport
from engine.release.artifacts import ArtifactContent, program_digest, save_artifact
from engine.release.measurement import Measurement
from engine.release.release_gate import evaluate_gates
from engine.release.run_plan import RunPlan, installed_versions
from engine.release.sealed_test import measure_test_split


@dataclass(frozen=True)
class Proof:
    """The evidence for a learned state: scores, the test split's measurement, and the gates' verdicts.

    `reflection_moved` says what happened to a separate reflection model, if its name now means other weights.
    """

    baseline: SplitScores = field(default_factory=SplitScores)
    optimized: SplitScores = field(default_factory=SplitScores)
    measured: Measurement = field(default_factory=Measurement)
    report: GateReport | None = None
    opening: int = 0
    reflection_moved: str = ""

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return self.report is None or self.report.passed

    @property
    def has_gain(self) -> bool:
        """Whether the rules gained something on the test split, if there is one."""
        return not self.measured.tested or self.measured.gain.score > 0

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates' verdicts."""
        return self.report.results if self.report else ()


class Prover:
    """Measures learned states of one session on the sealed test split and saves them with the results."""

    def __init__(self, plan: RunPlan, journal: Journal, session: OptimizationSession, emit: Emit) -> None:
        self._plan = plan
        self._journal = journal
        self._session = session
        self._emit = emit

    @property
    def calls(self) -> int:
        """How many model calls a proof takes, estimated from the rollouts so far."""
        per_rollout = max(len(self._session.program.predictors), self._session.prover.calls_per_rollout)
        return ceil(self._plan.test_split.rollouts * per_rollout)

    def prove(
        self, state: LearnedState, baseline: Interval, optimized: Interval | None, *, place: str = "test"
    ) -> Proof:
        """Open the test split for a learned state and evaluate the gates on the result.

        `baseline` and `optimized` are the scores on the validation split.

        Raises:
            PromptGradError: the model's name now means other weights.
        """
        plan, session = self._plan, self._session
        if not plan.test:
            plan.models.task.verify_revision()
            return Proof(
                SplitScores(validation=baseline),
                SplitScores(validation=optimized),
                reflection_moved=self._reflection_moved(place),
            )
        split = plan.test_split
        self._enter(place, "test", self.calls)
        measured, opening = measure_test_split(
            self._journal,
            plan.run,
            split,
            session.prover,
            state,
            place=place,
            purpose="release",
            program=program_digest(plan.program),
            model=plan.models.task,
            emit=self._emit,
        )
        return Proof(
            SplitScores(validation=baseline, test=measured.baseline),
            SplitScores(validation=optimized, test=measured.optimized),
            measured,
            evaluate_gates(plan.gates, measured, plan.judge_agreement) if state else None,
            opening,
            self._reflection_moved(place),
        )

    def _reflection_moved(self, place: str) -> str:
        """Report a reflection model whose name now means other weights; only the task model counts."""
        models = self._plan.models
        if models.reflection is models.task:
            return ""
        try:
            models.reflection.verify_revision()
        except PromptGradError as error:
            text = (
                f"The reflection model: {error.message} The rules stand: they were proved on the task model."
            )
            self._emit(Notice(id=f"{place}/reflection", level="warning", text=text))
            return error.message
        return ""

    def _enter(self, place: str, phase: Phase, calls: int) -> None:
        """Report a phase that takes at most so many calls of the model."""
        done = self._session.calls
        self._emit(PhaseStarted(id=f"{place}/phase", phase=phase))
        self._emit(ProgressEstimated(id=f"{place}/progress", done=done, expected=done + calls))

    def save(self, state: LearnedState, proof: Proof, *, place: str = "artifact") -> str:
        """Save the program with a learned state and its proof as an artifact, and return its folder."""
        plan, session = self._plan, self._session
        self._enter(place, "artifact", 0)
        path = save_artifact(
            plan.artifacts,
            ArtifactContent(
                name=plan.name,
                module=session.program_with(state),
                base=plan.program,
                base_instructions=session.program.base,
                instructions=session.program.instructions(state.rules),
                rules=state.rules.rules,
                demonstrations=state.demonstrations.demonstrations,
                config=asdict(plan.config),
                seed=session.seed,
                metric=plan.metric_name,
                revision=plan.models.task.revision,
                model_uri=plan.models.task.uri,
                data=plan.data,
                baseline=proof.baseline,
                optimized=proof.optimized,
                run=plan.run,
                versions=installed_versions(),
                details=_details(plan, proof),
                measurement=proof.measured,
                gates=proof.gates,
                test_opening=proof.opening,
            ),
        )
        self._emit(ArtifactSaved(id=place, path=str(path), passed=proof.passed))
        return str(path)


def _details(plan: RunPlan, proof: Proof) -> dict[str, Any]:
    moved = {"reflection_moved": proof.reflection_moved} if proof.reflection_moved else {}
    return {**plan.details, **moved}
