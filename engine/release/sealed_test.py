"""The sealed test split: opened only for a release, with every opening recorded and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.ground.examples import Item
from engine.ground.metric_scores import metrics_of
from engine.ground.model import Model
from engine.journal.event_parts import DataUsed, ModelUsed
from engine.journal.events import Emit, TestFinished, TestOpened
from engine.journal.journal import Journal
from engine.learning.rollouts import UNPARSEABLE, Rollout, RolloutRunner
from engine.learning.slices import slice_name
from engine.programs.state import LearnedState
from engine.project.data import LoadedExample, dataset_digest
from engine.project.gates import timed_examples
from engine.release.measurement import MeasuredExample, Measurement


@dataclass(frozen=True)
class TestSplit:
    """The test split, the field that slices it, and examples of other splits that are measured with it.

    With `is_timed`, the optimized program is timed on its examples, one call at a time, on the first 100 of a
    large split. One more call before those warms the model up.
    """

    __test__ = False

    examples: Sequence[LoadedExample]
    slice_field: str | None = None
    also: Mapping[str, Sequence[LoadedExample]] = field(default_factory=dict)
    is_timed: bool = False

    @property
    def rollouts(self) -> int:
        """The most program runs that a measurement takes."""
        also = sum(len(examples) for examples in self.also.values())
        timed = timed_examples(len(self.examples)) if self.is_timed else 0
        return 2 * (len(self.examples) + also) + timed

    @property
    def data(self) -> DataUsed:
        """The identity of the test split."""
        return DataUsed(n=len(self.examples), digest=dataset_digest(self.examples))

    def measure(
        self, runner: RolloutRunner, state: LearnedState, baseline: RolloutRunner | None = None
    ) -> Measurement:
        """Return the scores of the baseline and of the program with a learned state, example by example.

        The baseline is the runner's own program without the state, or that of another runner.
        """
        parts: dict[Literal["train", "validation", "test"], Sequence[LoadedExample]] = {
            "test": self.examples,
            "validation": self.also.get("validation", ()),
            "train": self.also.get("train", ()),
        }
        examples = [example for part in parts.values() for example in part]
        items = [
            item
            for split, part in parts.items()
            for item in runner.items([example.values for example in part], split)
        ]
        is_other = bool(state) or baseline is not None
        latencies = self._latencies(runner, state, items) if is_other else [None] * len(items)
        before, after = (baseline or runner).run(LearnedState(), items), runner.run(state, items)
        return Measurement(
            examples=tuple(
                _measured(
                    example,
                    slice_name(example.values, self.slice_field),
                    item,
                    old,
                    new,
                    latency,
                    runner.metric_name,
                )
                for example, item, old, new, latency in zip(
                    examples, items, before, after, latencies, strict=True
                )
            )
        )

    def _latencies(
        self, runner: RolloutRunner, state: LearnedState, items: Sequence[Item]
    ) -> Sequence[float | None]:
        """Return the seconds of each item; None if it wasn't timed, or only warmed the model up."""
        if not self.is_timed:
            return [None] * len(items)
        timed = runner.latencies(state, items[: timed_examples(len(self.examples))])
        counted = timed if len(timed) == 1 else [None, *timed[1:]]
        return [*counted, *[None] * (len(items) - len(timed))]


def measure_test_split(
    journal: Journal,
    run: str,
    split: TestSplit,
    runner: RolloutRunner,
    state: LearnedState,
    *,
    place: str,
    purpose: Literal["release", "transfer"],
    program: str,
    model: Model,
    emit: Emit,
    fingerprint: Mapping[str, str] | None = None,
    baseline: RolloutRunner | None = None,
    tested: str = "",
) -> tuple[Measurement, int]:
    """Open the test split at a `place` in a run and score it; return the scores and the number of openings.

    The baseline is the runner's own program, or that of another runner. `tested` tells what is tested from
    what was tested before, where the state's digest doesn't.

    Raises:
        PromptGradError: the model's name now means other weights; the scores aren't recorded.
    """
    opened = open_test_split(
        journal,
        run,
        split,
        place=place,
        purpose=purpose,
        program=program,
        rules=tested or state.digest,
        model=ModelUsed.of(model),
        emit=emit,
        fingerprint=fingerprint or {},
    )
    measured = split.measure(runner, state, baseline)
    model.verify_revision()
    emit(
        TestFinished(
            id=place,
            baseline=measured.baseline,
            optimized=measured.optimized,
            gain=measured.gain,
            slices=measured.slices,
            metrics=measured.metrics,
            opening=opened.opening,
        )
    )
    return measured, opened.opening


def open_test_split(
    journal: Journal,
    run: str,
    split: TestSplit,
    *,
    place: str,
    purpose: Literal["release", "transfer"],
    program: str,
    rules: str,
    model: ModelUsed,
    emit: Emit,
    fingerprint: Mapping[str, str],
) -> TestOpened:
    """Record that a run opens the test split at a `place` in it, and return the record.

    A resumed run opens it only once. Scoring the same rules on the same model again isn't counted as another
    opening, because it reveals nothing new.
    """
    earlier = openings(journal, split.data.digest)
    for opened_by, event in earlier:
        if (opened_by, event.id) == (run, f"{place}/opened"):
            return event
    looked_at = {(event.program, event.rules, event.model.revision) for _, event in earlier}
    opened = TestOpened(
        id=f"{place}/opened",
        data=split.data,
        opening=len(looked_at | {(program, rules, model.revision)}),
        purpose=purpose,
        program=program,
        rules=rules,
        model=model,
        fingerprint=dict(fingerprint),
    )
    emit(opened)
    return opened


def openings(journal: Journal, digest: str) -> list[tuple[str, TestOpened]]:
    """Return each opening of the test split with this digest and the run that opened it, in order."""
    known = journal.events_of_all_runs(TestOpened)
    return [(run, event) for run, event in known if event.data.digest == digest]


def _measured(
    example: LoadedExample,
    slice_value: str,
    item: Item,
    before: Rollout,
    after: Rollout,
    latency: float | None,
    metric: str,
) -> MeasuredExample:
    return MeasuredExample(
        key=item.key,
        name=example.name,
        split=item.split,
        slice=slice_value,
        baseline=before.score.value,
        optimized=after.score.value,
        is_success=after.score.is_success,
        is_unparseable=after.score.error_type == UNPARSEABLE,
        prompt_tokens=after.prompt_tokens,
        latency=latency,
        baseline_metrics=metrics_of(before.score, metric),
        optimized_metrics=metrics_of(after.score, metric),
    )
