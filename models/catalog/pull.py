"""Downloads of models; nothing else here reaches out, and this only on request."""

from __future__ import annotations

from engine.ground.model import Progress
from models.errors import ModelUriError
from models.hub_names import HubName
from models.ollama.api import OllamaApi, ollama_address

FORMS = "Use ollama:NAME, hf:OWNER/REPO, hf:OWNER/REPO:QUANT or hf:OWNER/REPO/FILE.gguf."


def pull_model(source: str, *, on_progress: Progress | None = None) -> str:
    """Download a model and return the URI that opens it; an interrupted download is resumed.

    `source` is `ollama:NAME`, which the Ollama server fetches, or `hf:OWNER/REPO`, which goes into the hub's
    cache on this machine: a file of it, `/FILE.gguf`, for a model in shards any of them, or a quantization,
    `:QUANT`, by default Q4_K_M.

    Raises:
        ModelUriError: the source can't be read.
        ModelNotFoundError: there is no such model.
        ModelFileError: the download differs from what the hub has.
        ServerError: the hub or the Ollama server can't be reached.
    """
    report = on_progress or (lambda _sentence, _fraction: None)
    scheme, name = _parts(source)
    if scheme == "ollama":
        return _pull_from_ollama(name, report)
    from models.catalog.hub import download_model, repository_files

    wanted = HubName.of(name)
    filename = wanted.file or wanted.chosen(repository_files(wanted.repository))
    return f"gguf:{download_model(wanted.repository, filename, report)}"


def reaches(source: str) -> str:
    """Return the name of the host that a model is downloaded from, so that a person can agree to it.

    Raises:
        ModelUriError: the source can't be read.
    """
    scheme, name = _parts(source)
    if scheme == "hf":
        from models.catalog.hub import hub_host

        return hub_host()
    first, slash, _ = name.partition("/")
    registry = first if slash and "." in first else "registry.ollama.ai"
    return f"{registry}, through Ollama at {ollama_address()}"


def _parts(source: str) -> tuple[str, str]:
    """Split a source into its kind, `ollama` or `hf`, and the name after it."""
    scheme, _, name = source.strip().partition(":")
    if scheme == "ollama" and name and not any(map(str.isspace, name)):
        return scheme, name
    if scheme == "hf":
        HubName.of(name)
        return scheme, name
    raise ModelUriError(f"{source!r} can't be downloaded.", hint=FORMS)


def _pull_from_ollama(name: str, report: Progress) -> str:
    with OllamaApi() as api:
        for step in api.pull(name):
            done, total = step.get("completed") or 0, step.get("total") or 0
            of = f", {done / 1e9:.2f} of {total / 1e9:.2f} GB" if total else ""
            report(f"Ollama: {step.get('status', '')}{of}", done / total if total else 0.0)
    return f"ollama:{name}"
