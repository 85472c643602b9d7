"""The examples that a project's files hold now, found by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.ground.errors import PromptGradError
from engine.learning.slices import slice_name
from engine.programs.formatting import as_text
from engine.project.data import LoadedExample, load_split
from engine.project.settings import Project, load_project


@dataclass(frozen=True)
class ProjectExamples:
    """The examples of a project by their keys; none where its files are gone or can't be read."""

    project: str
    by_key: Mapping[str, LoadedExample] = field(default_factory=dict)
    slice_field: str | None = None

    @classmethod
    def of(cls, folder: Path) -> ProjectExamples:
        """Read the examples of the project in `folder`."""
        try:
            project = load_project(folder)
        except PromptGradError:
            return cls(folder.name)
        return cls(project.name, _examples(project), project.data.slice)

    def name(self, key: str) -> str:
        """Return an example's id, or its key if it has none or is gone."""
        example = self.by_key.get(key)
        return example.name if example else key

    def slice(self, key: str) -> str:
        """Return the slice that an example belongs to; empty without slices."""
        example = self.by_key.get(key)
        return slice_name(example.values, self.slice_field) if example else ""

    def fields(self, key: str) -> dict[str, str]:
        """Return an example's fields as text, without its id and its slice; none if it is gone."""
        example = self.by_key.get(key)
        return {
            name: as_text(value)
            for name, value in (example.values if example else {}).items()
            if name not in ("id", self.slice_field) and not name.startswith("_")
        }


def _examples(project: Project) -> dict[str, LoadedExample]:
    found: dict[str, LoadedExample] = {}
    for name in (project.data.train, project.data.validation, project.data.test):
        if name is None:
            continue
        try:
            examples = load_split(project, name)
        except PromptGradError:
            continue
        found |= {example.key: example for example in examples}
    return found
