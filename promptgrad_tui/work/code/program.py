"""What a project's file describes, made: the program, its metric, and the optimizer's two hooks."""

from __future__ import annotations

import inspect
import json
import keyword
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args

import dspy

from engine.ground.errors import ProjectError
from engine.ground.spelling import did_you_mean
from engine.learning.selection import RuleAcceptor
from engine.programs.coercion import BoundMetric, as_metric
from engine.programs.formatting import ExampleFormatter
from engine.programs.metrics import built_in_metric
from engine.programs.metrics.combined import CombinedMetric, WeightedMetric, class_by
from engine.programs.metrics.criteria import Criterion, criteria_of
from engine.programs.metrics.meaning import RIGHT_FROM, Meaning
from engine.programs.metrics.pairwise import Pairwise
from engine.programs.metrics.rubric import Rubric
from engine.programs.modules import MetaPrompting, Refine
from engine.programs.program import fields_of_anything, forward_of, refuse_own_models
from engine.project.metric_settings import MetricSection
from engine.project.settings import ProgramSection, Project
from promptgrad_tui.work.code.user_code import load_object, user_errors

_MEDIA = (dspy.Image, dspy.Audio)

_MODULES: dict[str, Callable[[Any], dspy.Module]] = {
    "predict": dspy.Predict,
    "chain_of_thought": dspy.ChainOfThought,
    "refine": Refine,
    "meta_prompting": MetaPrompting,
}


@dataclass(frozen=True)
class ProgramFields:
    """Which fields a program needs from an example, and which its last step answers with.

    `inputs` is empty for a program that takes anything, where nothing says what.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def build_program(project: Project) -> dspy.Module:
    """Return the module that the project describes by a signature, or builds in Python.

    Raises:
        ProjectError: the signature can't be read, or the Python raised or built something else.
    """
    section = project.program
    if section.python is not None:
        return _built_in_python(project, section.python)
    made, signature = _MODULES[section.module], _signature(section)
    taken = [name for name in getattr(made, "ADDED", ()) if name in signature.fields]
    if taken:
        raise ProjectError(
            f"[program] module = {section.module!r} adds a field {taken[0]!r} between its steps, and the "
            "signature has one of that name.",
            hint=f"Rename it in the signature and in the data, for example to {taken[0]}_text.",
            field="program.signature",
        )
    return made(signature)


def program_fields(program: dspy.Module) -> ProgramFields:
    """Return the fields that `program` takes and gives.

    Raises:
        ProjectError: the program has no predictor, or one that reads something other than text.
    """
    steps = [step.signature for _, step in program.named_predictors()]
    if not steps:
        raise ProjectError(
            "The program has no predictor to improve.",
            hint="Make a dspy.Predict or a dspy.ChainOfThought in its __init__.",
        )
    _refuse_media(steps)
    outputs = tuple(name for name in steps[-1].output_fields if name != "reasoning")
    _, *parameters = inspect.signature(forward_of(program)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return ProgramFields(fields_of_anything(program), outputs)
    return ProgramFields(tuple(p.name for p in parameters if p.default is p.empty), outputs)


def _refuse_media(steps: Sequence[Any]) -> None:
    """Refuse pictures and sounds, which no model here is sent."""
    for step in steps:
        for name, field in step.input_fields.items():
            kind = next((kind for kind in _MEDIA if _mentions(field.annotation, kind)), None)
            if kind is not None:
                raise ProjectError(
                    f"The input {name!r} is a dspy.{kind.__name__}: models are only sent text here.",
                    hint="Give the program a field with a description of it, or leave the input away.",
                )


def _mentions(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_mentions(inner, kind) for inner in get_args(annotation))


def build_metric(project: Project, inputs: Collection[str] = ()) -> BoundMetric:
    """Return what scores the project's answers: its metric, or the weighted sum of several.

    A judge is shown the program's `inputs`.

    Raises:
        ProjectError: a file or a function can't be found, or a file raised.
        MetricError: a function can't be called with (example, prediction), or `pattern` can't be read.
    """
    parts = [
        WeightedMetric(
            section.title,
            _built(project, section, inputs),
            weight,
            section.field or "",
            class_by(section.kind) if section.by_class and section.kind else None,
        )
        for section, weight in zip(project.scoring, project.weights.values(), strict=True)
    ]
    if len(parts) == 1 and parts[0].class_of is None:
        return parts[0].metric
    return CombinedMetric(parts, project.optimized)


def _built(project: Project, section: MetricSection, inputs: Collection[str]) -> BoundMetric:
    if section.python is not None:
        own = load_object(project.root, section.python)
        success_from = project.optimizer.failure_threshold
        return as_metric(own, success_from=success_from, scale=section.scale, name=section.title)
    assert section.kind is not None
    assert section.field is not None
    if section.kind == "rubric" or section.kind == "pairwise":
        return build_rubric(project, section, inputs)
    if section.kind == "semantic":
        right_from = section.threshold if "threshold" in section.model_fields_set else RIGHT_FROM
        return as_metric(Meaning(section.field, right_from), time_limit=None, name=section.title)
    own = built_in_metric(section.kind, section.field, **section.options)
    return as_metric(own, time_limit=None, name=section.title)


def build_rubric(project: Project, section: MetricSection, inputs: Collection[str] = ()) -> BoundMetric:
    """Return a metric that asks a judge by criteria: a rubric, or a comparison.

    Raises:
        ProjectError: its file can't be read.
    """
    assert section.field is not None
    criteria = rubric_criteria(project, section)
    if section.kind == "pairwise":
        paired = Pairwise(section.field, criteria, threshold=section.threshold, inputs=inputs)
        return as_metric(paired, time_limit=None, name=section.title)
    scale = None if section.scale is None else (int(section.scale[0]), int(section.scale[1]))
    rubric = Rubric(
        section.field,
        criteria,
        scale=scale,
        threshold=section.threshold,
        inputs=inputs,
    )
    return as_metric(rubric, time_limit=None, name=section.title)


def rubric_criteria(project: Project, section: MetricSection) -> tuple[Criterion, ...]:
    """Return the criteria of a rubric, from promptgrad.toml or from its file.

    Raises:
        ProjectError: the file can't be read.
    """
    if section.rubric is None:
        return tuple(
            criterion if isinstance(criterion, Criterion) else Criterion(text=criterion)
            for criterion in section.criteria
        )
    try:
        return criteria_of(project.path(section.rubric).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"[metric] rubric = {section.rubric!r} can't be read: {error}.",
            hint="It is a text file with a list of criteria, one in each line that begins with a dash.",
            field="metric.rubric",
        ) from error


def judged_section(project: Project) -> MetricSection:
    """Return the metric by which a judge is measured: the rubric, or else the weightiest."""
    return project.rubric or project.metric


def rubric_digest(project: Project) -> str:
    """Return a hash of all by which a project's judge judges: criteria, scale and threshold, or code."""
    judged = judged_section(project)
    left_out = {"name", "weight", "minimum"}
    section = judged.model_dump(mode="json", exclude=left_out, exclude_unset=True)
    rubric = project.rubric
    criteria = [item.model_dump() for item in rubric_criteria(project, rubric)] if rubric else []
    return sha256(json.dumps([section, criteria], sort_keys=True).encode()).hexdigest()[:16]


def judgements(project: Project) -> int:
    """Return how often models are asked about one answer, as far as the project's file tells."""
    rubric = project.rubric
    asked = sum(metric.kind == "semantic" for metric in project.scoring)
    if rubric is None:
        return asked
    return asked + (2 if rubric.kind == "pairwise" else len(rubric_criteria(project, rubric)))


def check_metric_field(project: Project, fields: ProgramFields) -> None:
    """Refuse a metric that compares what a signature's program never answers.

    Raises:
        ProjectError: the `field` of a metric isn't an output of the signature.
    """
    for number, section in enumerate(project.scoring):
        field = section.field
        if project.program.signature is None or field is None or field in fields.outputs:
            continue
        where = f"[[metrics]] {section.title}:" if project.metrics else "[metric]"
        raise ProjectError(
            f"{project.file.name}: {where} field = {field!r} isn't an output of "
            f"{project.program.signature!r}.",
            hint=f"{did_you_mean(field, fields.outputs)}The outputs are {', '.join(fields.outputs)}.",
            field=f"metrics.{number}.field" if project.metrics else "metric.field",
        )


def build_formatter(project: Project) -> ExampleFormatter | None:
    """Return the project's own example formatter, if it names one (a class is made without arguments).

    Raises:
        ProjectError: it can't be loaded, or lacks a method.
    """
    reference = project.example_formatter
    if reference is None:
        return None
    formatter = load_object(project.root, reference)
    if inspect.isclass(formatter):
        with user_errors(project.root, reference):
            formatter = formatter()
    if not isinstance(formatter, ExampleFormatter):
        raise ProjectError(
            f"{reference} isn't an example formatter.",
            hint="It needs format_for_gradient(example, score) and format_context(example).",
        )
    return formatter


def build_acceptor(project: Project) -> RuleAcceptor | None:
    """Return the project's own rule acceptor, if it names one.

    Raises:
        ProjectError: it can't be loaded, or can't be called with one rule.
    """
    reference = project.rule_acceptor
    if reference is None:
        return None
    acceptor: RuleAcceptor = load_object(project.root, reference)
    try:
        inspect.signature(acceptor).bind(None)
    except TypeError as error:
        raise ProjectError(
            f"{reference} can't be called with one rule: {error}.",
            hint="A rule acceptor is a function of a ParsedRule that returns True or False.",
        ) from None
    return acceptor


def _built_in_python(project: Project, reference: str) -> dspy.Module:
    made: Any = load_object(project.root, reference)
    if not isinstance(made, dspy.Module) and callable(made):
        with user_errors(project.root, reference):
            made = made()
    if not isinstance(made, dspy.Module):
        raise ProjectError(
            f"{reference} gives {type(made).__name__}, which isn't a dspy.Module.",
            hint="Name a function that returns a dspy.Module, or a class that is one.",
        )
    if not (hasattr(type(made), "forward") or hasattr(type(made), "aforward")):
        raise ProjectError(f"{reference} has no forward().", hint="Define what the module does in forward().")
    refuse_own_models(made)
    return made


def _signature(section: ProgramSection) -> type[dspy.Signature]:
    text = section.signature
    assert text is not None
    try:
        # DSPy looks for unknown types in the frames of its callers, which are ours, unless it is given types
        signature: type[dspy.Signature] = dspy.Signature(
            text, section.instructions.strip() or None, custom_types={"dspy": dspy}
        )
    except Exception as error:
        if odd := next(_odd_names(text), None):
            raise ProjectError(
                f"[program] signature = {text!r} can't be read: {odd!r} can't be the name of a field.",
                hint="A name has letters, digits and underscores, and isn't a Python keyword. [data.fields] "
                f'reads it from a column of another name: {_usable(odd)} = "{odd}".',
                field="program.signature",
            ) from error
        raise _bad_signature(text, str(error).partition("\n")[0].rstrip(".")) from error
    if not signature.input_fields or not signature.output_fields:
        raise _bad_signature(text, "it needs at least one input and one output")
    for name, description in section.fields.items():
        if name not in signature.fields:
            raise ProjectError(
                f"[program.fields] describes {name!r}, which isn't a field of {text!r}.",
                hint=f"{did_you_mean(name, signature.fields)}Correct it or remove it.",
                field="program.fields",
            )
        signature = signature.with_updated_fields(name, desc=description)
    return signature


def _odd_names(signature: str) -> Iterator[str]:
    """Yield the names in a signature that can't be Python variables."""
    while (
        bare := re.sub(r"\[[^\[\]]*\]", "", signature)
    ) != signature:  # what is in brackets belongs to types
        signature = bare
    for field in re.split(r"->|,", signature):
        name = field.partition(":")[0].strip()
        if name and (not name.isidentifier() or keyword.iskeyword(name)):
            yield name


def _usable(name: str) -> str:
    """Return a name like this one that a field can have."""
    words = re.sub(r"\W+", "_", name).strip("_")
    return words if words.isidentifier() and not keyword.iskeyword(words) else f"the_{words}"


def _bad_signature(text: str, problem: str) -> ProjectError:
    return ProjectError(
        f"[program] signature = {text!r} can't be read: {problem}.",
        hint='Write inputs -> outputs with types where they matter: "ticket -> queue, urgent: bool".',
        field="program.signature",
    )
