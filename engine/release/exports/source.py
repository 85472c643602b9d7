"""What an export is made of: a verified artifact, its program, and how its model was served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dspy

from engine.ground.errors import ArtifactError
from engine.programs.conditional import ConditionalProgram
from engine.programs.program import FrozenProgram
from engine.release.exports.prompt_template import PromptTemplate, prompt_template
from engine.release.manifest import PROGRAM, PROMPT, ArtifactManifest


@dataclass(frozen=True)
class Serving:
    """Where other tools find the model's weights, and how it was sampled.

    `weights` is what a Modelfile's FROM takes, or None if the file isn't known. `provider` and `address` are
    promptfoo's, without an address for a model in Ollama; `hint` says how to serve the model at that address.
    `parameters` are sampling settings under Ollama's names.
    """

    weights: str | None
    provider: str
    address: str | None
    hint: str
    parameters: Mapping[str, float | int]
    thinks: bool | str = False

    @property
    def is_ollama(self) -> bool:
        """Whether the model was measured in Ollama."""
        return self.address is None


@dataclass(frozen=True)
class ExportSource:
    """A loaded artifact: `loaded` is what `load_artifact` returned, `files` are its files' content.

    `program` is the project's `[program]` section, `metric` its `[metric]`; `tests` are the examples of
    the test split.
    """

    manifest: ArtifactManifest
    files: Mapping[str, bytes]
    loaded: dspy.Module
    serving: Serving
    program: Mapping[str, Any]
    metric: Mapping[str, Any]
    tests: Sequence[Mapping[str, Any]]

    @property
    def state(self) -> str:
        """The program's state as DSPy saves it."""
        return self.files[PROGRAM].decode()

    @property
    def prompt(self) -> str:
        """The prompt as text, as it was saved with the artifact."""
        return self.files[PROMPT].decode()

    @cached_property
    def module(self) -> dspy.Module:
        """The program with what it has learned; all of it, even if each input met only some."""
        if isinstance(self.loaded, ConditionalProgram):
            return FrozenProgram(self.loaded.base).with_state(self.loaded.learned)
        return self.loaded

    @cached_property
    def adapter(self) -> dspy.Adapter:
        """The adapter that rendered the measured prompts.

        Raises:
            ArtifactError: it isn't one of DSPy's.
        """
        adapter_class = getattr(dspy, self.manifest.adapter, None)
        if adapter_class is None or not issubclass(adapter_class, dspy.Adapter):
            raise ArtifactError(
                f"The prompts were rendered by {self.manifest.adapter}, which DSPy doesn't have.",
                hint="Load it in Python with that adapter: load_artifact(path, program, revision).",
            )
        adapter: dspy.Adapter = adapter_class()
        return adapter

    @cached_property
    def templates(self) -> dict[str, PromptTemplate]:
        """Each predictor's prompt, with places for its inputs.

        Raises:
            ArtifactError: an input isn't text.
        """
        return {
            name: prompt_template(name, step.signature, step.demos, self.adapter)
            for name, step in self.module.named_predictors()
        }

    def only_template(self, what: str) -> PromptTemplate:
        """Return the prompt of a program's one predictor, for a format that holds one prompt.

        Raises:
            ArtifactError: the program has several.
        """
        if len(self.templates) > 1:
            raise ArtifactError(
                f"{what} holds one prompt, and this program has {len(self.templates)} steps: "
                f"{', '.join(self.templates)}.",
                hint="Export it with --to python, or its prompts with --to messages.",
            )
        return next(iter(self.templates.values()))

    @property
    def differences(self) -> tuple[str, ...]:
        """How a single text differs from what was measured, as parts of a sentence."""
        found = []
        if self.manifest.conditional is not None:
            found.append(
                f"all {len(self.manifest.rules)} rules are in the prompt; when measured, each input met at "
                f"most {self.manifest.conditional.top_k} whose trigger fits it (--to python keeps that)"
            )
        if self.manifest.conditional_demonstrations:
            found.append(
                f"all {len(self.manifest.demonstrations)} demonstrations are in the prompt; when measured, "
                f"each input met the {self.manifest.conditional_demonstrations} most similar (--to python "
                "keeps that)"
            )
        return tuple(found)


def difference_line(differences: Sequence[str]) -> str:
    """Return the first line of an export that differs from what was measured, or an empty text."""
    return f"Differs from what was measured: {'; '.join(differences)}." if differences else ""
