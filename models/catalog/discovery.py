"""The models on this machine, in the usual places; nothing is loaded, nothing is sent."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from models.catalog.found import FoundModel
from models.catalog.served import served_models
from models.demo import demo_model_path
from models.errors import ModelError, ModelUriError
from models.gguf.hashing import cached_digest
from models.gguf.header import SHARD, GGUFHeader, read_header, shards
from models.gguf.memory import available_bytes, needed_bytes
from models.hub_names import hub_cache, llama_caches, lm_studio_folders
from models.speed.throughput import recall
from models.uri import GGUFUri, ModelUri, OllamaUri, OpenAIUri, file_of, parse_uri

WEIGHTS_LAYER = "application/vnd.ollama.image.model"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PASSED_OVER = {"node_modules", "__pycache__", "site-packages", "artifacts"}


def find_models(
    project_dir: Path | None = None,
    configured: Sequence[str] = (),
    *,
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
) -> list[FoundModel]:
    """Return every model in the usual places, each file once, and those that a project's URIs name.

    A missing model of `configured` is listed too, with its problem.
    """
    home = home or Path.home()
    targets = {uri: _target(uri, project_dir) for uri in configured}
    files = [(uri, target.path) for uri, target in targets.items() if isinstance(target, GGUFUri)]
    seen: set[Path] = set()
    models: list[FoundModel] = []
    named = [("configured", path.stem, path, None) for _, path in files]
    for place, name, path, digest in [*_files(project_dir, environ, home), *named]:
        real = path.resolve()
        if real not in seen:
            seen.add(real)
            model = _describe(place, name, path, digest)
            models += [model] if model else []
    wrong = [
        FoundModel(uri, uri, "configured", problem=target.message)
        for uri, target in targets.items()
        if isinstance(target, ModelUriError)
    ]
    servers = [target for target in targets.values() if isinstance(target, OllamaUri | OpenAIUri)]
    return [*models, *served_models(servers, environ), *wrong]


def _target(uri: str, project_dir: Path | None) -> ModelUri | ModelUriError:
    try:
        target = parse_uri(uri, project_dir)
        if isinstance(target, GGUFUri):
            file_of(target)
    except ModelUriError as error:
        return error
    return target


_File = tuple[str, str, Path, str | None]
"""Place, name, path, and the digest if the place knows it."""


def _files(project_dir: Path | None, environ: Mapping[str, str], home: Path) -> Iterator[_File]:
    yield from _demo()
    if project_dir:
        yield from _folder("project", project_dir)
    for entry in filter(None, environ.get("PROMPTGRAD_MODELS", "").split(os.pathsep)):
        yield from _folder("PROMPTGRAD_MODELS", Path(entry).expanduser())
    for folder in lm_studio_folders(home):
        yield from _folder("LM Studio", folder)
    yield from _hub(environ, home)
    for folder in llama_caches(environ, home):
        yield from _folder("llama.cpp", folder)
    yield from _ollama_store(environ, home)


def _demo() -> Iterator[_File]:
    if demo_model_path().exists():
        yield "demo", "demo", demo_model_path(), None


def _folder(place: str, folder: Path) -> Iterator[_File]:
    """Yield the GGUF files in a folder; a path to a file yields that file."""
    if folder.is_file():
        yield place, folder.stem, folder, None
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _PASSED_OVER)
        for path in _first_shards(Path(parent) / name for name in sorted(files)):
            yield place, path.stem, path, None


def _hub(environ: Mapping[str, str], home: Path) -> Iterator[_File]:
    """Yield the files in the hub's cache, where blobs are named after their hash."""
    cache = hub_cache(environ, home)
    for path in _first_shards(sorted(cache.glob("models--*/snapshots/*/**/*.gguf"))):
        repository = path.relative_to(cache).parts[0].removeprefix("models--").replace("--", "/")
        blob = path.resolve().name
        known = f"sha256:{blob}" if _DIGEST.fullmatch(blob) and not SHARD.search(path.name) else None
        yield "Hugging Face", f"{repository}/{path.name}", path, known


def _ollama_store(environ: Mapping[str, str], home: Path) -> Iterator[_File]:
    """Yield the weights in Ollama's store: they are GGUF files and can run in process."""
    own = Path(environ.get("OLLAMA_MODELS") or home / ".ollama" / "models").expanduser()
    service = Path("/usr/share/ollama/.ollama/models")
    for store in (own, service) if "OLLAMA_MODELS" not in environ else (own,):
        manifests = store / "manifests"
        for manifest in sorted(path for path in manifests.glob("*/*/*/*") if path.is_file()):
            host, owner, name, tag = manifest.relative_to(manifests).parts
            prefix = "" if (host, owner) == ("registry.ollama.ai", "library") else f"{owner}/"
            prefix = prefix if host == "registry.ollama.ai" else f"{host}/{owner}/"
            for digest in _weights(manifest):
                blob = store / "blobs" / digest.replace(":", "-")
                if os.access(blob, os.R_OK):
                    yield "Ollama", f"{prefix}{name}:{tag}", blob, digest


def _weights(manifest: Path) -> list[str]:
    """Return the digests of a manifest's weights; none for a model that runs in a cloud."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        layers = json.loads(manifest.read_text(encoding="utf-8")).get("layers") or []
        digests = [str(layer["digest"]) for layer in layers if layer.get("mediaType") == WEIGHTS_LAYER]
        return [digest for digest in digests if _DIGEST.fullmatch(digest.removeprefix("sha256:"))]
    return []


def _first_shards(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        shard = SHARD.search(path.name)
        if path.suffix == ".gguf" and (not shard or int(shard[1]) == 1):
            yield path


def _describe(place: str, name: str, path: Path, digest: str | None) -> FoundModel | None:
    """Return what is known about a file, or None if it is only a part of a model."""
    uri = "demo" if place == "demo" else f"gguf:{path}"
    try:
        header = read_header(path)
        files = shards(path)
    except ModelError as error:
        return FoundModel(uri, name, place, problem=error.message)
    if not (header.is_language_model or header.makes_images):
        return None
    size = sum(file.stat().st_size for file in files)
    needed = needed_bytes(header, size)
    revision = digest or cached_digest(path)
    return FoundModel(
        uri=uri,
        name=name,
        place=place,
        size=size,
        files=len(files),
        architecture=header.architecture,
        quantization=header.quantization,
        parameters=_parameters(header, files),
        context_length=header.context_length,
        has_template=header.chat_template is not None,
        revision=revision,
        needed=needed,
        fits=needed <= available_bytes(),
        throughput=recall(revision, ""),
        problem=f"It can't be used: {header.unable}." if header.unable else "",
    )


def _parameters(header: GGUFHeader, files: list[Path]) -> str:
    """Return the number of weights as people write it; a shard knows only its own part."""
    if len(files) > 1:
        return ""
    count = header.parameter_count
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.1f}M"
