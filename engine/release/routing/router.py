"""A router on disk: two artifacts, each for its exact model revision, and the confidence that decides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.ground.errors import ArtifactError
from engine.ground.files import sync_folder, write_durably
from engine.ground.interval import Interval
from engine.release.manifest import MANIFEST, content_digest, file_digest, load_manifest
from engine.release.routing.thresholds import Threshold

ROUTER = "router.json"
SMALL, LARGE = "small", "large"


class RoutedModel(BaseModel):
    """One of the two artifacts: the hash of its manifest, and the exact model that it was proved on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: str
    uri: str
    revision: str
    template_digest: str | None


class Router(BaseModel):
    """What a router does: answers of `predictor` in `field` with a margin of at least `margin` nats stand.

    `answers` are the possible ones, `table` is what every threshold came to on validation, and the scores are
    those of validation and, where there is a test split, of that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    small: RoutedModel
    large: RoutedModel
    predictor: str
    field: str
    answers: tuple[Any, ...]
    margin: float
    loss: float
    table: tuple[Threshold, ...]
    validation: dict[str, Interval]
    test: dict[str, Interval] = {}
    test_share: float | None = None
    test_opening: int = 0


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
    try:
        for known in sorted(parent.glob("v*")):
            if (known / ROUTER).is_file() and (known / ROUTER).read_text(encoding="utf-8") == text:
                return known
        version = 1 + max((int(path.name[1:]) for path in parent.glob("v*")), default=0)
        temporary = parent / f".saving-v{version}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, source in ((SMALL, small), (LARGE, large)):
            shutil.copytree(source, temporary / name)
        write_durably(temporary / ROUTER, text.encode())
        temporary.rename(parent / f"v{version}")
        sync_folder(parent)
    except OSError as error:
        raise ArtifactError(
            f"{parent}: the router can't be saved: {error.strerror}.",
            hint="Free some space or make the folder writable.",
        ) from error
    return parent / f"v{version}"


def load_router(folder: Path) -> Router:
    """Return the router in a folder, with both artifacts verified.

    Raises:
        ArtifactError: a file is missing or was changed.
    """
    path = folder / ROUTER
    hint = "Restore the router from its original, or make it again: promptgrad route"
    try:
        fields = json.loads(path.read_bytes())
        claimed = fields.pop("sha256", None)
        router = Router.model_validate(fields)
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise ArtifactError(f"{path} can't be read.", hint=hint) from error
    if claimed != content_digest(router.model_dump(mode="json")):
        raise ArtifactError(f"{path} was changed after it was saved.", hint=hint)
    for name, known in ((SMALL, router.small), (LARGE, router.large)):
        if routed_model(folder / name) != known:
            raise ArtifactError(f"{folder / name} isn't the artifact that was routed to.", hint=hint)
    return router
