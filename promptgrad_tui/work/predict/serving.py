"""The one door to a saved program: its artifact verified, its model checked, its prompts as measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import dspy

from engine.ground.answer_scoring import answer_scorer
from engine.ground.errors import ArtifactError
from engine.ground.revision import ModelRevision
from engine.programs.program import run_program
from engine.release import artifacts
from engine.release.manifest import MANIFEST, ArtifactManifest, load_manifest
from engine.release.routing.confidence import Confidence
from engine.release.routing.router import LARGE, SMALL, is_router, load_router
from promptgrad_tui.work.code.program import build_program
from promptgrad_tui.work.predict.routed import RoutedProgram
from promptgrad_tui.work.release.artifact_project import project_of

_ADAPTERS = {"JSONAdapter": dspy.JSONAdapter, "ChatAdapter": dspy.ChatAdapter}
_PICKLE = "program.pkl"


class OpenedModel(Protocol):
    """What `open_model` returns, as far as serving needs it."""

    @property
    def lm(self) -> dspy.LM:
        """The model as DSPy calls it."""
        ...

    @property
    def revision(self) -> ModelRevision:
        """Its exact identity."""
        ...


class ServedProgram(dspy.Module):
    """A program that asks its own model in the prompts that were measured, whatever DSPy is configured to."""

    def __init__(self, program: dspy.Module, lm: dspy.LM, adapter: dspy.Adapter) -> None:
        super().__init__()
        self.program = program
        self._serving = {"lm": lm, "adapter": adapter}

    def serving(self, program: dspy.Module) -> ServedProgram:
        """Return another program that asks the same model in the same way."""
        return ServedProgram(program, **self._serving)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Answer one input."""
        with dspy.context(**self._serving):
            return run_program(self.program, inputs)

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """Answer one input without blocking."""
        with dspy.context(**self._serving):
            return await self.program.acall(**inputs)


def load_artifact(
    path: Path | str,
    lm: OpenedModel,
    *,
    program: dspy.Module | None = None,
    trust: bool = False,
    large: OpenedModel | None = None,
) -> dspy.Module:
    """Return the program of the artifact in the folder `path`, answering with `lm`, an opened model.

    Its checksums and the model's revision are verified. The program is rebuilt from the artifact's manifest;
    one that was optimized from Python without a project is given as `program`. A folder that DSPy saved as a
    whole program holds a pickle, which runs code when it is loaded: that takes `trust=True`. A router needs
    both of its models: the small one as `lm`, and the `large` one.

    Raises:
        RevisionMismatchError: the artifact was proved on another revision than that of `lm`.
        ArtifactError: it is damaged, was made for another program, or holds a pickle that isn't trusted.
    """
    folder = Path(path)
    if is_router(folder):
        return _routed(folder, lm, large, program)
    if (folder / _PICKLE).exists() and not (folder / MANIFEST).exists():
        return _whole_program(folder, lm, trust)
    manifest = load_manifest(folder)
    if program is None:
        program = build_program(project_of(manifest, folder, Path.cwd()))
    module = artifacts.load_artifact(folder, program, lm.revision)
    return ServedProgram(module, lm.lm, adapter_of(folder, manifest))


def _routed(
    folder: Path, small: OpenedModel, large: OpenedModel | None, program: dspy.Module | None
) -> RoutedProgram:
    router = load_router(folder)
    if large is None:
        raise ArtifactError(
            f"{folder} is a router: it needs two models, {router.small.uri} and {router.large.uri}.",
            hint="load_artifact(path, small_model, large=large_model)",
        )
    scorer = answer_scorer(small)
    if scorer is None:
        raise ArtifactError(
            f"{folder} routes by the log-probabilities of {router.small.uri}, and it gives none.",
            hint="Serve that model in process, or by a server that returns log-probabilities.",
        )
    adapter = adapter_of(folder / SMALL, load_manifest(folder / SMALL))
    first = load_artifact(folder / SMALL, small, program=program)
    second = load_artifact(folder / LARGE, large, program=program)
    assert isinstance(first, ServedProgram)
    confidence = Confidence(first.program, router.predictor, router.field, router.answers, scorer, adapter)
    return RoutedProgram(first, second, confidence, router.margin)


def adapter_of(folder: Path, manifest: ArtifactManifest) -> dspy.Adapter:
    """Return the adapter that rendered the prompts which were measured.

    Raises:
        ArtifactError: it isn't one of DSPy's own.
    """
    if manifest.adapter not in _ADAPTERS:
        raise ArtifactError(
            f"{folder} was measured with the adapter {manifest.adapter}, which isn't DSPy's.",
            hint="Load it with engine.load_artifact and configure that adapter yourself.",
        )
    return _ADAPTERS[manifest.adapter]()


def _whole_program(folder: Path, lm: OpenedModel, trust: bool) -> dspy.Module:
    if not trust:
        raise ArtifactError(
            f"{folder} is a whole program saved with cloudpickle: to load it is to run whatever code is in "
            "it, and nothing shows which model it was proved on.",
            hint="If you made it yourself: load_artifact(path, model, trust=True). Better: save an artifact.",
        )
    return ServedProgram(dspy.load(str(folder), allow_pickle=True), lm.lm, dspy.JSONAdapter())
