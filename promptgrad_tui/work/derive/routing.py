"""`promptgrad route`: both artifacts answer validation, a threshold is chosen, and a router is saved."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from engine.ground.errors import ArtifactError
from engine.ground.examples import Item, Split
from engine.ground.interval import Interval
from engine.ground.model import Progress
from engine.ground.statistics import mean_interval
from engine.journal.events import Event, ModelUsed
from engine.journal.scoring import recorded_scorer
from engine.learning.answers import answer_space
from engine.learning.rollouts import Rollout
from engine.programs.program import FrozenProgram
from engine.project.data import LoadedExample
from engine.release.artifacts import check_revision
from engine.release.manifest import load_manifest
from engine.release.objectives.margin import margin_for
from engine.release.routing.confidence import Confidence
from engine.release.routing.router import Router, routed_model, save_router
from engine.release.routing.thresholds import Answered, Seconds, chosen, thresholds
from engine.release.sealed_test import TestSplit, open_test_split
from models import check_models_fit
from promptgrad_tui.views.artifacts.routing import Routed
from promptgrad_tui.work.answer_progress import rollout_counter
from promptgrad_tui.work.measure.measuring import Setting, setting_of
from promptgrad_tui.work.opening import model_settings, open_project
from promptgrad_tui.work.release.artifact_project import folder_of

_TIMED = 10
"""Validation examples that are asked apart, to know the time of each model."""


def route(small: Path, large: Path, folder: Path, margin: float | None, on_progress: Progress) -> Routed:
    """Find the threshold of two artifacts on validation and save their router; nothing is asked twice.

    The test split is opened once, if a threshold was found.

    Raises:
        ArtifactError: an artifact is damaged, both are for one model, or the small one's program has no
            answers to choose from.
        RevisionMismatchError: a model isn't the one that its artifact was proved on.
        ConfigError: the margin can't be shown on so few validation examples.
        ModelError: both models together don't fit into memory.
    """
    first_model, second_model = (load_manifest(path).model for path in (small, large))
    if first_model.digest == second_model.digest:
        raise ArtifactError(
            f"{small} and {large} were proved on the same model, {first_model.uri}.",
            hint="A router needs artifacts of two models: promptgrad compile makes one for each.",
        )
    project = open_project(folder_of(small, folder), {})
    models = (first_model.uri, second_model.uri)
    check_models_fit(models, model_settings(project), project.root)
    with (
        setting_of(small, folder, first_model.uri) as first,
        setting_of(large, folder, second_model.uri) as second,
    ):
        for path, setting in ((small, first), (large, second)):
            check_revision(path, setting.manifest, setting.model.revision)
        pair = _Pair(_Side("small", first, on_progress), _Side("large", second, on_progress), on_progress)
        examples = first.parts.splits.validation or ()
        if not examples:
            raise ArtifactError(
                "A router is chosen on validation examples, and there are none.",
                hint="Set [data] validation in promptgrad.toml.",
            )
        loss = margin_for(len(examples), margin, "--margin")
        seconds = pair.seconds(examples)
        answered = pair.answered(examples, "validation")
        table = thresholds(answered, seconds)
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


@dataclass(frozen=True)
class _Side:
    """One of the two artifacts with its model opened; `on_progress` is called after each answer."""

    name: str
    setting: Setting
    on_progress: Progress

    def items(self, examples: Sequence[LoadedExample], split: Split) -> list[Item]:
        return self.setting.runner.items([one.values for one in examples], split)

    def rollouts(self, items: Sequence[Item]) -> list[Rollout]:
        """Return what the model answers, with as many questions at once as the project allows."""
        setting = self.setting
        count = rollout_counter(f"The {self.name} model", len(items), self.on_progress)

        def answered(event: Event) -> None:
            count(event)
            setting.emit(event)

        with closing(setting.runner_of(setting.base, answered)) as runner:
            return runner.run(setting.manifest.state, items)

    def seconds(self, items: Sequence[Item]) -> float:
        """Return the mean time for an example, asked one at a time; the first one warms the model up."""
        self.on_progress(f"Timing the {self.name} model", 0.0)
        first, *timed = self.setting.runner.latencies(self.setting.manifest.state, items[: _TIMED + 1])
        return fmean(timed or [first])


class _Pair:
    """Two artifacts on the same examples."""

    def __init__(self, small: _Side, large: _Side, on_progress: Progress) -> None:
        first = small.setting
        if first.manifest.selection is not None:
            raise ArtifactError(
                f"{first.artifact} picks rules or demonstrations for each input; a router's small artifact "
                "needs one prompt for all inputs.",
                hint="Take a small artifact that isn't conditional.",
            )
        self._small = small
        self._large = large
        self._on_progress = on_progress
        frozen = FrozenProgram(first.base)
        space = answer_space(frozen, small.items(first.parts.splits.train, "train"))
        if space is None or not space.is_closed or len(frozen.predictors) > 1:
            raise ArtifactError(
                f"{first.artifact} doesn't choose among a few answers in one step: nothing says how sure it "
                "is.",
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

    def seconds(self, examples: Sequence[LoadedExample]) -> Seconds:
        """Return how long each model takes; ask before `answered`, which leaves prompts in their caches."""
        return Seconds(
            *(side.seconds(side.items(examples, "validation")) for side in (self._small, self._large))
        )

    def answered(self, examples: Sequence[LoadedExample], split: Split) -> list[Answered]:
        """Return both models' scores on the examples, and the small one's margins."""
        items = self._small.items(examples, split)
        small = self._small.rollouts(items)
        margins = self._margins(items, small)
        large = self._large.rollouts(self._large.items(examples, split))
        return [
            Answered(margin=margin, small=one.score.value, large=other.score.value)
            for margin, one, other in zip(margins, small, large, strict=True)
        ]

    def tested(self, router: Router, examples: Sequence[LoadedExample]) -> Router:
        """Return the router with its scores on the test split, which is opened once for it."""
        first = self._small.setting
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

    def _margins(self, items: Sequence[Item], rollouts: Sequence[Rollout]) -> list[float | None]:
        margins: list[float | None] = []
        with ThreadPoolExecutor(self._small.setting.project.optimizer.max_workers) as pool:
            for margin in pool.map(self._margin, items, rollouts):
                margins.append(margin)
                done = len(margins)
                self._on_progress(f"How sure the small model is: {done} of {len(items)}", done / len(items))
        return margins

    def _margin(self, item: Item, rollout: Rollout) -> float | None:
        if rollout.prediction is None:
            return None
        return self._confidence.margin(item.inputs, rollout.prediction)


def _scores(answered: Sequence[Answered], routed: Interval | None) -> dict[str, Interval]:
    known = {
        "small": mean_interval([one.small for one in answered]),
        "large": mean_interval([one.large for one in answered]),
    }
    return {**known, "routed": routed} if routed is not None else known
