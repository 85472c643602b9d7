"""Models from Hugging Face: downloaded into the hub's own cache, checksummed, resumed if interrupted.

`huggingface_hub` (1.33) starts a file over in every process and leaves the pieces of a killed one behind. So
the bytes are fetched here, by its own `http_get`, into a file that the next try continues; its cache then
finds the file complete and links it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from engine.ground.model import Progress
from models.errors import ModelFileError, ModelNotFoundError, ServerError
from models.gguf.hashing import files_digest
from models.gguf.header import read_header, shard_names

DEFAULT_ENDPOINT = "https://huggingface.co"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def hub_host() -> str:
    """Return the host to download from, `HF_ENDPOINT` or the hub itself."""
    return urlsplit(os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).netloc


def download_model(repository: str, filename: str, report: Progress) -> Path:
    """Return the path of a model's first file in the hub's cache, after downloading what is missing.

    Raises:
        ModelNotFoundError: the hub has no such file, or asks for a login.
        ModelFileError: the download differs from what the hub has.
        ServerError: the hub can't be reached, or the download broke; the next one continues it.
    """
    paths = [_download(repository, name, report) for name in shard_names(filename)]
    for path in paths:
        _check(path, report)
    return paths[0]


def repository_files(repository: str) -> list[str]:
    """Return the names of a model repository's files.

    Raises:
        ModelNotFoundError, ServerError: as `download_model` does.
    """
    from huggingface_hub import HfApi

    with hub_errors(repository, f"model {repository}"):
        found = HfApi(endpoint=os.environ.get("HF_ENDPOINT")).model_info(repository)
        return [sibling.rfilename for sibling in found.siblings or ()]


def _download(repository: str, filename: str, report: Progress) -> Path:
    from huggingface_hub import hf_hub_download

    report(f"Downloading {filename} from {hub_host()}", 0.0)
    with hub_errors(repository, f"{filename} in {repository}"):
        _fetch(repository, filename, report)
        bar = progress_bar(filename, report)
        endpoint = os.environ.get("HF_ENDPOINT")
        return Path(hf_hub_download(repository, filename, endpoint=endpoint, tqdm_class=bar))


@contextmanager
def hub_errors(repository: str, what: str) -> Iterator[None]:
    """Say what went wrong with the hub in words for a person; `what` is asked for.

    Raises:
        ModelNotFoundError, ServerError: in place of the hub's own errors.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        hint = "Accept its terms on its page, then set HF_TOKEN."
        raise ModelNotFoundError(f"{repository} asks for a login.", hint=hint) from error
    except errors.OfflineModeIsEnabled as error:
        hint = "Unset it, and TRANSFORMERS_OFFLINE, to download."
        raise ServerError("HF_HUB_OFFLINE forbids downloads from the hub.", hint=hint) from error
    except (errors.LocalEntryNotFoundError, httpx.ConnectError) as error:
        raise ServerError(
            "The hub can't be reached.", hint="Check the connection, then start again."
        ) from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.EntryNotFoundError,
    ) as error:
        hint = "Check the name on its page, under Files."
        raise ModelNotFoundError(f"The hub has no {what}.", hint=hint) from error
    except (errors.HfHubHTTPError, httpx.HTTPError, OSError) as error:
        problem = f"The download of {what} failed: {error}."
        raise ServerError(problem, hint="Start it again; it resumes where it ended.") from error


def _fetch(repository: str, filename: str, report: Progress) -> None:
    """Download a file's bytes to where the hub's cache looks for them, continuing a broken download."""
    from huggingface_hub import constants, file_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]

    if isinstance(try_to_load_from_cache(repository, filename), str):
        return
    url = hf_hub_url(repository, filename, endpoint=os.environ.get("HF_ENDPOINT"))
    headers = build_hf_headers()
    known = file_download.get_hf_file_metadata(url, headers=headers)
    etag, size = known.etag or "", known.size or 0
    if not _SHA256.fullmatch(etag) or not 0 < size <= constants.MAX_HTTP_DOWNLOAD_SIZE:
        return  # files without a checksum, or too large for this way, are left to the hub's own download
    cache = Path(constants.HF_HUB_CACHE)
    folder = file_download.repo_folder_name(repo_id=repository, repo_type="model")
    blob, lock = cache / folder / "blobs" / etag, cache / ".locks" / folder / f"{etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not blob.exists():
            partial = blob.with_name(f"{etag}.incomplete")
            if partial.exists() and partial.stat().st_size > size:
                partial.unlink()
            with partial.open("ab") as file:
                file_download.http_get(
                    url,
                    file,
                    resume_size=file.tell(),
                    headers=headers,
                    expected_size=size,
                    displayed_filename=filename,
                    tqdm_class=progress_bar(filename, report),
                )
            partial.replace(blob)


def _check(path: Path, report: Progress) -> None:
    """Compare a file's hash with the one that the hub reported, which is its name in the cache."""
    expected = path.resolve().name
    read_header(path)
    if not _SHA256.fullmatch(expected):
        return  # a small file, which the hub keeps in git: its name isn't a sha256 of its bytes
    if files_digest([path], on_progress=report) != f"sha256:{expected}":
        path.resolve().unlink()
        raise ModelFileError(f"{path.name} arrived damaged and was removed.", hint="Download it again.")


def progress_bar(filename: str, report: Progress) -> Any:
    """Return a progress bar class for the hub that calls `report` instead of drawing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            quiet = {**kwargs, "disable": False, "file": io.StringIO()}
            super().__init__(*args, **quiet)  # type: ignore[no-untyped-call]

        def display(self, *_args: Any, **_kwargs: Any) -> bool:
            total = self.total or 0
            of = f", {self.n / 1e9:.2f} of {total / 1e9:.2f} GB" if total else ""
            report(f"Downloading {filename}{of}", min(self.n / total, 1.0) if total else 0.0)
            return True

    return Reporter
