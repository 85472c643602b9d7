"""Bootstrapped demonstrations: what every step of the program did where its answer was right.

Method: BootstrapFewShot (Khattab et al. 2023, DSPy, arXiv 2310.03714, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.learning.rollouts import RolloutRunner
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.state import LearnedState

BOOTSTRAPPED = "bootstrapped"
"""The source of such demonstrations."""
_MOST_BOOTSTRAPPED = 8
"""Whole runs of a program are longer than labelled answers, and dearer to find."""
_TRIED_FOR_EACH = 2
"""Training examples that are run for each demonstration wanted."""


def bootstrapped(
    runner: RolloutRunner, state: LearnedState, train: Sequence[Item], most: int, seed: int, epoch: int
) -> DemonstrationSet:
    """Return the steps of at most `most` training examples that the program with `state` answers rightly."""
    most = min(most, _MOST_BOOTSTRAPPED)
    order = list(train)
    generator(seed, "bootstrapping", epoch).shuffle(order)
    tried = order[: _TRIED_FOR_EACH * most]
    right = [
        (item, rollout)
        for item, rollout in zip(tried, runner.run(state, tried), strict=True)
        if rollout.score.is_success
    ][:most]
    return DemonstrationSet(
        Demonstration(
            inputs=dict(step.inputs),
            outputs=dict(step.outputs.items()),
            predictor=step.name,
            example=item.key,
            source=BOOTSTRAPPED,
            is_bootstrapped=True,
            epoch=epoch,
        )
        for item, rollout in right
        for step in rollout.steps
    )
