"""A project: the folder whose `promptgrad.toml` says what to improve, on which data, by which metric."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engine.ground.errors import ProjectError
from engine.ground.frozen_model import FrozenModel
from engine.project import PROJECT_FILE
from engine.project.config import PromptGradConfig
from engine.project.gates import Gates, Share
from engine.project.methods import MethodName
from engine.project.metric_settings import (
    FilePath,
    MetricSection,
    NamedMetric,
    PythonReference,
    main_metric,
    refuse_unusable,
    sum_name,
)
from engine.project.objectives import Objectives
from engine.project.problems import Problems
from engine.project.toml_lines import Place, TomlLines


class ProgramSection(FrozenModel):
    """What is improved: a signature, or Python that builds a `dspy.Module`."""

    signature: str | None = Field(
        None, min_length=1, description="Inputs and outputs, as in: ticket -> queue."
    )
    module: Literal["predict", "chain_of_thought", "refine", "meta_prompting"] = Field(
        "predict",
        description='"predict" answers at once, "chain_of_thought" reasons first, "refine" criticises its '
        'answer and answers again, "meta_prompting" asks experts of its own making.',
    )
    instructions: str = Field("", description="The base instructions; they are never changed.")
    fields: dict[str, str] = Field({}, description="What each input and output means, by its name.")
    python: PythonReference | None = Field(
        None,
        description="In place of a signature: file.py:name, a dspy.Module or a function that returns one.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> ProgramSection:
        if (self.signature is None) == (self.python is None):
            raise ValueError('needs either signature = "input -> output" or python = "program.py:build"')
        extra = self.model_fields_set & {"module", "instructions", "fields"}
        if self.python is not None and extra:
            raise ValueError(
                f"{', '.join(sorted(extra))} can't be combined with python: write it into the module"
            )
        return self


class DataSection(FrozenModel):
    """Where the examples are; paths are relative to the project's folder."""

    train: FilePath = Field(
        description="Examples to learn from: .jsonl, .json, .csv, .yaml, .xlsx or .parquet; several files "
        "with commas between them, or a pattern such as data/*.csv."
    )
    validation: FilePath | None = Field(
        None, description="Examples on which epochs are compared; held out of train if missing."
    )
    test: FilePath | None = Field(
        None, description="Examples scored once, at the end; taken out of train if missing."
    )
    test_seed: int = Field(
        0, ge=0, description="Where test is taken out of train: another number makes a new test split."
    )
    slice: str | None = Field(
        None, min_length=1, description="Field by which scores are also reported separately."
    )
    id: str | None = Field(None, min_length=1, description='Field that names an example, if not "id".')
    fields: dict[str, str] = Field(
        {},
        description='Where a file keeps a field of another name: a column, a path such as "outputs.label", '
        'or "=text" for a constant.',
    )
    exclude: tuple[str, ...] = Field(
        (), description="Examples to leave out, each by its id or its key; `promptgrad labels` adds them."
    )
    near_duplicate_threshold: Share = Field(
        0.99, description="Examples of two splits may not be more alike than this; 1 allows everything."
    )


class BaseSection(FrozenModel):
    """Another optimizer that makes the base first; what is learned comes on top of it."""

    optimizer: MethodName | None = Field(
        None, description="The optimizer that makes the base: labeled_few_shot, mipro_v2, gepa, ape ..."
    )
    calls: int = Field(300, ge=1, description="Model calls that it may use at most.")

    @field_validator("optimizer")
    @classmethod
    def _makes_one_prompt(cls, optimizer: MethodName | None) -> MethodName | None:
        if optimizer == "knn_few_shot":
            raise ValueError(
                "knn_few_shot shows each input other demonstrations, and a base is one prompt for all: set "
                "[optimizer] conditional_demonstrations = 12 instead"
            )
        return optimizer


class ModelSection(BaseModel):
    """The task model, the reflection model, and how both are loaded and sampled."""

    model_config = ConfigDict(frozen=True, extra="allow")

    task: str = Field(
        min_length=1,
        description="demo, gguf:PATH, hf:OWNER/REPO, ollama:NAME or openai:http://HOST:PORT/v1#NAME.",
    )
    reflection: str = Field(
        "same", min_length=1, description='The model that writes gradients: "same" as the task\'s, or a URI.'
    )
    judge: str = Field(
        "same", min_length=1, description='The model that a metric may ask: "same" as the task\'s, or a URI.'
    )
    embedding: str | None = Field(
        None, min_length=1, description="The embedding model that the metric semantic compares by: a URI."
    )

    search: Literal["task", "in_process"] = Field(
        "task",
        description='"in_process" tries candidates on the file of an Ollama model, which is faster; scores '
        "that count are still Ollama's.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """Every other key of the section."""
        return dict(self.model_extra or {})


class Project(FrozenModel):
    """The content of `promptgrad.toml`; `root` is the folder that holds it."""

    name: str = Field("", description="What the project is called; its folder's name if empty.")
    review: Literal["none", "after", "during"] = Field(
        "none", description="When a person decides about rules: never, after the run, or during it."
    )
    program: ProgramSection
    data: DataSection
    metric: MetricSection = Field(description="How a prediction is scored; of several, the weightiest.")
    metrics: tuple[NamedMetric, ...] = Field(
        (), description="Several metrics in place of [metric], each with a name, a weight and a minimum."
    )
    model: ModelSection
    base: BaseSection = BaseSection()
    optimizer: PromptGradConfig = PromptGradConfig()
    gates: Gates = Field(Gates(), validate_default=True)
    objectives: Objectives = Objectives()
    example_formatter: PythonReference | None = Field(
        None, description="file.py:name, an ExampleFormatter: how an analysis sees examples."
    )
    rule_acceptor: PythonReference | None = Field(
        None, description="file.py:name, a function of a ParsedRule that returns whether it may be tested."
    )
    _root: Path = PrivateAttr(default=Path())

    @field_validator("model")
    @classmethod
    def _has_what_metrics_ask(cls, model: ModelSection, info: ValidationInfo) -> ModelSection:
        main = info.data.get("metric")
        scoring = info.data.get("metrics") or ((main,) if main is not None else ())
        if model.embedding is None and any(one.kind == "semantic" for one in scoring):
            raise ValueError('needs embedding = "gguf:...": the metric semantic compares meanings by it')
        return model

    @field_validator("optimizer")
    @classmethod
    def _tests_what_is_reviewed(cls, optimizer: PromptGradConfig, info: ValidationInfo) -> PromptGradConfig:
        if info.data.get("review") == "during" and not optimizer.validate_rules:
            raise ValueError(
                'validate_rules = false can\'t be combined with review = "during": a person is asked about '
                'rules that passed a test; review = "after" includes untested ones'
            )
        return optimizer

    @model_validator(mode="before")
    @classmethod
    def _has_a_main_metric(cls, raw: Any) -> Any:
        """Let the weightiest of [[metrics]] stand for [metric]; what is wrong in them is told at them."""
        if not isinstance(raw, dict) or "metric" in raw or not isinstance(raw.get("metrics"), list | tuple):
            return raw
        stand_in = NamedMetric(kind="exact_match", field="-")
        return {**raw, "metric": main_metric(raw["metrics"]) or stand_in}

    @field_validator("metrics")
    @classmethod
    def _fit_together(cls, metrics: tuple[NamedMetric, ...], info: ValidationInfo) -> tuple[NamedMetric, ...]:
        if not isinstance(info.data.get("metric"), NamedMetric):
            raise ValueError("can't be combined with [metric]: write each metric as [[metrics]]")
        if not metrics:
            raise ValueError("is empty: write [metric], or [[metrics]] for each of several")
        refuse_unusable(metrics)
        return metrics

    @field_validator("gates")
    @classmethod
    def _with_minimums(cls, gates: Gates, info: ValidationInfo) -> Gates:
        """Make a gate of each metric's minimum; refuse gates on what no metric tells."""
        metrics: tuple[NamedMetric, ...] = info.data.get("metrics", ())
        names = [one.title for one in metrics]
        unknown = [name for name in gates.metrics if name not in names]
        if unknown and "metrics" in info.data:
            there = f"there are {', '.join(names)}" if names else "there is one metric: set min_test_score"
            raise ValueError(f"metrics names {unknown[0]!r}, which isn't a metric; {there}")
        main = info.data.get("metric")
        if gates.by_class and main is not None and not any(one.by_class for one in metrics or (main,)):
            raise ValueError(f"{gates.by_class[0]} needs a metric with by_class = true")
        minimums = {one.title: one.minimum for one in metrics if one.minimum is not None}
        return gates.model_copy(update={"metrics": {**minimums, **gates.metrics}}) if minimums else gates

    @model_validator(mode="after")
    def _says_each_metric_once(self) -> Project:
        """Leave out of dumps what stands for [[metrics]]."""
        if self.metrics:
            self.__pydantic_fields_set__.discard("metric")
        return self

    @property
    def scoring(self) -> tuple[MetricSection, ...]:
        """All metrics: those of [[metrics]], or the one of [metric]."""
        return self.metrics or (self.metric,)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each metric in the sum that is optimized, by its name."""
        return {one.title: one.weight for one in self.metrics} or {self.metric.title: 1.0}

    @property
    def optimized(self) -> str:
        """What is optimized, as tables name it."""
        return sum_name(self.weights)

    @property
    def rubric(self) -> MetricSection | None:
        """The metric that asks the judge by criteria, if there is one."""
        return next((one for one in self.scoring if one.asks_judge), None)

    @property
    def root(self) -> Path:
        """The project's folder, absolute."""
        return self._root

    @property
    def file(self) -> Path:
        """The project file."""
        return self._root / PROJECT_FILE

    def placed_in(self, folder: Path) -> Project:
        """Return the project as one whose files are in `folder`."""
        placed = self.model_copy()
        placed._root = folder.resolve()
        return placed

    def path(self, name: str) -> Path:
        """Return the path of a file that the project names."""
        return self._root / Path(name).expanduser()


def load_project(
    path: Path,
    overrides: Mapping[str, str] | None = None,
    *,
    model_options: type[BaseModel] | None = None,
) -> Project:
    """Read a project from its folder or its file; all problems are reported at once.

    `overrides` are what `--set` gives: dotted keys and TOML values, as in {"optimizer.epochs": "1"}.
    `model_options` is the class that the further keys of [model] have to satisfy.

    Raises:
        ProjectError: there is no such file, it isn't TOML, or a key or value in it isn't allowed.
    """
    file = path if path.suffix == ".toml" else path / PROJECT_FILE
    text = read_project_text(file)
    given = overrides or {}
    raw = parse_project_text(text, file.name)
    for key, value in given.items():
        _override(raw, key, value)
    project, problems = _validated(raw, model_options)
    if project is None or problems:
        raise problems.as_error(file, TomlLines(text), given)
    project = project.placed_in(file.parent)
    return project if project.name else project.model_copy(update={"name": project.root.name})


def project_problems(
    raw: Mapping[str, Any], *, model_options: type[BaseModel] | None = None
) -> Mapping[Place, str]:
    """Return what is wrong in the content of a project file as sentences, by the keys that they are about."""
    return _validated(raw, model_options)[1].sentences


def _validated(
    raw: Mapping[str, Any], model_options: type[BaseModel] | None
) -> tuple[Project | None, Problems]:
    problems = Problems()
    project: Project | None = problems.validate(Project, raw)
    if model_options is not None and isinstance(raw.get("model"), dict):
        options = {key: value for key, value in raw["model"].items() if key not in ModelSection.model_fields}
        problems.validate(model_options, options, ("model",), also_known=ModelSection.model_fields)
    return project, problems


def read_project_text(file: Path) -> str:
    """Return a project file's text.

    Raises:
        ProjectError: there is none, or it can't be read as UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
    except FileNotFoundError:
        folder = file.parent
        raise ProjectError(
            f"There is no {file.name} in {folder}.",
            hint=f"`promptgrad init {shlex.quote(str(folder))}` writes a commented one.",
        ) from None
    except UnicodeDecodeError as error:
        raise ProjectError(
            f"{file.name} is not UTF-8: byte 0x{error.object[error.start]:02x} at position {error.start}.",
            hint="Save it as UTF-8.",
            file=file,
        ) from None
    except OSError as error:
        raise ProjectError(
            f"{file} can't be read: {error.strerror}.",
            hint="Correct the path, or its permissions.",
            file=file,
        ) from error


def parse_project_text(text: str, name: str) -> dict[str, Any]:
    """Return the content of a project file called `name`.

    Raises:
        ProjectError: it isn't TOML; the message names the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Before Python 3.14, tomllib gives the line only in its message.
        line = re.search(r"\bline (\d+)", str(error))
        raise ProjectError(
            f"{name} isn't TOML: {error}.",
            hint="Put text in quotes, write each line as name = value, and each section and name once.",
            line=int(line[1]) if line else 0,
        ) from None
    except RecursionError:
        raise ProjectError(
            f"{name} is nested too deeply.", hint="Write fewer brackets within each other."
        ) from None


def _override(raw: dict[str, Any], key: str, value: str) -> None:
    """Set a dotted key; a value that isn't TOML is taken as text."""
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *tables, last = key.split(".")
    for table in tables:
        raw = raw.setdefault(table, {})
        if not isinstance(raw, dict):
            raise ProjectError(
                f"--set {key}: {table} isn't a section.", hint="Write --set section.key=value."
            )
    raw[last] = parsed
