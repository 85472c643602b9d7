"""Which exact model an Ollama server means by a name; needs no DSPy."""

from __future__ import annotations

import re
from typing import Any

from engine.ground.revision import ModelRevision, sha256_of
from models.errors import CHOOSE_ANOTHER, ModelError
from models.ollama.api import OllamaApi, manifest_digest

BLOB = re.compile(r"^FROM\s+(.*sha256[-:]([0-9a-f]{64}))\s*$", re.MULTILINE)
"""The line of a Modelfile that names the weights: their path, and their hash."""


def ollama_revision(name: str) -> ModelRevision:
    """Return what a model of an Ollama server is now, without bringing it into the server's memory.

    Raises:
        ServerError: the server is down.
        ModelNotFoundError: the server doesn't have the model.
        ModelError: it runs in a cloud.
    """
    with OllamaApi() as api:
        return read_revision(api, name, api.version())[0]


def read_revision(api: OllamaApi, name: str, version: str) -> tuple[ModelRevision, dict[str, Any]]:
    """Return a model's identity, and what `/api/show` says of it, with the time when its name was written.

    Raises:
        ModelNotFoundError: the server doesn't have the model.
        ModelError: it runs in a cloud, so that nobody here can say what it is.
    """
    listed, shown = api.model(name), api.show(name)
    if listed.get("remote_model") or shown.get("remote_model"):
        raise ModelError(
            f"{name} runs at {shown.get('remote_host') or listed.get('remote_host') or 'a cloud'}, not here.",
            hint="Choose a model that Ollama holds itself; see `ollama list`.",
        )
    capabilities = shown.get("capabilities")
    if capabilities and "completion" not in capabilities:
        raise ModelError(
            f"{name} can't be used here: it writes no text, only {', '.join(capabilities)}.",
            hint=CHOOSE_ANOTHER,
        )
    template, blob = shown.get("template"), BLOB.search(shown.get("modelfile") or "")
    revision = ModelRevision(
        kind="ollama",
        digest=manifest_digest(listed),
        template_digest=sha256_of(template) if template else None,
        name=name,
        weights_digest=f"sha256:{blob[2]}" if blob else None,
        engine=f"ollama {version}",
    )
    return revision, {**shown, "modified_at": str(listed.get("modified_at"))}
