"""The two programs that are tried on the same inputs: with the base instructions, and with the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dspy

from engine.ground.revision import ModelRevision
from engine.programs.conditional import program_with
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.program import FrozenProgram
from engine.programs.rules import RuleSet
from engine.programs.selection import Selection
from engine.programs.state import LearnedState
from engine.programs.triggers import FIRES_AT, example_text, trigger_overlap
from engine.project.config import PromptGradConfig
from engine.project.settings import Project
from engine.release.artifacts import load_artifact, program_digest
from engine.release.manifest import load_manifest
from promptgrad_tui.work.code.program import build_program
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.predict.serving import adapter_of
from promptgrad_tui.work.release.artifact_project import project_of
from promptgrad_tui.work.trying.messages import Side, TriedRule, TrySource

_OTHER_PROGRAM = "they were proved on another program"


@dataclass(frozen=True)
class TriedPrograms:
    """A project's program, and what is tried on it; `selection` picks what each input meets of it."""

    project: Project
    program: dspy.Module
    frozen: FrozenProgram
    rules: RuleSet
    demonstrations: DemonstrationSet
    selection: Selection | None
    adapter: dspy.Adapter
    artifact: Path | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: TrySource) -> TriedPrograms:
        """Build the program; the rules are those of an artifact, or those that the source brings.

        Raises:
            ProjectError: something in the project can't be used.
            ArtifactError: the artifact is damaged.
        """
        return cls._of_artifact(source, source.artifact) if source.artifact else cls._of_rules(source)

    @classmethod
    def _of_artifact(cls, source: TrySource, artifact: Path) -> TriedPrograms:
        manifest = load_manifest(artifact)
        project = project_of(manifest, artifact, source.project)
        program = build_program(project)
        return cls(
            project=project,
            program=program,
            frozen=FrozenProgram(program, manifest.config.get("base_prompt_source", "module")),
            rules=RuleSet(manifest.rules),
            demonstrations=DemonstrationSet(manifest.demonstrations),
            selection=manifest.selection,
            adapter=adapter_of(artifact, manifest),
            artifact=artifact,
        )

    @classmethod
    def _of_rules(cls, source: TrySource) -> TriedPrograms:
        project = open_project(source.project, source.overrides)
        program = build_program(project)
        config = asdict(project.optimizer) | source.config
        is_another = bool(source.rules or source.demonstrations) and source.program not in (
            "",
            program_digest(program),
        )
        return cls(
            project=project,
            program=program,
            frozen=FrozenProgram(program, config["base_prompt_source"]),
            rules=RuleSet(source.rules),
            demonstrations=DemonstrationSet(source.demonstrations),
            selection=PromptGradConfig(**config).selection,
            adapter=dspy.JSONAdapter(),
            notes=(_OTHER_PROGRAM,) if is_another else (),
        )

    @property
    def sides(self) -> tuple[Side, ...]:
        """What answers: the base, and beside it an artifact as it was saved, or what was learned."""
        has_another = self.artifact is not None or self.rules or len(self.demonstrations)
        return ("base", "optimized") if has_another else ("base",)

    def modules(self, revision: ModelRevision) -> dict[Side, dspy.Module]:
        """Return what is run on each of the `sides` on the model with `revision`.

        Raises:
            RevisionMismatchError: the artifact was proved on another revision.
            ArtifactError: it is damaged, or was made for another program.
        """
        made: dict[Side, dspy.Module] = {"base": self.frozen.with_rules(RuleSet())}
        if self.artifact is not None:
            made["optimized"] = load_artifact(self.artifact, self.program, revision)
        elif "optimized" in self.sides:
            learned = LearnedState(self.rules, self.demonstrations)
            made["optimized"] = program_with(self.frozen, learned, self.selection)
        return made

    def tried_rules(self, inputs: Mapping[str, Any]) -> Iterator[TriedRule]:
        """Yield every rule with what it has to do with these inputs."""
        seen = self.frozen.take_inputs(inputs)
        text = example_text(seen)
        selection = self.selection.rules if self.selection else None
        met = selection(self.rules, seen) if selection else self.rules
        fires_at = selection.min_overlap if selection else FIRES_AT
        for rule in self.rules:
            overlap = trigger_overlap(rule.trigger, text)
            yield TriedRule(
                text=rule.text,
                trigger=rule.trigger,
                overlap=overlap,
                fires=overlap >= fires_at,
                in_prompt=rule in met,
            )
