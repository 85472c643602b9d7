"""Datasets from Hugging Face: the files of some splits, at one exact revision, copied into a project."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from engine.ground.errors import DataError
from engine.ground.model import Progress
from models.catalog.hub import hub_errors, hub_host, progress_bar

FORMS = "Write hf://OWNER/NAME, or hf://OWNER/NAME@REVISION."
SOURCE_FILE = "source.json"
"""Beside the files: where they are from."""

_NAME = re.compile(r"(?:hf://)?(?:datasets/)?(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
"""In the order in which they are preferred where a split is there in several."""
_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


@dataclass(frozen=True)
class PulledDataset:
    """What was fetched: the dataset, its exact revision (a commit), and the files of each split."""

    repository: str
    revision: str
    files: dict[str, list[str]]


def dataset_name(source: str) -> tuple[str, str | None]:
    """Return a dataset's repository and revision.

    Raises:
        DataError: the source can't be read.
    """
    found = _NAME.fullmatch(source.strip())
    if found is None or ".." in source:
        raise DataError(f"{source!r} isn't a dataset of the hub.", hint=FORMS)
    return found["repository"], found["revision"]


def pull_dataset(
    source: str, splits: Sequence[str], folder: Path, *, config: str = "", report: Progress
) -> PulledDataset:
    """Download the files of some splits into a folder of their own below `folder`.

    What a branch or tag means now is noted beside them as a commit: the same command with that commit brings
    the same files.

    Raises:
        DataError: the source can't be read, a split isn't there, or other files are in the way.
        ModelNotFoundError: the hub has no such dataset, or asks for a login.
        ServerError: the hub can't be reached.
    """
    from huggingface_hub import HfApi

    repository, revision = dataset_name(source)
    report(f"Looking at {repository} on {hub_host()}", 0.0)
    named = f"dataset {repository}" + (f" at the revision {revision}" if revision else "")
    with hub_errors(repository, named):
        known = HfApi(endpoint=os.environ.get("HF_ENDPOINT")).dataset_info(repository, revision=revision)
    names = [sibling.rfilename for sibling in known.siblings or ()]
    commit = known.sha or revision or "main"
    place = folder / repository.rpartition("/")[2]
    chosen = {split: split_files(names, split, config, repository) for split in splits}
    files: dict[str, list[str]] = {}
    for split, remote in chosen.items():
        fetched = [_fetched(repository, name, commit, report) for name in remote]
        targets = _targets(place, split, remote)
        for path, target in zip(fetched, targets, strict=True):
            _copy(path, target)
        files[split] = [str(target) for target in targets]
    pulled = PulledDataset(repository, commit, files)
    _note(pulled, place)
    return pulled


def split_files(names: Sequence[str], split: str, config: str, repository: str) -> list[str]:
    """Return the files of a split, in one format and of one configuration.

    Raises:
        DataError: there is none, or there are several configurations.
    """
    words = "|".join(_WORDS.get(split, (re.escape(split),)))
    word = re.compile(rf"(?i)(?:^|[/._-])(?:{words})(?=[/._-])")
    found = [name for name in names if word.search(name) and PurePosixPath(name).suffix in _FORMATS]
    if config:
        found = [name for name in found if config in re.split(r"[/.]", name)]
    if not found:
        there = sorted(name for name in names if PurePosixPath(name).suffix in _FORMATS)
        raise DataError(
            f"{repository} has no file of the split {split!r}{f' in {config!r}' if config else ''}.",
            hint=f"It has {', '.join(there[:10]) or 'no data file in a format that is read here'}.",
        )
    suffix = next(suffix for suffix in _FORMATS if any(name.endswith(suffix) for name in found))
    found = sorted(name for name in found if name.endswith(suffix))
    folders = sorted({_configuration(name, word) for name in found})
    if len(folders) > 1:
        raise DataError(
            f"{repository} has several configurations of {split!r}: {', '.join(folders)}.",
            hint=f"Name one: --config {folders[0].rpartition('/')[2]}",
        )
    return found


def _configuration(name: str, word: re.Pattern[str]) -> str:
    """Return the folder that a file belongs to, which is not the split's own."""
    parent = PurePosixPath(name).parent
    return str(parent.parent if word.search(f"/{parent.name}/") else parent)


def _fetched(repository: str, name: str, commit: str, report: Progress) -> Path:
    from huggingface_hub import hf_hub_download

    report(f"Downloading {name} from {hub_host()}", 0.0)
    with hub_errors(repository, f"{name} in the dataset {repository}"):
        return Path(
            hf_hub_download(
                repository,
                name,
                repo_type="dataset",
                revision=commit,
                endpoint=os.environ.get("HF_ENDPOINT"),
                tqdm_class=progress_bar(name, report),
            )
        )


def _targets(place: Path, split: str, remote: Sequence[str]) -> list[Path]:
    suffix = PurePosixPath(remote[0]).suffix
    if len(remote) == 1:
        return [place / f"{split}{suffix}"]
    return [place / f"{split}-{number:03}{suffix}" for number in range(1, len(remote) + 1)]


def _copy(path: Path, target: Path) -> None:
    if target.exists() and _digest(target) != _digest(path):
        raise DataError(
            f"{target} is there already, and is another file.",
            hint="Move it away, or pull to another folder.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _note(pulled: PulledDataset, place: Path) -> None:
    digests = {Path(file).name: _digest(Path(file)) for files in pulled.files.values() for file in files}
    known = {key: value for key, value in asdict(pulled).items() if key != "files"}
    before = _noted(place)
    kept = before.get("sha256", {}) if before.get("revision") == pulled.revision else {}
    text = json.dumps({**known, "sha256": {**kept, **digests}}, indent=2)
    (place / SOURCE_FILE).write_text(f"{text}\n", encoding="utf-8")


def _noted(place: Path) -> dict[str, Any]:
    try:
        found = json.loads((place / SOURCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
