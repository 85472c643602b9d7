"""An artifact's manifest: what was proved, on which exact model, with which data. Needs no dspy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from engine.ground.errors import ArtifactError
from engine.ground.files import replace_file
from engine.ground.frozen_model import FrozenModel
from engine.ground.revision import short_digest
from engine.journal.event_parts import DataUsed, GateResult, MetricChange, SliceScores, SplitScores
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.selection import RuleSelection, Selection
from engine.programs.state import LearnedState
from engine.release.measurement import Measurement

FORMAT = 1
MANIFEST = "manifest.json"
PROGRAM = "program.json"
PROMPT = "prompt.txt"
MEASURED = "measured.json"
ROUTER = "router.json"

_BELOW = ("*", "*/*", "*/*/*", "artifacts/*/*/*")
"""Where artifacts are below a folder that is named in place of one: a router's, and those of a project."""
_SHOWN = 3


class ModelProved(FrozenModel):
    """The exact model that an artifact was proved on; `revision` holds everything known about it."""

    uri: str
    digest: str
    template_digest: str | None
    verified: bool
    revision: dict[str, Any]

    @property
    def short(self) -> str:
        """The first 12 digits of the revision, for screens and folder names."""
        return short_digest(self.digest)


class ConditionalSettings(FrozenModel):
    """How a conditional program picks its rules for one input; `min_overlap` is in 0..1."""

    top_k: int
    min_overlap: float


class ForcedRelease(FrozenModel):
    """A person made an artifact current although it had failed gates, and gave a reason."""

    time: str
    reason: str
    failed: tuple[GateResult, ...]


class ArtifactManifest(FrozenModel):
    """Everything an artifact claims, and the hashes that show whether its files are intact.

    `program` is the hash of `structure`, the program it was made for. `instructions` are the whole
    instructions of each predictor, `base_instructions` their frozen part; with `conditional` set, an input
    meets only those `rules` whose trigger fits. With `conditional_demonstrations` it meets only that many of
    the `demonstrations`, the most similar. `gates` are the verdicts at the time it was saved, `test_opening`
    is how many times its test split had been opened by that time. `files` maps each other file to its
    SHA-256.
    """

    format: int = FORMAT
    name: str
    program: str
    structure: dict[str, Any]
    model: ModelProved
    adapter: str
    base_instructions: dict[str, str]
    instructions: dict[str, str]
    rules: tuple[Rule, ...]
    demonstrations: tuple[Demonstration, ...] = ()
    conditional: ConditionalSettings | None = None
    conditional_demonstrations: int = 0
    baseline: SplitScores
    optimized: SplitScores
    metrics: dict[str, MetricChange] = Field(default_factory=dict)
    slices: dict[str, SliceScores] = Field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()
    test_opening: int = 0
    forced: tuple[ForcedRelease, ...] = ()
    metric: str
    data: dict[str, DataUsed]
    config: dict[str, Any]
    seed: int
    run: str
    created: str
    versions: dict[str, str]
    details: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str]

    @property
    def state(self) -> LearnedState:
        """What the program has learned: both layers."""
        return LearnedState(RuleSet(self.rules), DemonstrationSet(self.demonstrations))

    @property
    def selection(self) -> Selection | None:
        """How each input's rules and demonstrations are chosen; None if every input meets all of them."""
        if self.conditional is None and not self.conditional_demonstrations:
            return None
        chosen = self.conditional
        rules = RuleSelection(chosen.top_k, chosen.min_overlap) if chosen is not None else None
        return Selection(rules, self.conditional_demonstrations)

    def as_json(self) -> str:
        """Return the manifest's file: its fields, and the hash of them under `sha256`."""
        fields = self.model_dump(mode="json")
        return json.dumps({**fields, "sha256": _digest_of(fields)}, indent=2, ensure_ascii=False) + "\n"


def content_digest(content: Any) -> str:
    """Return `sha256:` and 64 hexadecimal digits of JSON content; the order of keys counts."""
    text = json.dumps(content, separators=(",", ":"))
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def file_digest(content: bytes) -> str:
    """Return `sha256:` and 64 hexadecimal digits of a file's content."""
    return f"sha256:{sha256(content).hexdigest()}"


def load_manifest(path: Path | str) -> ArtifactManifest:
    """Return the manifest of the artifact in the folder `path`, with every file of it verified.

    Raises:
        ArtifactError: a file is missing or was changed, or a later version wrote the artifact.
    """
    return read_artifact(Path(path))[0]


def load_measurement(path: Path | str) -> Measurement:
    """Return the results of the artifact in the folder `path` on its test split, example by example.

    Raises:
        ArtifactError: the artifact is damaged, or was saved without a measurement.
    """
    folder = Path(path)
    _, files = read_artifact(folder)
    if MEASURED not in files:
        raise ArtifactError(
            f"{folder} holds no measurement: it was saved without a test split.",
            hint="Run the optimizer with a test split: promptgrad run",
        )
    try:
        return Measurement.model_validate_json(files[MEASURED])
    except ValidationError as error:
        raise _damaged(folder / MEASURED, f"isn't a measurement: {error.errors()[0]['msg']}") from error


def record_forced(folder: Path, forced: ForcedRelease) -> None:
    """Record in an artifact's manifest that it was released although it had failed gates."""
    manifest = load_manifest(folder)
    noted = manifest.model_copy(update={"forced": (*manifest.forced, forced)})
    try:
        replace_file(folder / MANIFEST, noted.as_json().encode())
    except OSError as error:
        raise ArtifactError(
            f"{folder / MANIFEST} can't be written: {error.strerror}.", hint="Make the folder writable."
        ) from error


def read_artifact(folder: Path) -> tuple[ArtifactManifest, dict[str, bytes]]:
    """Return a verified manifest with the content of the files it lists."""
    if folder.is_dir() and not any((folder / name).exists() for name in (MANIFEST, PROGRAM, PROMPT)):
        raise _no_artifact(folder)
    manifest = _parse(folder / MANIFEST, _read(folder / MANIFEST))
    missing = {PROGRAM, PROMPT} - manifest.files.keys()
    if missing:
        raise _damaged(folder / MANIFEST, f"lists no {missing.pop()}")
    files = {}
    for name, digest in manifest.files.items():
        # A manifest from elsewhere must not make us read files outside its folder.
        if not re.fullmatch(r"[\w-]+\.\w+", name):
            raise _damaged(folder / MANIFEST, f"lists a file with the name {name!r}")
        files[name] = _read(folder / name)
        if file_digest(files[name]) != digest:
            raise _damaged(folder / name, "was changed after it was saved")
    return manifest, files


def refuse_later_format(path: Path, fields: Mapping[str, Any], noun: str, known: int) -> None:
    """Refuse a file of a format that this version doesn't know yet.

    Raises:
        ArtifactError: its format is above `known`.
    """
    written = fields.get("format")
    if isinstance(written, int) and written > known:
        raise ArtifactError(
            f"{path}: a later version of PromptGrad wrote this {noun} (format {written}).",
            hint="Upgrade: pip install --upgrade promptgrad-tui",
        )


def _parse(path: Path, content: bytes) -> ArtifactManifest:
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise _damaged(path, f"isn't JSON: {error}") from error
    if not isinstance(fields, dict):
        raise _damaged(path, "isn't a JSON object")
    refuse_later_format(path, fields, "artifact", FORMAT)
    claimed = fields.pop("sha256", None)
    try:
        manifest = ArtifactManifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"has no valid {where}: {first['msg']}") from error
    if claimed != _digest_of(fields):
        raise _damaged(path, "was changed after it was saved")
    return manifest


def _digest_of(fields: dict[str, Any]) -> str:
    return file_digest(json.dumps(fields, sort_keys=True).encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _damaged(path, "is missing") from error
    except OSError as error:
        raise ArtifactError(
            f"{path}: {error.strerror}.", hint="Check the path and its permissions."
        ) from error


def _no_artifact(folder: Path) -> ArtifactError:
    """Return the error about a folder that never was an artifact; it names those below, if there are any."""
    if (folder / ROUTER).is_file():
        return ArtifactError(
            f"{folder} is a router, not an artifact.",
            hint="Name one of its two artifacts: `promptgrad matrix` lists them. Only `promptgrad predict` "
            "and `load_artifact` take a router.",
        )
    found = sorted(path.parent for pattern in _BELOW for path in folder.glob(f"{pattern}/{MANIFEST}"))
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ArtifactError(
        f"{folder} is not an artifact: {MANIFEST} is missing.",
        hint=f"Name an artifact in it: {', '.join(map(str, found[:_SHOWN]))}{more}."
        if found
        else "`promptgrad matrix` lists the artifacts of a project; `promptgrad run` makes one.",
    )


def _damaged(path: Path, problem: str) -> ArtifactError:
    return ArtifactError(
        f"{path} {problem}.",
        hint="Restore the artifact from its original, or make it again: promptgrad run",
    )
