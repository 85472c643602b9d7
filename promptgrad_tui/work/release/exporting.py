"""From an artifact's folder to an export: rebuilds the program, verifies the artifact, locates the model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.ground.revision import ModelRevision
from engine.project.settings import Project
from engine.release.manifest import ArtifactManifest, read_artifact
from models.gguf.header import read_header, shards
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.uri import DemoUri, GGUFUri, ModelUri, OllamaUri, OpenAIUri, parse_uri
from promptgrad_tui.work.code.offline import import_dspy_offline
from promptgrad_tui.work.opening import model_settings
from promptgrad_tui.work.release.artifact_project import project_of

if TYPE_CHECKING:
    from engine.release.exports import ExportSource, Serving

LLAMA_SERVER = "http://127.0.0.1:8080/v1"
"""The default address of llama.cpp's own server."""


def export_artifact(artifact: Path, to: str, folder: Path) -> str:
    """Return the artifact in the format `to`; no model is opened.

    Raises:
        ArtifactError: the artifact is damaged, its project is gone, or the format can't hold it.
    """
    import_dspy_offline()
    from engine.release.exports import export

    return export(export_source(artifact, folder), to)


def export_source(artifact: Path, folder: Path) -> ExportSource:
    """Return what exports are made of.

    Raises:
        ArtifactError: the artifact is damaged, or its project is gone.
        DataError: the test split can't be read.
    """
    from engine.release.artifacts import load_artifact
    from engine.release.exports import ExportSource
    from promptgrad_tui.work.code.program import build_program
    from promptgrad_tui.work.run.planning import load_parts

    manifest, files = read_artifact(artifact)
    project = project_of(manifest, artifact, folder)
    proved = ModelRevision.from_dict(manifest.model.revision)
    return ExportSource(
        manifest=manifest,
        files=files,
        loaded=load_artifact(artifact, build_program(project), proved),
        serving=serving(manifest, project),
        program=project.program.model_dump(exclude_unset=True),
        metric={"kind": project.optimized}
        if project.metrics
        else project.metric.model_dump(exclude_unset=True),
        tests=[example.values for example in load_parts(project).splits.test],
    )


def serving(manifest: ArtifactManifest, project: Project) -> Serving:
    """Return where an artifact's model is for other tools, and how it was sampled."""
    from engine.release.exports import Serving

    settings = model_settings(project)
    target = parse_uri(manifest.model.uri, project.root)
    weights, provider, address, hint, most = _whereabouts(target)
    asked = settings.context_length or DEFAULT_CONTEXT
    parameters = ollama_parameters(settings, min(asked, most or asked))
    return Serving(weights, provider, address, hint, parameters, settings.think)


def _whereabouts(target: ModelUri) -> tuple[str | None, str, str | None, str, int | None]:
    """Return weights, provider, address, hint, and the longest context where the file says it."""
    if isinstance(target, OllamaUri):
        return target.name, f"ollama:chat:{target.name}", None, "", None
    if isinstance(target, OpenAIUri):
        return None, f"openai:chat:{target.name}", target.endpoints[0], "", None
    path = _weights(target).resolve()
    hint = f"Serve the model first: llama-server --jinja -m {shlex.quote(str(path))}"
    trained = read_header(shards(path)[0]).context_length if path.is_file() else None
    return str(path), f"openai:chat:{path.stem}", LLAMA_SERVER, hint, trained


def ollama_parameters(settings: ModelSettings, context_length: int) -> dict[str, Any]:
    """Return sampling settings under Ollama's names, none left to its defaults."""
    return {
        "num_ctx": context_length,
        "num_predict": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "min_p": settings.min_p,
        "repeat_penalty": settings.repeat_penalty,
        "repeat_last_n": 64,
        "seed": settings.seed,
    }


def _weights(target: DemoUri | GGUFUri) -> Path:
    if isinstance(target, GGUFUri):
        return target.path
    from models.demo import demo_model_path

    return demo_model_path()
