"""A run whose search has a model of its own: refused where that one answers otherwise than the task's."""

from __future__ import annotations

from engine.ground.errors import ProjectError
from engine.journal.events import Emit, Notice
from engine.learning.findings.search_agreement import LEAST_AGREEMENT, SearchAgreement, search_agreement
from engine.learning.optimizer import OptimizationSession
from engine.release.run_plan import RunPlan


def prove_search_agrees(plan: RunPlan, session: OptimizationSession, emit: Emit) -> SearchAgreement:
    """Compare a dozen answers of both models, and report how many are the same.

    Raises:
        ProjectError: too few are.
    """
    found = search_agreement(session.prover, session.runner, session.train)
    refuse_disagreement(found, plan.models.task.uri)
    emit(Notice(id="search", text=f"The search runs in process: {found}. {plan.models.task.uri} proves."))
    return found


def refuse_disagreement(found: SearchAgreement, uri: str) -> None:
    """Refuse to search in process where too few answers are those of the model that proves.

    Raises:
        ProjectError: they aren't.
    """
    if not found.is_enough:
        raise ProjectError(
            f"Too few answers in process are those of {uri} (at least {LEAST_AGREEMENT:.0%} have to be): "
            f"{found}.",
            hint='Take search = "in_process" out of [model]: the search then runs on the model itself.',
            field="model.search",
        )
