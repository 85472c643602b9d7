"""A prediction with a saved artifact: its program rebuilt, its model opened, both checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from engine.ground.errors import ArtifactError, DataError, ModelUnavailableError
from engine.release.manifest import load_manifest
from engine.release.routing.router import LARGE, is_router, load_router
from promptgrad_tui.work.code.offline import import_dspy_offline
from promptgrad_tui.work.opening import model_settings, open_project_model
from promptgrad_tui.work.release.artifact_project import project_of

if TYPE_CHECKING:
    import dspy


def predict(artifact: Path, inputs: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the fields that the artifact's program answers with.

    A value that is needed as something else than text is read as JSON. The program is rebuilt from the
    artifact's own manifest; one that was written in Python needs its project, which is looked for around
    the artifact and then in `folder`.

    Raises:
        ArtifactError: the artifact is damaged, its project is gone, or the model is another revision.
        DataError: an input is missing or unknown.
        ModelError: the model can't be opened.
        ModelUnavailableError: the model gave no answer that could be read.
        ProjectError: the program raised something else.
    """
    with serving(artifact, folder) as (module, program):
        return _answer(module, program, inputs)


def predict_with_base(
    artifact: Path, inputs: Mapping[str, str], folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the answer of the artifact's program, and that of the base instructions without its rules.

    Raises:
        PromptGradError: see `predict`.
    """
    if is_router(artifact):
        raise ArtifactError(
            f"{artifact} is a router of two programs: it has no base instructions of its own.",
            hint="Ask without --base.",
        )
    with serving(artifact, folder) as (module, program):
        from engine.programs.program import FrozenProgram
        from promptgrad_tui.work.predict.serving import ServedProgram

        assert isinstance(module, ServedProgram)
        source = load_manifest(artifact).config.get("base_prompt_source", "module")
        base = module.serving(FrozenProgram(program, source).with_rules(()))
        return _answer(module, program, inputs), _answer(base, program, inputs)


def _answer(module: dspy.Module, program: dspy.Module, inputs: Mapping[str, str]) -> dict[str, Any]:
    from engine.journal.replay import cause_of
    from engine.programs.faults import fault_of, program_error
    from promptgrad_tui.work.code.program import program_fields

    values = typed_inputs(inputs, program, program_fields(program).inputs)
    try:
        return dict(module(**values).items())
    except Exception as error:
        cause = cause_of(error)
        if cause is None and fault_of(error) == "answer":
            cause = ModelUnavailableError(f"The answer can't be read: {error}", hint="Try another input.")
        raise cause or program_error(error) from error


@contextmanager
def serving(artifact: Path, folder: Path) -> Iterator[tuple[dspy.Module, dspy.Module]]:
    """Open an artifact's model and yield its program as it is served, and the program it was made of.

    A router's two models are opened.
    """
    router = load_router(artifact) if is_router(artifact) else None
    made = artifact / LARGE if router is not None else artifact
    manifest = load_manifest(made)
    import_dspy_offline()
    from models import check_models_fit
    from promptgrad_tui.work.code.program import build_program
    from promptgrad_tui.work.predict.serving import load_artifact

    project = project_of(manifest, made, folder)
    program = build_program(project)
    if router is not None:
        uris = [router.small.uri, router.large.uri]
        check_models_fit(uris, model_settings(project), project.root)
        with open_project_model(project, uris[0]) as small, open_project_model(project, uris[1]) as large:
            yield load_artifact(artifact, small, program=program, large=large), program
        return
    with open_project_model(project, project.model.task) as model:
        yield load_artifact(artifact, model, program=program), program


def field_types(program: dspy.Module) -> dict[str, Any]:
    """Return the types that the program's signatures give to all of their fields."""
    return {
        name: info.annotation
        for _, step in program.named_predictors()
        for name, info in step.signature.fields.items()
    }


def takes_null(annotation: Any) -> bool:
    """Whether a field of that type may hold nothing, as an optional one does."""
    try:
        TypeAdapter(annotation).validate_python(None)
    except ValidationError:
        return False
    return True


def typed_inputs(inputs: Mapping[str, str], program: dspy.Module, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the inputs with the types that the program's signatures give them.

    Raises:
        DataError: one of `wanted` is missing, or one is unknown or of another type.
    """
    types = field_types(program)
    steps = [step.signature for _, step in program.named_predictors()]
    names = list(wanted) or list(dict.fromkeys(name for step in steps for name in step.input_fields))
    wrong = [name for name in inputs if name not in names] or [name for name in wanted if name not in inputs]
    if wrong:
        what = "is not an input of the program" if wrong[0] in inputs else "is missing"
        raise DataError(
            f"The input {wrong[0]!r} {what}.",
            hint=f"Give {' '.join(f'--input {name}=...' for name in names)}",
        )
    return {name: typed_value(name, value, types.get(name, str)) for name, value in inputs.items()}


def typed_value(name: str, text: str, annotation: Any) -> Any:
    """Return a text as a value of that type: other values than text are JSON; a choice needs no quotes.

    Raises:
        DataError: it isn't one.
    """
    if annotation is str:
        return text
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    with suppress(ValidationError):
        return adapter.validate_json(text)
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise DataError(
            f"{name} = {text!r} is not of its type: {error.errors()[0]['msg']}.", hint="Write it as JSON."
        ) from None
