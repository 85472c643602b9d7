"""Downloads of models: with `ollama pull`, the only thing here that reaches out, and only when asked to."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import httpx

from models.errors import ModelFileError, ModelNotFoundError, ModelUriError, ServerError
from models.gguf_header import read_header, shard_names
from models.hashing import files_digest
from models.local import Progress
from models.ollama_api import OllamaApi

FORMS = "Use ollama:NAME or hf:OWNER/REPO/FILE.gguf."

_SHA256 = re.compile(r"[0-9a-f]{64}")


def pull_model(source: str, *, on_progress: Progress | None = None) -> str:
    """Download a model and return the URI that opens it; an interrupted download is resumed.

    `source` is `ollama:NAME`, which the Ollama server fetches, or `hf:OWNER/REPO/FILE.gguf`, which goes into
    the hub's cache on this machine; of a model in shards, any one shard stands for all.

    Raises:
        ModelUriError: the source can't be read.
        ModelNotFoundError: there is no such model.
        ModelFileError: what arrived is not what the hub has.
        ServerError: the hub or the Ollama server can't be reached.
    """
    report = on_progress or (lambda _sentence, _fraction: None)
    scheme, _, name = source.strip().partition(":")
    if scheme == "ollama" and name:
        return _pull_from_ollama(name, report)
    if scheme == "hf" and name.count("/") >= 2 and name.endswith(".gguf"):
        owner, repository, filename = name.split("/", 2)
        return _pull_from_hub(f"{owner}/{repository}", filename, report)
    raise ModelUriError(f"{source!r} can't be downloaded.", hint=FORMS)


def _pull_from_ollama(name: str, report: Progress) -> str:
    with OllamaApi() as api:
        for step in api.pull(name):
            total = step.get("total") or 0
            report(
                f"Ollama: {step.get('status', '')}", (step.get("completed") or 0) / total if total else 0.0
            )
    return f"ollama:{name}"


def _pull_from_hub(repository: str, filename: str, report: Progress) -> str:
    paths = [_download(repository, name, report) for name in shard_names(filename)]
    for path in paths:
        _check(path, report)
    return f"gguf:{paths[0]}"


def _download(repository: str, filename: str, report: Progress) -> Path:
    """Return where a file of the hub lies in its cache, after fetching what is missing of it."""
    from huggingface_hub import errors, hf_hub_download

    report(f"Downloading {filename} from huggingface.co", 0.0)
    try:
        bar = _progress_bar(filename, report)
        endpoint = os.environ.get("HF_ENDPOINT")
        return Path(hf_hub_download(repository, filename, endpoint=endpoint, tqdm_class=bar))
    except errors.GatedRepoError as error:
        hint = "Accept its terms on its page, then set HF_TOKEN."
        raise ModelNotFoundError(f"{repository} asks for a login.", hint=hint) from error
    except errors.LocalEntryNotFoundError as error:
        raise ServerError(
            "The hub can't be reached.", hint="Check the connection, then start again."
        ) from error
    except (errors.RepositoryNotFoundError, errors.EntryNotFoundError) as error:
        problem = f"The hub has no {filename} in {repository}."
        raise ModelNotFoundError(problem, hint="Check the name on the model's page, under Files.") from error
    except (errors.HfHubHTTPError, httpx.HTTPError, OSError) as error:
        problem = f"The download of {filename} failed: {error}."
        raise ServerError(problem, hint="Start it again; it resumes where it ended.") from error


def _check(path: Path, report: Progress) -> None:
    """Compare a file's hash to the one that the hub gave it, which is its name in the cache."""
    expected = path.resolve().name
    read_header(path)
    if not _SHA256.fullmatch(expected):
        return  # a small file, which the hub keeps in git: its name there is no sha256 of its bytes
    if files_digest([path], on_progress=report) != f"sha256:{expected}":
        path.resolve().unlink()
        raise ModelFileError(f"{path.name} arrived damaged and was removed.", hint="Download it again.")


def _progress_bar(filename: str, report: Progress) -> Any:
    """Return a progress bar class, as the hub wants one, that draws nothing and reports."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            quiet = {**kwargs, "disable": False, "file": io.StringIO()}
            super().__init__(*args, **quiet)  # type: ignore[no-untyped-call]

        def display(self, *_args: Any, **_kwargs: Any) -> bool:
            report(f"Downloading {filename}", min(self.n / self.total, 1.0) if self.total else 0.0)
            return True

    return Reporter
