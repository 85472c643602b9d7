"""The choice of sources: those that a project names, or those that fit the data."""

from __future__ import annotations

from collections.abc import Sequence

from engine.learning.answers import AnswerSpace
from engine.learning.proposals.contrast import ContrastSource
from engine.learning.proposals.corrections import CorrectionSource
from engine.learning.proposals.pairs import PairSource
from engine.learning.proposals.questions import Questioner
from engine.learning.proposals.refinement import RefinementSource
from engine.learning.proposals.shapes import ShapeSource
from engine.learning.proposals.source import ProposalSource
from engine.learning.proposals.topics import TopicSource
from engine.project.config import SourceName

FAILURE_ANALYSIS: SourceName = "failure_analysis"
_FEW = 3
"""Named answers among which a task is more often one of reasoning than of topics."""


def chosen_sources(
    names: Sequence[SourceName], space: AnswerSpace | None, *, is_one_step: bool
) -> list[SourceName]:
    """Return the sources by name, "auto" replaced by those that fit.

    With few possible answers that are names: what the inputs of each have in common, what distinguishes
    confused ones, and the words that set them apart. With other answers, such as (A) or open ones: their
    form, and one failure at a time. Two or three names get both. If a program does more than answer (it
    reasons first or has several steps), whole failures are analysed first.
    """
    found: list[SourceName] = []
    for name in names:
        if name != "auto":
            found.append(name)
            continue
        if space is None or not is_one_step:
            found.append(FAILURE_ANALYSIS)
        if space is None:
            continue
        if space.is_named:
            found += ["topics", "contrast", "shapes", "pairs", "refinement"]
        else:
            found.append("shapes")
        if not space.is_named or len(space.values) <= _FEW:
            found.append("corrections")
    return list(dict.fromkeys(found))


def made_sources(
    names: Sequence[SourceName], questioner: Questioner, task: str, *, seed: int, samples: int
) -> list[ProposalSource]:
    """Return the sources other than the analysis of failures."""
    made: dict[str, ProposalSource] = {
        "topics": TopicSource(questioner, seed=seed, samples=samples),
        "contrast": ContrastSource(),
        "shapes": ShapeSource(),
        "pairs": PairSource(questioner, seed=seed),
        "refinement": RefinementSource(questioner, seed=seed),
        "corrections": CorrectionSource(questioner, task, seed=seed),
    }
    return [made[name] for name in names if name in made]
