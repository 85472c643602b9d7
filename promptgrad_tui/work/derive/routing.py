"""`promptgrad route`: both artifacts answer validation, a threshold is chosen, and a router is saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.ground.errors import ArtifactError
from engine.ground.interval import Interval
from engine.ground.statistics import mean_interval
from engine.journal.events import ModelUsed
from engine.journal.scoring import recorded_scorer
from engine.learning.answers import answer_space
from engine.learning.rollouts import Item, Rollout, Split
from engine.programs.program import FrozenProgram
from engine.project.data import LoadedExample
from engine.release.artifacts import check_revision
from engine.release.manifest import load_manifest
from engine.release.objectives.margin import margin_for
from engine.release.routing.confidence import Confidence
from engine.release.routing.router import Router, routed_model, save_router
from engine.release.routing.thresholds import Answered, chosen, thresholds
from engine.release.sealed_test import TestSplit, open_test_split
from promptgrad_tui.views.artifacts.routing import Routed
from promptgrad_tui.work.measure.measuring import Setting, setting_of


def route(small: Path, large: Path, folder: Path, margin: float | None) -> Routed:
    """Find the threshold of two artifacts on validation and save their router; nothing is asked twice.

    The test split is opened once, if a threshold was found.

    Raises:
        ArtifactError: an artifact is damaged, both are for one model, or the small one's program has no
            answers to choose from.
        RevisionMismatchError: a model isn't the one that its artifact was proved on.
        ConfigError: the margin can't be shown on so few validation examples.
    """
    first_model, second_model = (load_manifest(path).model for path in (small, large))
    if first_model.digest == second_model.digest:
        raise ArtifactError(
            f"{small} and {large} were proved on the same model, {first_model.uri}.",
            hint="A router needs artifacts of two models: promptgrad compile makes one for each.",
        )
    with (
        setting_of(small, folder, first_model.uri) as first,
        setting_of(large, folder, second_model.uri) as second,
    ):
        for path, setting in ((small, first), (large, second)):
            check_revision(path, setting.manifest, setting.model.revision)
        pair = _Pair(small, first, second)
        examples = first.parts.splits.validation or ()
        if not examples:
            raise ArtifactError(
                "A router is chosen on validation examples, and there are none.",
                hint="Set [data] validation in promptgrad.toml.",
            )
        loss = margin_for(len(examples), margin, "--margin")
        answered = pair.answered(examples, "validation")
        table = thresholds(answered)
        best = chosen(table, loss)
        router = Router(
            small=routed_model(small),
            large=routed_model(large),
            predictor=pair.space.predictor,
            field=pair.space.field,
            answers=pair.space.values,
            margin=best.margin if best else 0.0,
            loss=loss,
            table=tuple(table),
            validation=_scores(answered, best.score if best else None),
        )
        if best is None:
            return Routed(router, None)
        if first.parts.splits.test:
            router = pair.tested(router, first.parts.splits.test)
        first.model.verify_revision()
        second.model.verify_revision()
        return Routed(router, save_router(first.project.root / "artifacts", router, small, large))


class _Pair:
    """Two artifacts on the same examples."""

    def __init__(self, small: Path, first: Setting, second: Setting) -> None:
        if first.manifest.selection is not None:
            raise ArtifactError(
                f"{small} picks rules or demonstrations for each input; a router's small artifact needs one "
                "prompt for all inputs.",
                hint="Take a small artifact that isn't conditional.",
            )
        self._first = first
        self._second = second
        frozen = FrozenProgram(first.base)
        train = first.runner.items([one.values for one in first.parts.splits.train], "train")
        space = answer_space(frozen, train)
        if space is None or not space.is_closed or len(frozen.predictors) > 1:
            raise ArtifactError(
                f"{small} doesn't choose among a few answers in one step: nothing says how sure it is.",
                hint="A router needs a program with one predictor and answers such as categories.",
            )
        scorer = recorded_scorer(first.replay, first.model)
        if scorer is None:
            raise ArtifactError(
                f"{first.model.uri} gives no log-probabilities: nothing says how sure it is.",
                hint="Use a model in process (gguf:FILE), or a server that returns log-probabilities.",
            )
        self.space = space
        self._confidence = Confidence(
            frozen.with_state(first.manifest.state),
            space.predictor,
            space.field,
            space.values,
            scorer,
            first.adapter,
        )

    def answered(self, examples: Sequence[LoadedExample], split: Split) -> list[Answered]:
        """Return both models' scores and times on the examples, and the small one's margins."""
        small, items = self._rollouts(self._first, examples, split)
        large, _ = self._rollouts(self._second, examples, split)
        return [
            Answered(
                margin=self._margin(item, one),
                small=one.score.value,
                large=other.score.value,
                small_seconds=one.seconds,
                large_seconds=other.seconds,
            )
            for item, one, other in zip(items, small, large, strict=True)
        ]

    def tested(self, router: Router, examples: Sequence[LoadedExample]) -> Router:
        """Return the router with its scores on the test split, which is opened once for it."""
        first = self._first
        opened = open_test_split(
            first.journal,
            first.run,
            TestSplit(examples),
            place=f"router/{router.large.revision[-12:]}/{router.margin:.6f}",
            purpose="transfer",
            program=first.manifest.program,
            rules=f"router/{router.small.manifest[-12:]}/{router.large.manifest[-12:]}",
            model=ModelUsed.of(first.model),
            emit=first.emit,
            fingerprint={},
        )
        answered = self.answered(examples, "test")
        stands = [one.margin is not None and one.margin >= router.margin for one in answered]
        routed = [one.small if keeps else one.large for one, keeps in zip(answered, stands, strict=True)]
        return router.model_copy(
            update={
                "test": _scores(answered, mean_interval(routed)),
                "test_share": sum(stands) / len(stands),
                "test_opening": opened.opening,
            }
        )

    def _margin(self, item: Item, rollout: Rollout) -> float | None:
        if rollout.prediction is None:
            return None
        return self._confidence.margin(item.inputs, rollout.prediction)

    def _rollouts(
        self, setting: Setting, examples: Sequence[LoadedExample], split: Split
    ) -> tuple[list[Rollout], list[Item]]:
        items = setting.runner.items([one.values for one in examples], split)
        # One at a time: an answer's time would count the others' too.
        found = [setting.runner.run(setting.manifest.state, [item]) for item in items]
        return [rollout for (rollout,) in found], items


def _scores(answered: Sequence[Answered], routed: Interval | None) -> dict[str, Interval]:
    known = {
        "small": mean_interval([one.small for one in answered]),
        "large": mean_interval([one.large for one in answered]),
    }
    return {**known, "routed": routed} if routed is not None else known
