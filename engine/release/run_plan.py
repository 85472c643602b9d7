"""The input of a run: program, examples, models, gates and budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, Literal

import dspy

from engine.ground.model import RunModels
from engine.ground.score import Metric
from engine.journal.event_parts import DataUsed
from engine.learning.selection import RuleAcceptor
from engine.programs.formatting import ExampleFormatter
from engine.project.carving import Carving
from engine.project.config import PromptGradConfig
from engine.project.data import LoadedExample, dataset_digest
from engine.project.gates import Gates
from engine.project.judge_labels import Agreement
from engine.project.objectives import Objectives
from engine.project.settings import BaseSection
from engine.release.sealed_test import TestSplit


@dataclass(frozen=True)
class RunPlan:
    """Everything a run depends on. `config.seed` must be set: a replay needs the same one."""

    run: str
    project: Path
    name: str
    program: dspy.Module
    metric: Metric
    metric_name: str
    config: PromptGradConfig
    train: Sequence[LoadedExample]
    validation: Sequence[LoadedExample]
    test: Sequence[LoadedExample]
    models: RunModels
    artifacts: Path
    base: BaseSection = field(default_factory=BaseSection)
    formatter: ExampleFormatter | None = None
    rule_acceptor: RuleAcceptor | None = None
    max_calls: int | None = None
    max_minutes: float | None = None
    gates: Gates = field(default_factory=Gates)
    objectives: Objectives = field(default_factory=Objectives)
    slice_field: str | None = None
    carving: Carving | None = None
    review: Literal["none", "after", "during"] = "none"
    judge_agreement: Agreement | None = None
    judge_caution: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def examples(self) -> list[LoadedExample]:
        """The examples of all splits."""
        return [*self.train, *self.validation, *self.test]

    @property
    def data(self) -> dict[str, DataUsed]:
        """The identity of each split."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            name: DataUsed(n=len(examples), digest=dataset_digest(examples))
            for name, examples in splits.items()
        }

    @property
    def test_split(self) -> TestSplit:
        """The sealed test split, with the examples outside it that a gate names."""
        names = set(self.gates.must_pass)
        also = {
            "train": [example for example in self.train if example.name in names],
            "validation": [example for example in self.validation if example.name in names],
        }
        return TestSplit(self.test, self.slice_field, also, self.gates.ask_latency)


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a run's outcome may depend on."""
    packages = ("dspy", "llama-cpp-python", "promptgrad-tui")
    found = {package: installed for package in packages if (installed := _version(package))}
    return {"python": python_version(), **found}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # an extra that isn't installed
        return None
