"""A router on disk: two artifacts, each for its exact model revision, and the confidence that decides."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from engine.ground.errors import ArtifactError
from engine.ground.files import write_durably
from engine.ground.frozen_model import FrozenModel
from engine.ground.interval import Interval
from engine.release.manifest import (
    MANIFEST,
    ROUTER,
    content_digest,
    file_digest,
    load_manifest,
    refuse_later_format,
)
from engine.release.publishing import publish
from engine.release.routing.thresholds import Threshold

FORMAT = 1
SMALL, LARGE = "small", "large"

_HINT = "Restore the router from its original, or make it again: promptgrad route"


class RoutedModel(FrozenModel):
    """One of the two artifacts: the hash of its manifest, and the exact model that it was proved on."""

    manifest: str
    uri: str
    revision: str
    template_digest: str | None


class Router(FrozenModel):
    """What a router does: answers of `predictor` in `field` with a margin of at least `margin` nats stand.

    `answers` are the possible ones, `table` is what every threshold came to on validation, and the scores are
    those of validation and, where there is a test split, of that.
    """

    format: int = FORMAT
    small: RoutedModel
    large: RoutedModel
    predictor: str
    field: str
    answers: tuple[Any, ...]
    margin: float
    loss: float
    table: tuple[Threshold, ...]
    validation: dict[str, Interval]
    test: dict[str, Interval] = Field(default_factory=dict)
    test_share: float | None = None
    test_opening: int = 0

    @property
    def share(self) -> float:
        """The part of the validation examples that the small model answers."""
        return next((row.share for row in self.table if row.margin == self.margin), 0.0)


def is_router(folder: Path) -> bool:
    """Whether a folder holds a router."""
    return (folder / ROUTER).is_file()


def routed_model(folder: Path) -> RoutedModel:
    """Return what a router says about the artifact in a folder."""
    model = load_manifest(folder).model
    return RoutedModel(
        manifest=file_digest((folder / MANIFEST).read_bytes()),
        uri=model.uri,
        revision=model.digest,
        template_digest=model.template_digest,
    )


def save_router(root: Path, router: Router, small: Path, large: Path) -> Path:
    """Save a router with copies of its two artifacts as the next version, and return its folder.

    Raises:
        ArtifactError: the folder can't be written.
    """
    names = (load_manifest(small), load_manifest(large))
    parent = root / names[0].name / f"{names[0].model.short}-{names[1].model.short}"
    fields = router.model_dump(mode="json")
    text = json.dumps({**fields, "sha256": content_digest(fields)}, indent=2, ensure_ascii=False) + "\n"
    temporary = parent / f".saving-{os.getpid()}"
    try:
        for known in sorted(parent.glob("v*")):
            if (known / ROUTER).is_file() and (known / ROUTER).read_text(encoding="utf-8") == text:
                return known
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, source in ((SMALL, small), (LARGE, large)):
            shutil.copytree(source, temporary / name)
        write_durably(temporary / ROUTER, text.encode())
        return publish(temporary, parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ArtifactError(
            f"{parent}: the router can't be saved: {error.strerror}.",
            hint="Free some space or make the folder writable.",
        ) from error


def load_router(folder: Path) -> Router:
    """Return the router in a folder, with both artifacts verified.

    Raises:
        ArtifactError: a file is missing or was changed, or a later version wrote the router.
    """
    return _verified(folder)[0]


def router_digest(folder: Path) -> str:
    """Return the hash of a verified router, as it was saved.

    Raises:
        ArtifactError: see `load_router`.
    """
    return _verified(folder)[1]


def _verified(folder: Path) -> tuple[Router, str]:
    path = folder / ROUTER
    fields = _fields(path)
    refuse_later_format(path, fields, "router", FORMAT)
    claimed = fields.pop("sha256", None)
    try:
        router = Router.model_validate(fields)
    except ValidationError as error:
        raise ArtifactError(f"{path} can't be read.", hint=_HINT) from error
    # What was saved is hashed, not the model: that may have fields by now which the file lacks.
    digest = content_digest(fields)
    if claimed != digest:
        raise ArtifactError(f"{path} was changed after it was saved.", hint=_HINT)
    for name, known in ((SMALL, router.small), (LARGE, router.large)):
        if routed_model(folder / name) != known:
            raise ArtifactError(f"{folder / name} isn't the artifact that was routed to.", hint=_HINT)
    return router, digest


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} can't be read.", hint=_HINT) from error
    if not isinstance(fields, dict):
        raise ArtifactError(f"{path} can't be read.", hint=_HINT)
    return fields
