"""Artifacts: an optimized program on disk, with the proof of it, for one exact model revision."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dspy
from pydantic import PydanticSchemaGenerationError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic_core import to_json

from engine.ground.errors import ArtifactError, RevisionMismatchError
from engine.ground.files import write_durably
from engine.ground.revision import ModelRevision
from engine.journal.event_parts import DataUsed, GateResult, SplitScores
from engine.programs.conditional import ConditionalProgram, program_with
from engine.programs.demonstrations import Demonstration, DemonstrationSet, demonstrations_by_predictor
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.programs.selection import Selection
from engine.programs.state import LearnedState
from engine.release.manifest import (
    MANIFEST,
    MEASURED,
    PROGRAM,
    PROMPT,
    ArtifactManifest,
    ConditionalSettings,
    ModelProved,
    content_digest,
    file_digest,
    load_manifest,
    read_artifact,
)
from engine.release.measurement import Measurement
from engine.release.publishing import folder_name, publish

__all__ = ["ArtifactContent", "load_artifact", "load_manifest", "program_digest", "save_artifact"]


_JSON = "Demonstrations in the program must be made of text, numbers, lists and dictionaries."


@dataclass(frozen=True)
class ArtifactContent:
    """What goes into an artifact: the optimized `module`, the `base` it was made of, and the proof.

    `instructions` are each predictor's whole instructions. `adapter` rendered the prompts that were measured;
    by default it is DSPy's configured one, or JSONAdapter.
    """

    name: str
    module: dspy.Module
    base: dspy.Module
    base_instructions: Mapping[str, str]
    instructions: Mapping[str, str]
    rules: Sequence[Rule]
    demonstrations: Sequence[Demonstration] = field(default=(), kw_only=True)
    config: Mapping[str, Any]
    seed: int
    metric: str
    revision: ModelRevision
    model_uri: str
    data: Mapping[str, DataUsed]
    baseline: SplitScores
    optimized: SplitScores
    run: str
    versions: Mapping[str, str]
    details: Mapping[str, Any] = field(default_factory=dict)
    adapter: dspy.Adapter | None = None
    measurement: Measurement = field(default_factory=Measurement)
    gates: Sequence[GateResult] = ()
    test_opening: int = 0


def save_artifact(root: Path, content: ArtifactContent) -> Path:
    """Save an artifact as the next free version under `root`/name/revision and return its folder.

    The folder appears complete or not at all, and no version is ever overwritten. A run that was killed after
    saving and before recording it finds its artifact again instead of saving a second one.

    Raises:
        ArtifactError: the folder can't be written, or the program's state isn't JSON.
    """
    parent = Path(root).absolute() / folder_name(content.name) / content.revision.short
    state = _state_json(content)
    prompt = _prompt_text(content, _plain_module(content)).encode()
    files = {PROGRAM: state, PROMPT: prompt}
    if content.measurement.examples:
        files[MEASURED] = content.measurement.model_dump_json(indent=1).encode()
    manifest = _manifest(content, {name: file_digest(text) for name, text in files.items()})
    earlier = _saved_before(parent, manifest)
    if earlier is not None:
        return earlier
    temporary = parent / f".saving-{folder_name(content.run)}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, text in (*files.items(), (MANIFEST, manifest.as_json().encode())):
            write_durably(temporary / name, text)
        return publish(temporary, parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ArtifactError(
            f"{parent}: the artifact can't be saved: {error.strerror}.",
            hint="Free some space or make the folder writable, then resume the run.",
        ) from error


def load_artifact(path: Path | str, module: dspy.Module, revision: ModelRevision) -> dspy.Module:
    """Return a copy of `module` with what the artifact in the folder `path` has learned.

    `module` is the program that the artifact was made for; `revision` is that of the model it will run on.
    Nothing is unpickled.

    Raises:
        RevisionMismatchError: the artifact was proved on another revision.
        ArtifactError: it is damaged, or was made for another program.
    """
    folder = Path(path)
    manifest, files = read_artifact(folder)
    _check_program(folder, manifest, module)
    check_revision(folder, manifest, revision)
    loaded = module.deepcopy()
    loaded.load_state(_checked_state(folder / PROGRAM, files[PROGRAM]))
    selection = manifest.selection
    if selection is None:
        return loaded
    if selection.nearest:
        _drop_learned(loaded, manifest)
    chosen = LearnedState(
        RuleSet(manifest.rules) if selection.rules else RuleSet(),
        DemonstrationSet(manifest.demonstrations if selection.nearest else ()),
    )
    return program_with(FrozenProgram(loaded), chosen, selection)


def base_of(path: Path | str, module: dspy.Module) -> dspy.Module:
    """Return a copy of `module` with the base that an artifact's rules and demonstrations were learned on.

    That is the module itself, unless another optimizer made the base. Demonstrations of the base stay.

    Raises:
        ArtifactError: it is damaged, or was made for another program.
    """
    folder = Path(path)
    manifest, files = read_artifact(folder)
    _check_program(folder, manifest, module)
    base = module.deepcopy()
    base.load_state(_checked_state(folder / PROGRAM, files[PROGRAM]))
    for name, step in base.named_predictors():
        step.signature = step.signature.with_instructions(manifest.base_instructions[name])
    _drop_learned(base, manifest)
    return base


def _drop_learned(module: dspy.Module, manifest: ArtifactManifest) -> None:
    """Take the learned demonstrations out of a saved program, and leave those of its base."""
    steps = dict(module.named_predictors())
    learned = demonstrations_by_predictor(manifest.demonstrations, list(steps))
    for name, step in steps.items():
        step.demos = step.demos[: len(step.demos) - len(learned[name])]


def program_digest(module: dspy.Module) -> str:
    """Return the hash of a program's structure: modules, predictors, fields, types, base instructions.

    Its Python code isn't included, nor are predictors' demonstrations and LMs.
    """
    return content_digest(_structure(module))


def _structure(module: dspy.Module) -> dict[str, Any]:
    return {
        "modules": {name: type(part).__qualname__ for name, part in module.named_sub_modules()},
        "predictors": {name: _predictor(step) for name, step in module.named_predictors()},
    }


def _predictor(step: Any) -> dict[str, Any]:
    signature = step.signature
    return {
        "instructions": signature.instructions,
        "options": {name: _plain(value) for name, value in sorted(step.config.items())},
        "fields": {
            name: {
                "kind": "input" if name in signature.input_fields else "output",
                "type": _type_schema(info.annotation),
                "prefix": info.json_schema_extra["prefix"],
                "description": info.json_schema_extra["desc"],
            }
            for name, info in signature.fields.items()
        },
    }


def _type_schema(annotation: Any) -> Any:
    try:
        return TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError):
        return str(annotation)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else type(value).__qualname__


def _manifest(content: ArtifactContent, files: dict[str, str]) -> ArtifactManifest:
    structure = _structure(content.base)
    revision = content.revision
    selection = content.module.selection if isinstance(content.module, ConditionalProgram) else Selection()
    rules = selection.rules
    return ArtifactManifest(
        name=content.name,
        program=content_digest(structure),
        structure=structure,
        model=ModelProved(
            uri=content.model_uri,
            digest=revision.digest,
            template_digest=revision.template_digest,
            verified=revision.verified,
            revision=revision.as_dict(),
        ),
        adapter=type(_adapter(content)).__qualname__,
        base_instructions=dict(content.base_instructions),
        instructions=dict(content.instructions),
        rules=tuple(content.rules),
        demonstrations=tuple(content.demonstrations),
        conditional=ConditionalSettings(top_k=rules.top_k, min_overlap=rules.min_overlap) if rules else None,
        conditional_demonstrations=selection.nearest,
        baseline=content.baseline,
        optimized=content.optimized,
        metrics=content.measurement.metrics,
        slices=content.measurement.slices,
        gates=tuple(content.gates),
        test_opening=content.test_opening,
        metric=content.metric,
        data=dict(content.data),
        config=dict(content.config),
        seed=content.seed,
        run=content.run,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=dict(content.versions),
        details=dict(content.details),
        files=files,
    )


def _state_json(content: ArtifactContent) -> bytes:
    """Return what `module.save("program.json")` would write, without LMs: those belong to the machine."""
    module = _plain_module(content).deepcopy()
    for step in module.predictors():
        step.lm = None  # an LM may hold a key, and belongs to this machine
    versions = {"dependency_versions": dspy.utils.saving.get_dependency_versions()}
    try:
        text = to_json({**module.dump_state(), "metadata": versions}, indent=2)
        loaded = content.base.deepcopy()
        loaded.load_state(json.loads(text))
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"The program's state can't be written as JSON: {error}.", hint=_JSON) from error
    # What was measured must be what is served, even if DSPy loses something on the way through JSON.
    if _prompt_text(content, loaded) != _prompt_text(content, module):
        raise ArtifactError("The program renders other prompts after it was saved and loaded.", hint=_JSON)
    return text


def _plain_module(content: ArtifactContent) -> dspy.Module:
    """Return the program as plain DSPy holds it: without conditional rules, with all demonstrations."""
    module = content.module
    if not isinstance(module, ConditionalProgram):
        return module
    return FrozenProgram(module.base).with_state(LearnedState(RuleSet(), module.learned.demonstrations))


def _adapter(content: ArtifactContent) -> dspy.Adapter:
    return content.adapter or dspy.settings.adapter or dspy.JSONAdapter()


def _prompt_text(content: ArtifactContent, module: dspy.Module) -> str:
    """Return every predictor's messages, with the inputs' names in braces where the inputs go."""
    parts = []
    for name, step in module.named_predictors():
        inputs = {field: f"{{{field}}}" for field in step.signature.input_fields}
        parts.append(f"=== {name} ===")
        for message in _adapter(content).format(step.signature, step.demos, inputs):
            parts.append(f"--- {message['role']} ---\n{message['content']}")
    chosen = content.module.selection if isinstance(content.module, ConditionalProgram) else Selection()
    if chosen.nearest:
        few, shown = chosen.nearest, len(content.demonstrations)
        parts.append(f"=== of these {shown} demonstrations, each input meets the {few} most similar ===")
    if chosen.rules:
        parts.append("=== rules, each added to the instructions if its trigger fits the input ===")
        parts += [f"[{rule.predictor}: {rule.trigger or 'always'}] {rule.text}" for rule in content.rules]
    return "\n\n".join(parts) + "\n"


def _saved_before(parent: Path, manifest: ArtifactManifest) -> Path | None:
    def identity(saved: ArtifactManifest) -> dict[str, Any]:
        return saved.model_dump(exclude={"created", "versions", "forced"}, mode="json")

    for folder in sorted(parent.glob("v*")):
        try:
            if identity(load_manifest(folder)) == identity(manifest):
                return folder
        except ArtifactError:
            continue
    return None


_STATE_KEYS = {"traces", "train", "demos", "signature", "fields", "lm"}


def _checked_state(path: Path, content: bytes) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(content)
    steps = {name: step for name, step in state.items() if name != "metadata"}
    if "signature" in steps:  # a program that is itself a predictor
        steps = {"self": steps}
    for name, step in steps.items():
        if step.get("lm") or not step.keys() <= _STATE_KEYS:
            raise ArtifactError(
                f"{path}: predictor {name} carries more than a prompt.",
                hint="PromptGrad saves no LM and no other settings; don't use this file.",
            )
    return state


def _check_program(folder: Path, manifest: ArtifactManifest, module: dspy.Module) -> None:
    structure = _structure(module)
    if content_digest(structure) == manifest.program:
        return
    raise ArtifactError(
        f"{folder} was made for another program: {_difference(manifest.structure, structure)}.",
        hint="Load it with the program it was made for, or run the optimizer for this one: promptgrad run",
    )


def _difference(saved: Mapping[str, Any], given: Mapping[str, Any], path: str = "") -> str:
    """Name the first place where two structures differ."""
    for key in [*saved, *(key for key in given if key not in saved)]:
        before, now = saved.get(key), given.get(key)
        place = f"{path}.{key}" if path else str(key)
        if isinstance(before, dict) and isinstance(now, dict) and before != now:
            return _difference(before, now, place)
        if before != now:
            return f"{place} was {_short(before)} and is {_short(now)}"
    return f"{path or 'the predictors'} come in another order"


def _short(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_revision(folder: Path, manifest: ArtifactManifest, revision: ModelRevision) -> None:
    """Refuse a model that isn't exactly the one an artifact was proved on.

    Raises:
        RevisionMismatchError: its weights or its chat template differ.
    """
    model = manifest.model
    if model.digest != revision.digest:
        proved, given = model.digest, revision.digest
    elif model.template_digest != revision.template_digest:
        proved, given = f"chat template {model.template_digest}", f"chat template {revision.template_digest}"
    else:
        return
    raise RevisionMismatchError(
        f"{folder} was proved on {proved} ({model.uri}); this model is {given}.",
        hint=f"Open {model.uri} as it was, or compile the program for this model: promptgrad run",
    )
