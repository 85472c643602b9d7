"""What `promptgrad check` looks at, in order; what can't be looked at ends the list. Needs DSPy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from engine.ground.errors import PromptGradError
from engine.ground.examples import public_fields
from engine.ground.model import Model, RunModels
from engine.learning.slices import by_slice
from engine.project.comparing import Comparing
from engine.project.data import LoadedExample, placing_errors
from engine.project.sampling import held_out_size
from engine.project.settings import Project
from engine.release.gate_checks import decision_notes, refuse_unmeasurable
from engine.release.objectives.margin import objectives_margin
from engine.release.power import power_text, smallest_visible_gain
from engine.release.search_model import refuse_disagreement
from models import Progress
from promptgrad_tui.views.estimate import PlannedCalls, calls_text, cost_text, picked_text
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.findings import Finding
from promptgrad_tui.work.check.dates import changing_dates
from promptgrad_tui.work.check.estimate import Sizes, costs, project_calls
from promptgrad_tui.work.check.fields import blank_fields, mixed_fields
from promptgrad_tui.work.check.golds import impossible_golds
from promptgrad_tui.work.check.labels import label_findings
from promptgrad_tui.work.check.metric_trial import metric_trial
from promptgrad_tui.work.check.probing import Repeated, compared_answers, probe, probe_search, repeat
from promptgrad_tui.work.check.prompt_sizes import PromptSizes, prompt_sizes
from promptgrad_tui.work.check.report import CheckItem, ModelOpened, RateMeasured, SplitFound
from promptgrad_tui.work.code.program import build_acceptor, build_formatter, judgements
from promptgrad_tui.work.opening import open_project
from promptgrad_tui.work.run.planning import ProjectParts, load_parts, open_models

_TOKENS_OF_A_RULE = 30
_PROBED = 8

Part = Literal["data", "model", "rate"]
"""How far a check goes: the files alone, the models too, or some calls as well."""


def inspect_project(
    folder: Path, overrides: Mapping[str, str], *, upto: Part, on_progress: Progress | None = None
) -> Iterator[CheckItem]:
    """Yield what was found in a project, up to the first thing without which nothing else can be checked."""
    subject, project = "project", None
    try:
        project = open_project(folder, overrides)
        yield Finding("ok", subject, f"{project.name}: {project.file.name} can be read")
        subject = "program"
        parts = load_parts(project, on_progress)
        build_formatter(project)
        build_acceptor(project)
        yield from _program(parts)
        yield from _splits(project, parts, Comparing.of(project.root, on_progress))
        subject = "gates"
        yield from _gates(project, parts)
        subject = "metric"
        yield from metric_trial(parts)
        yield from impossible_golds(parts)
        sizes = _sizes(project, parts)
        yield sizes
        calls = project_calls(project, sizes)
        if upto == "data":
            yield _calls(calls)
            return
        subject = "model"
        with ExitStack() as stack:
            log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "llama.log"
            models = open_models(project, log, on_progress, stack)
            yield from _models(models)
            if models.search is not None and upto == "rate":
                subject = "search"
                yield _search(project, parts, models)
            subject = "context"
            prompts = prompt_sizes(project, parts, models)
            yield from _context(project, prompts, models)
            subject = "estimate"
            yield _calls(calls)
            yield from _conditional(project, prompts)
            if upto == "rate":
                yield from _measured(project, parts, models, calls, prompts, on_progress)
    except PromptGradError as error:
        subject = _subject_of(error, subject)
        yield Finding.of(subject, error, _field_of(subject, error, project))


_SUBJECTS = {
    "DataError": "data",
    "MetricError": "metric",
    "ContextOverflowError": "context",
    "UnreadableAnswersError": "answers",
}
"""What an error is about, wherever it was raised."""


def _subject_of(error: PromptGradError, subject: str) -> str:
    return _SUBJECTS.get(type(error).__name__, subject)


_FILES: Mapping[str, Callable[[Project], str | None]] = {
    "data.train": lambda project: project.data.train,
    "data.validation": lambda project: project.data.validation,
    "data.test": lambda project: project.data.test,
    "program.python": lambda project: project.program.python,
    "metric.python": lambda project: next((one.python for one in project.scoring if one.python), None),
    "example_formatter": lambda project: project.example_formatter,
    "rule_acceptor": lambda project: project.rule_acceptor,
}
"""The keys that name a file, perhaps with what is meant in it."""

_FIELDS = {
    "program": "program.signature",
    "data": "data.train",
    "gates": "gates.slices",
    "metric": "metric.field",
    "model": "model.task",
    "search": "model.search",
    "context": "model.context_length",
    "answers": "model.max_tokens",
}
"""The key that a finding is about where it names none."""


def _field_of(subject: str, error: PromptGradError, project: Project | None) -> str:
    """Return the key of the project file that an error is about, or that names the file it is about."""
    if error.field:
        return error.field
    if project is not None and error.file is not None:
        for key, file_of in _FILES.items():
            reference = file_of(project)
            if reference and _is_same(project.path(reference.partition(":")[0]), error.file):
                return key
    return _FIELDS.get(subject, "")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.resolve() == other.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        return path == other


def _program(parts: ProjectParts) -> Iterator[Finding]:
    fields = parts.fields
    steps = count_text(len(parts.program.named_predictors()), "predictor")
    inputs = ", ".join(fields.inputs) or "anything"
    yield Finding("ok", "program", f"{inputs} -> {', '.join(fields.outputs)}, {steps}")


def _splits(project: Project, parts: ProjectParts, comparing: Comparing) -> Iterator[Finding | SplitFound]:
    splits, data = parts.splits, project.data

    def found(name: str, examples: Sequence[LoadedExample], file: str | None, origin: str) -> SplitFound:
        slices = by_slice([example.values for example in examples], data.slice)
        here: Any = "file" if file else origin
        return SplitFound(name=name, file=file or "", examples=len(examples), origin=here, slices=slices)

    yield found("train", splits.train, data.train, "")
    if splits.validation:
        yield found("validation", splits.validation, data.validation, "")
    else:
        held_out = _held_out(project, parts)
        yield SplitFound(name="validation", file="", examples=held_out, origin="held out of train")
    yield found("test", splits.test, data.test, "taken out of train")
    validation = (
        f"{len(splits.validation)} validation" if splits.validation else "validation held out of train"
    )
    test = f"{len(splits.test)} test" + (" (taken out of train)" if splits.carving else "")
    yield Finding(
        "ok", "data", f"{len(splits.train)} train, {validation}, {test}; no example is in two splits"
    )
    if splits.carving and splits.carving.note:
        yield Finding("ok", "data", splits.carving.note, field="data.test")
    for warning in splits.warnings:
        yield Finding("warn", "data", warning.text, field=warning.field)
    inputs = parts.fields.inputs or public_fields(splits.train[0].values)
    yield from blank_fields(splits, (*inputs, *parts.fields.outputs))
    yield from mixed_fields(splits, (*inputs, *parts.fields.outputs))
    yield from label_findings(splits, inputs, parts.fields.outputs, comparing)


def _gates(project: Project, parts: ProjectParts) -> Iterator[Finding]:
    test, field = parts.splits.test, project.data.slice
    can_show = smallest_visible_gain(len(test)) is not None
    yield Finding("ok" if can_show else "warn", "test", power_text(len(test)), field="data.test")
    refuse_unmeasurable(project.gates, parts.splits, field)
    for note in decision_notes(project.gates, test, field):
        advice = "Take more examples, or another bound."
        yield Finding("warn", "gates", note.text, advice, field=note.field)
    objectives_margin(project.objectives, len(parts.splits.validation or ()) or _held_out(project, parts))


def _models(models: RunModels) -> Iterator[Finding | ModelOpened]:
    yield _opened("task", models.task)
    yield _model("model", models.task)
    yield from changing_dates("model", models.task)
    if models.reflection is not models.task:
        yield _opened("reflection", models.reflection)
        yield _model("reflection", models.reflection)


def _queue(project: Project, model: Model) -> Iterator[Finding]:
    """Say where a server answers one request at a time what would bring more."""
    slots, wanted = getattr(model, "slots", None), project.optimizer.max_workers
    if slots != 1 or wanted == 1:
        return
    other = "" if project.model.search == "in_process" else ', or set [model] search = "in_process"'
    yield Finding(
        "warn",
        "queue",
        f"{model.uri} has 1 slot: Ollama writes one answer at a time, and up to {wanted} are asked for",
        "Start Ollama with OLLAMA_NUM_PARALLEL=4 (measured with a 1.5 B model on two cores: 1.7 times as "
        f"many tokens a second){other}.",
        field="model.search",
    )


def _search(project: Project, parts: ProjectParts, models: RunModels) -> Finding:
    """Compare a dozen answers in process with those of the model that proves."""
    with placing_errors(parts.splits.train):
        found = compared_answers(parts, models, project.optimizer)
    refuse_disagreement(found, models.task.uri)
    return Finding("ok", "search", f"in process: {found}; {models.task.uri} proves", field="model.search")


def _opened(role: Literal["task", "reflection"], model: Model) -> ModelOpened:
    revision = model.revision
    return ModelOpened(
        role=role,
        uri=model.uri,
        revision=revision.short,
        verified=revision.verified,
        context_length=model.context_length,
    )


def _model(subject: str, model: Model) -> Finding:
    text = f"{model.uri}, revision {model.revision.short}, context of {model.context_length:,} tokens"
    if model.revision.verified:
        return Finding("ok", subject, text)
    return Finding(
        "warn",
        subject,
        f"{text}; the server gives no hash of the model",
        "An artifact will be marked as unverified: a change of the model may go unnoticed.",
    )


def _context(project: Project, sizes: PromptSizes, models: RunModels) -> Iterator[Finding]:
    limit = models.task.context_length
    if sizes.longest is None:
        yield Finding("ok", "context", "the prompts of this program are known only when it runs")
    else:
        yield _longest_prompt(project, sizes.longest, sizes.longest_at, limit)
    limit = models.reflection.context_length
    text = f"an analysis may read {sizes.analysis:,} tokens of {limit:,}"
    if sizes.analysis < limit:
        yield Finding("ok", "context", text)
    else:
        yield Finding(
            "warn",
            "context",
            text,
            "Fewer failures will be shown where they don't fit.",
            field="optimizer.gradient_failure_display_limit",
        )


def _longest_prompt(project: Project, longest: int, where: str, limit: int) -> Finding:
    rules = project.optimizer.max_local_rules * _TOKENS_OF_A_RULE
    text = f"the longest prompt has {longest:,} tokens of {limit:,} ({where})"
    if longest >= limit:
        return Finding(
            "fail",
            "context",
            text,
            "Shorten the example, or raise [model] context_length as far as the model allows.",
            exit_code=2,
            field="model.context_length",
        )
    if longest + rules >= limit:
        return Finding(
            "warn",
            "context",
            f"{text}, and rules may add some {rules:,}",
            "Lower max_local_rules, or shorten it.",
            field="optimizer.max_local_rules",
        )
    return Finding("ok", "context", text)


def _held_out(project: Project, parts: ProjectParts) -> int:
    return held_out_size(len(parts.splits.train), project.optimizer.val_holdout_fraction)


def _sizes(project: Project, parts: ProjectParts) -> Sizes:
    splits = parts.splits
    held_out = 0 if splits.validation else _held_out(project, parts)
    others = (*splits.train, *(splits.validation or ()))
    return Sizes(
        train=len(splits.train) - held_out,
        validation=len(splits.validation) if splits.validation else held_out,
        test=len(splits.test),
        predictors=len(parts.program.named_predictors()),
        judgements=judgements(project),
        also=sum(example.name in project.gates.must_pass for example in others),
    )


def _calls(calls: PlannedCalls) -> Finding:
    return Finding("ok", "estimate", calls_text(calls))


def _conditional(project: Project, prompts: PromptSizes) -> Iterator[Finding]:
    """Say what demonstrations that are picked for each input cost, or that there are none to pick from."""
    config, field = project.optimizer, "optimizer.conditional_demonstrations"
    if not config.conditional_demonstrations:
        return
    if not config.max_demonstrations:
        text = f"conditional_demonstrations = {config.conditional_demonstrations} has nothing to pick from"
        yield Finding("warn", "estimate", text, "Set max_demonstrations, or take it out.", field=field)
        return
    yield Finding(
        "ok", "estimate", picked_text(config.conditional_demonstrations, prompts.picked), field=field
    )


def _measured(
    project: Project,
    parts: ProjectParts,
    models: RunModels,
    calls: PlannedCalls,
    prompts: PromptSizes,
    on_progress: Progress | None,
) -> Iterator[Finding | RateMeasured]:
    with placing_errors(parts.splits.train):
        found = probe(parts, models, project.optimizer, _PROBED, on_progress)
        searched = (
            probe_search(parts, models, project.optimizer, _PROBED, on_progress).measured
            if models.search
            else None
        )
        if models.task.revision.repeats_answers:
            repeated = Repeated(0, 0)
        else:
            if on_progress:
                on_progress("Asking the same again", 0.0)
            repeated = repeat(parts, models, project.optimizer, _PROBED, found.answers)
    yield RateMeasured(
        uri=models.task.uri,
        measured=found.measured,
        searched=searched,
        analysis_tokens=prompts.analysis,
        at_a_time=project.optimizer.max_workers,
        picked_tokens=prompts.picked,
        repeated=repeated.answers,
        changed=repeated.changed,
    )
    few, many = costs(calls, found.measured, prompts.analysis, prompts.picked, searched)
    yield Finding("ok", "estimate", cost_text(few, many, found.measured, searched))
    yield from _queue(project, models.task)
    if found.unparseable:
        yield Finding(
            "warn",
            "answers",
            f"{found.unparseable} of {found.rollouts} answers could not be read",
            "Raise [model] max_tokens, or try a larger model.",
            field="model.max_tokens",
        )
    else:
        yield Finding("ok", "answers", f"{found.right} of {found.rollouts} probed examples are right already")
    yield _repeated(repeated)


def _repeated(repeated: Repeated) -> Finding:
    count = count_text(repeated.answers, "repeated answer")
    if not repeated.answers:
        return Finding("ok", "answers", "the same request gets the same answer each time, bit for bit")
    if not repeated.changed:
        return Finding("ok", "answers", f"none of {count} changed by itself, asked alone and with others")
    share = max(1, round(100 * repeated.changed / repeated.answers))
    return Finding(
        "warn",
        "answers",
        f"{repeated.changed} of {count} changed by themselves: about {share} in 100 here",
        "A test of a rule can't tell that from what the rule does: use more validation examples, or a GGUF "
        "file in process, where an answer depends on its request alone.",
    )
