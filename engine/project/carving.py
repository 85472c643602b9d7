"""The test split of a project that names none: taken out of train once, then the same in every run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from engine.ground.errors import DataError
from engine.ground.examples import example_key, input_key
from engine.ground.figures import count_text
from engine.ground.seeds import generator
from engine.journal.event_parts import CarvedTest
from engine.journal.events import Emit, Notice, RunStarted
from engine.journal.journal import Journal, journal_path
from engine.project.data import LoadedExample
from engine.project.sampling import stratified_split
from engine.project.settings import Project

TEST_SHARE = 0.25
"""The share of train that becomes the test split of a project without one."""

CARVED = "carved_test"
"""The key of the record in an artifact's details."""

_FEWEST_TO_CARVE = 8


@dataclass(frozen=True)
class Carving:
    """Train without the test split, the test split, and the record by which later runs recognize it.

    `gone` counts the recorded examples that can no longer be test examples.
    """

    train: list[LoadedExample]
    test: list[LoadedExample]
    record: CarvedTest
    gone: int = 0

    @property
    def note(self) -> str:
        """A sentence naming the run that took the test split out of train; empty before the first run."""
        if not self.record.run:
            return ""
        return (
            f"test is the split of {len(self.test)} examples that run {self.record.run} took out of train; "
            "examples added later stay in train."
        )

    @property
    def warning(self) -> str:
        """A sentence about recorded examples that are gone; empty if there are none."""
        if not self.gone:
            return ""
        return (
            f"test has lost {self.gone} of the examples that run {self.record.run} took out of train: they "
            f"were deleted or edited. [data] test_seed = {self.record.seed + 1} makes a new test split."
        )

    def recorded_by(self, run: str) -> CarvedTest:
        """Return the record with the run that first took the split out of train."""
        return self.record if self.record.run else self.record.model_copy(update={"run": run})

    def report(self, emit: Emit) -> None:
        """Report that a recorded split is used again, and which part of it was lost."""
        if self.note:
            emit(Notice(id="splits/test", text=self.note))
        if self.warning:
            emit(Notice(id="splits/lost", level="warning", text=self.warning))


def carve_test(
    project: Project, train: Sequence[LoadedExample], inputs: Collection[str], outputs: Collection[str]
) -> Carving:
    """Take the test split out of train: the one that earlier runs recorded, or else a new one.

    A new one is a quarter of train, drawn by `[data] test_seed` and stratified by the expected outputs. An
    example that was once left in train never moves into a recorded split; repeated examples stay together.

    Raises:
        DataError: train is too small, or holds none of the recorded examples.
        JournalError: the journal can't be read.
    """
    groups: dict[str, list[LoadedExample]] = defaultdict(list)
    for example in train:
        groups[input_key(example.values, inputs)].append(example)
    record = _recorded(project) or _drawn(groups, outputs, project.data.test_seed)
    places, mixed = _places(groups, record)
    test = [example for content in sorted(places, key=places.__getitem__) for example in groups[content]]
    if not test:
        raise DataError(
            f"Of the {len(record.examples)} examples that run {record.run} took out of train to be the test "
            "split, none is left.",
            hint=f"Put them back, or make a new test split: [data] test_seed = {record.seed + 1}",
            field="data.test_seed",
        )
    held_out = {id(example) for example in test}
    return Carving(
        train=[example for example in train if id(example) not in held_out],
        test=test,
        record=_without(record, mixed),
        gone=len(record.examples) - len(places),
    )


def _recorded(project: Project) -> CarvedTest | None:
    """Return the latest record drawn by the same seed, from the journal or else from an artifact."""
    path = journal_path(project.root)
    records: list[CarvedTest] = []
    if path.is_file():
        with Journal.open(path, read_only=True) as journal:
            records = [
                event.carved_test
                for _, event in journal.events_of_all_runs(RunStarted)
                if event.carved_test is not None
            ]
    seed = project.data.test_seed
    fitting = [record for record in records if record.seed == seed]
    fitting = fitting or [record for record in _of_artifacts(project.root) if record.seed == seed]
    return fitting[-1] if fitting else None


def _of_artifacts(root: Path) -> list[CarvedTest]:
    """Return the records in a project's artifacts, which may be committed while the journal isn't."""
    dated: list[tuple[str, CarvedTest]] = []
    for path in root.glob("artifacts/*/*/*/manifest.json"):
        # A damaged artifact is reported by the commands that are about artifacts.
        with suppress(OSError, ValueError, KeyError):
            manifest = json.loads(path.read_text(encoding="utf-8"))
            record = CarvedTest.model_validate(manifest["details"][CARVED])
            dated.append((str(manifest["created"]), record))
    return [record for _, record in sorted(dated, key=itemgetter(0))]


def _drawn(groups: Mapping[str, list[LoadedExample]], outputs: Collection[str], seed: int) -> CarvedTest:
    if len(groups) < _FEWEST_TO_CARVE:
        examples = count_text(len(groups), "different example")
        raise DataError(
            f"There is no test split, and train has only {examples} to take it from.",
            hint="Set [data] test, or add examples to train.",
            field="data.test",
        )
    contents = list(groups)
    labels = [example_key(groups[content][0].values, outputs) for content in contents]
    _, held_out = stratified_split(labels, TEST_SHARE, generator(seed, "test split"))
    chosen = [contents[index] for index in held_out]
    return CarvedTest(seed=seed, examples={content: groups[content][0].key for content in chosen})


def _places(groups: Mapping[str, list[LoadedExample]], record: CarvedTest) -> tuple[dict[str, int], set[int]]:
    """Return the recorded position of each content, and the positions that have become train's.

    An example is recognized by its inputs, so that its label may be corrected, and as a whole, so that the
    program may read other inputs of it. If that makes examples of both splits the same, train keeps them.
    """
    by_content = {content: place for place, content in enumerate(record.examples)}
    by_key = {key: place for place, key in enumerate(record.examples.values())}
    places: dict[str, int] = {}
    mixed: set[int] = set()
    for content, examples in groups.items():
        recorded = [by_content.get(content, by_key.get(example.key)) for example in examples]
        known = [place for place in recorded if place is not None]
        # A copy that was never recorded is in train, so its twins in the test split would be leaks.
        if len(known) < len(examples):
            mixed.update(known)
        else:
            places[content] = min(known)
    return places, mixed


def _without(record: CarvedTest, places: Collection[int]) -> CarvedTest:
    left = [item for place, item in enumerate(record.examples.items()) if place not in places]
    return record.model_copy(update={"examples": dict(left)})
