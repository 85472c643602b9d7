"""Models as the hub names them: OWNER/REPO, with a quantization or a file, and where they lie on a disk."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelUriError

FORMS = "Write hf:OWNER/REPO, hf:OWNER/REPO:Q4_K_M or hf:OWNER/REPO/FILE.gguf."
USUAL_QUANTIZATION = "Q4_K_M"
"""What is taken if none is named, as llama.cpp and Ollama do."""

_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+?)(:(?P<quantization>[\w.-]+)|/(?P<file>.+\.gguf))?")
_QUANTIZATION = re.compile(r"(?i)(?:^|[-._])((?:UD-)?(?:I?Q\d\w*|BF16|F16|F32|MXFP4\w*))(?=[-.]|$)")
_SHARD = re.compile(r"-(\d{5})-of-\d{5}\.gguf$")
_NO_MODEL = re.compile(r"(?i)mmproj|imatrix|-lora|adapter")


@dataclass(frozen=True)
class HubName:
    """A model of the hub; without a file, the one of a quantization, by default the usual one."""

    repository: str
    quantization: str = ""
    file: str = ""

    @classmethod
    def of(cls, name: str) -> HubName:
        """Read what follows `hf:`.

        Raises:
            ModelUriError: it isn't a name of the hub.
        """
        found = _NAME.fullmatch(name.strip())
        if found is None or ".." in name or found["repository"].endswith(".gguf"):
            raise ModelUriError(f"{name!r} isn't a model of the hub.", hint=FORMS)
        return cls(found["repository"], found["quantization"] or "", found["file"] or "")

    def __str__(self) -> str:
        named = f":{self.quantization}" if self.quantization else f"/{self.file}" if self.file else ""
        return f"hf:{self.repository}{named}"

    def chosen(self, files: Iterable[str]) -> str:
        """Return which of a repository's files is meant: the first shard, if it has several.

        Raises:
            ModelUriError: none is, or it can't be told which; the hint names the quantizations.
        """
        models = sorted(name for name in files if name.endswith(".gguf") and not _NO_MODEL.search(name))
        models = [name for name in models if (shard := _SHARD.search(name)) is None or int(shard[1]) == 1]
        if self.file:
            return self.file
        wanted = self.quantization or USUAL_QUANTIZATION
        fitting = [name for name in models if quantization_of(name).casefold() == wanted.casefold()]
        if not self.quantization and not fitting:
            fitting = models if len(models) == 1 else []
        if not models:
            raise ModelUriError(
                f"{self.repository} has no GGUF file.", hint="Look for a repository that has."
            )
        if not fitting:
            raise ModelUriError(f"{self.repository} has no {wanted}.", hint=f"It has {_listed(models)}.")
        return fitting[0]


def quantization_of(filename: str) -> str:
    """Return the quantization that a file's name spells, or nothing."""
    found = _QUANTIZATION.findall(_SHARD.sub("", filename).rpartition("/")[2].removesuffix(".gguf"))
    return found[-1] if found else ""


def _listed(models: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(quantization_of(name) or name for name in models))


def hub_cache(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """Return the folder of the hub's cache."""
    root = Path(environ.get("HF_HOME") or (home or Path.home()) / ".cache" / "huggingface")
    return Path(environ.get("HF_HUB_CACHE") or root / "hub").expanduser()


def llama_caches(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> list[Path]:
    """Return the folders in which llama.cpp keeps what it downloads."""
    if environ.get("LLAMA_CACHE"):
        return [Path(environ["LLAMA_CACHE"]).expanduser()]
    home = home or Path.home()
    base = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return [base / "llama.cpp"]


def cached_file(
    name: HubName, *, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Path | None:
    """Return the file of a model that the hub's cache, llama.cpp or LM Studio has on this machine."""
    for files in _places(name, environ, home):
        if name.file:
            found = files.get(name.file)
        else:
            try:
                found = files[name.chosen(files)]
            except ModelUriError:
                found = None
        if found is not None:
            return found
    return None


def _places(name: HubName, environ: Mapping[str, str], home: Path | None) -> Iterator[dict[str, Path]]:
    """Yield the files of a repository at each place, by their names in it."""
    owner, _, repository = name.repository.partition("/")
    folder = hub_cache(environ, home) / f"models--{owner}--{repository}"
    for snapshot in _snapshots(folder):
        yield {path.relative_to(snapshot).as_posix(): path for path in snapshot.rglob("*.gguf")}
    for cache in llama_caches(environ, home):
        prefix = f"{owner}_{repository}_"
        yield {path.name.removeprefix(prefix): path for path in cache.glob(f"{prefix}*.gguf")}
    for models in lm_studio_folders(home):
        place = models / owner / repository
        yield {path.relative_to(place).as_posix(): path for path in place.rglob("*.gguf")}


def _snapshots(folder: Path) -> list[Path]:
    """Return a cached repository's snapshots, the one of its main branch first, then the newest."""
    snapshots = sorted((folder / "snapshots").glob("*"), key=lambda path: -path.stat().st_mtime)
    main = folder / "refs" / "main"
    commit = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
    return sorted(snapshots, key=lambda path: path.name != commit)


def lm_studio_folders(home: Path | None = None) -> list[Path]:
    """Return where LM Studio keeps its models: its usual folders, and the one in its settings."""
    import json

    home = home or Path.home()
    folders = [home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"]
    for settings in (home / ".lmstudio" / "settings.json", home / ".cache" / "lm-studio" / "settings.json"):
        try:
            chosen = json.loads(settings.read_text(encoding="utf-8")).get("downloadsFolder")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(chosen, str) and chosen and Path(chosen) not in folders:
            folders.append(Path(chosen))
    return folders
