"""The part of Ollama's HTTP API that lists, describes and downloads models.

Read from Ollama's `docs/api.md`, `api/types.go` and `server/routes.go` of August 2026. The
`ollama` package isn't enough: its `chat()` can't switch truncation off, and its types drop the fields that
distinguish a remote model from a local one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from engine.ground.closing import Closing
from models.errors import ModelNotFoundError, ServerError
from models.server.addresses import CONNECT_SECONDS, goes_through_proxy
from models.server.error_texts import error_text

DEFAULT_PORT = 11434
OLDEST_VERSION = (0, 12, 6)
"""The first release whose `/api/chat` has a switch against cutting a prompt that is too long."""

LOGPROBS_VERSION = (0, 12, 11)
"""The first release that tells log-probabilities."""

ANSWER_SECONDS = 60.0


def ollama_address(environ: Mapping[str, str] = os.environ) -> str:
    """Return where Ollama answers, from `OLLAMA_HOST` read as Ollama itself reads it."""
    value = environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    default_port = {"http": 80, "https": 443}.get(scheme, DEFAULT_PORT) if separator else DEFAULT_PORT
    netloc, _, path = rest.partition("/")
    if netloc.count(":") > 1 and not netloc.startswith("["):
        netloc = f"[{netloc}]"
    parts = urlsplit(f"{scheme}://{netloc}")
    host = parts.hostname or "127.0.0.1"
    if host in ("0.0.0.0", "::"):  # noqa: S104  # an address to listen on can't be called
        host = "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{parts.port or default_port}/{path}".rstrip("/")


class OllamaApi(Closing):
    """One Ollama server; every call has a timeout and ends in an answer or a `ModelError`."""

    def __init__(self, address: str | None = None, *, seconds: float = ANSWER_SECONDS) -> None:
        self.address = address or ollama_address()
        self._seconds = seconds
        self._http = httpx.Client(
            base_url=self.address,
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            trust_env=goes_through_proxy(self.address),
        )

    def version(self) -> str:
        """Return the server's version, such as `0.12.6`."""
        return str(self._get("/api/version").get("version", ""))

    def models(self) -> list[dict[str, Any]]:
        """Return what `/api/tags` says of every model: name, digest, size, details."""
        return list(self._get("/api/tags").get("models") or [])

    def model(self, name: str) -> dict[str, Any]:
        """Return what `/api/tags` says of one model.

        Raises:
            ModelNotFoundError: the server doesn't have it.
        """
        return listed(self.models(), name, self.address)

    def show(self, name: str) -> dict[str, Any]:
        """Return what `/api/show` says of one model: template, parameters, modelfile, capabilities."""
        return self._post("/api/show", {"model": name})

    def loaded(self, name: str) -> dict[str, Any] | None:
        """Return what `/api/ps` says of one model, or None where it is not in memory."""
        return next(
            (model for model in self.running() if str(model.get("name")).casefold() == name.casefold()), None
        )

    def running(self) -> list[dict[str, Any]]:
        """Return what `/api/ps` says of every model in memory."""
        return list(self._get("/api/ps").get("models") or [])

    def load(self, name: str, body: Mapping[str, Any], timeout_seconds: float) -> None:
        """Load a model into memory; `body` holds the options that would make the next request reload it."""
        timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
        self._post("/api/chat", {"model": name, "messages": [], "stream": False, **body}, timeout=timeout)

    def embed(self, name: str, texts: list[str], timeout_seconds: float) -> httpx.Response:
        """Ask for the vectors of texts, none of which is cut; the answer may say that there are none."""
        timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
        body = {"model": name, "input": texts, "truncate": False}
        with self._errors():
            return self._http.post("/api/embed", json=body, timeout=timeout)

    def unload(self, name: str) -> None:
        """Unload a model after it has answered its requests; its files stay."""
        self._post("/api/chat", {"model": name, "messages": [], "stream": False, "keep_alive": 0})

    def render(self, name: str, messages: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> str | None:
        """Return what the model would read of these messages, or None where the server doesn't say.

        `body` says how the model is loaded, as in `load`: Ollama loads a model before it shows a prompt.
        """
        asked = {
            **body,
            "model": name,
            "messages": list(messages),
            "stream": False,
            "options": {**body["options"], "num_predict": 1},
            "_debug_render_only": True,
        }
        answer = self._post("/api/chat", asked)
        text = (answer.get("_debug_info") or {}).get("rendered_template")
        return text if isinstance(text, str) else None

    def pull(self, name: str) -> Iterator[dict[str, Any]]:
        """Download a model, yielding the server's progress: status, digest, total and completed bytes.

        Raises:
            ServerError: the download failed.
        """
        import ollama  # slow to import, and needed here alone

        client = ollama.Client(
            self.address,
            timeout=httpx.Timeout(self._seconds, connect=CONNECT_SECONDS),
            trust_env=goes_through_proxy(self.address),
        )
        with self._errors():
            last: dict[str, Any] = {}
            try:
                for step in client.pull(name, stream=True):
                    last = step.model_dump(exclude_none=True)
                    yield last
            except ollama.ResponseError as error:
                problem = f"Ollama can't get {name!r}: {error.error.rstrip('.')}."
                raise ServerError(problem, hint="Check the name.") from error
            if last.get("status") != "success":
                raise ServerError(
                    f"The download of {name!r} was cut off.", hint="Start it again; it resumes."
                )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, path: str) -> dict[str, Any]:
        with self._errors():
            return self._read(self._http.get(path))

    def _post(self, path: str, body: dict[str, Any], **how: Any) -> dict[str, Any]:
        with self._errors():
            return self._read(self._http.post(path, json=body, **how))

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_error:
            raise_for_status(response, self.address)
        return read_json(response.text, self.address)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise ServerError(unreachable(self.address), hint=START_HINT) from error
        except httpx.TimeoutException as error:
            problem = f"Ollama at {self.address} doesn't answer in time."
            raise ServerError(problem, hint="It may be loading a model: wait, or restart it.") from error
        except httpx.HTTPError as error:
            raise ServerError(f"The connection to Ollama at {self.address} broke: {error}.") from error


def listed(models: list[dict[str, Any]], name: str, address: str) -> dict[str, Any]:
    """Return what a list of models says of one of them.

    Raises:
        ModelNotFoundError: it isn't in the list.
    """
    for model in models:
        if name.casefold() in (str(model.get("model")).casefold(), str(model.get("name")).casefold()):
            return model
    raise ModelNotFoundError(
        f"Ollama at {address} has no model {name!r}.",
        hint=f"Get it with `promptgrad models pull ollama:{name}`, or see `ollama list`.",
    )


def manifest_digest(listed: dict[str, Any]) -> str:
    """Return the digest that a model's entry in the list has, as a revision writes it."""
    return f"sha256:{str(listed['digest']).removeprefix('sha256:')}"


def is_new_enough(version: str, needed: tuple[int, ...] = OLDEST_VERSION) -> bool:
    """Whether a server of this version can leave prompts uncut; builds from source report 0.0.0."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return numbers == (0, 0, 0) or numbers >= needed


def unreachable(address: str) -> str:
    """Return the sentence for a server that doesn't answer."""
    return f"Ollama doesn't answer at {address}."


START_HINT = "Start it with `ollama serve`, or set OLLAMA_HOST to where it runs."


def read_json(text: str, address: str) -> dict[str, Any]:
    """Return a JSON object that a server sent.

    Raises:
        ServerError: it sent something else; perhaps it isn't Ollama.
    """
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if isinstance(data, dict):
        return data
    raise ServerError(f"{address} doesn't speak Ollama's protocol.", hint="Check OLLAMA_HOST.")


def raise_for_status(response: httpx.Response, address: str) -> NoReturn:
    """Raise what an error answer means."""
    reason = error_text(response.text)
    problem = f"Ollama at {address} answers {response.status_code}: {reason}."
    if response.status_code == httpx.codes.NOT_FOUND:
        raise ModelNotFoundError(problem, hint="See `ollama list`.")
    raise ServerError(problem, hint="Its own log says more: see `ollama serve`.")
