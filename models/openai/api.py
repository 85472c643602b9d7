"""What OpenAI-compatible servers say about their models; this needs no DSPy."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self
from urllib.parse import quote

import httpx

from engine.ground.revision import ModelRevision, sha256_of
from models.errors import ModelError, ModelNotFoundError, ServerError
from models.server.addresses import goes_through_proxy
from models.uri import OpenAIUri

API_KEY = "PROMPTGRAD_API_KEY"
"""The environment variable with the servers' key; OPENAI_API_KEY is another company's and is never sent."""

QUESTION_SECONDS = 10.0


@dataclass(frozen=True)
class ServerAnswers:
    """What a server says about one model."""

    endpoint: str
    model: dict[str, Any]
    """Its entry in `/v1/models`."""
    props: dict[str, Any]
    """llama-server's `/props`; empty for others."""

    @property
    def revision(self) -> ModelRevision:
        """The model as the server describes it; no such server gives a hash."""
        named = {key: self.model.get(key) for key in ("id", "root", "owned_by")}
        weights = {key: value for key, value in (self.model.get("meta") or {}).items() if key != "n_ctx"}
        description = json.dumps([named, weights, self.props.get("model_path")], sort_keys=True)
        template = self.props.get("chat_template")
        return replace(
            ModelRevision.unverified("openai", str(self.model["id"]), description),
            template_digest=sha256_of(template) if template else None,
            engine=str(self.props.get("build_info") or self.model.get("owned_by") or ""),
        )

    @property
    def context_length(self) -> int | None:
        """Tokens that a prompt and its answer may have together, if the server says so."""
        slot = (self.props.get("default_generation_settings") or {}).get("n_ctx")
        meta = (self.model.get("meta") or {}).get("n_ctx")
        told = (slot, meta, self.model.get("max_model_len"), self.model.get("loaded_context_length"))
        length = next(filter(None, told), None) or self._started_with("--ctx-size", "-c")
        return int(length) if length else None

    @property
    def continues_answers(self) -> bool:
        """Whether it is known to continue an answer that has begun, and to tell log-probabilities."""
        return self.model.get("owned_by") in ("llamacpp", "vllm")

    @property
    def is_loaded(self) -> bool | None:
        """Whether the model is in memory, where a server says so: a router, or LM Studio."""
        status = self.model.get("status")
        state = status.get("value") if isinstance(status, dict) else self.model.get("state")
        return state == "loaded" if state else None

    @property
    def describes_model(self) -> bool:
        """Whether the server says enough for a revision: a router does once the model is loaded."""
        return bool(self.model.get("meta")) or not isinstance(self.model.get("status"), dict)

    def _started_with(self, *options: str) -> str | None:
        """Return the value of a command-line option that a router gives to the model's process."""
        status = self.model.get("status")
        arguments = list(status.get("args") or ()) if isinstance(status, dict) else []
        pairs = pairwise(arguments)
        return next((value for name, value in pairs if name in options and value.isdigit()), None)

    @property
    def takes_schema_in_json_object(self) -> bool:
        """Whether it is `llama_cpp.server`, which knows `json_object` with a schema but not `json_schema`."""
        return self.model.get("owned_by") == "me"


class OpenAIServers:
    """The servers of one model, to be asked what they serve; connections are kept between questions."""

    def __init__(self, target: OpenAIUri, seconds: float = QUESTION_SECONDS) -> None:
        self._target = target
        self._clients = {endpoint: client(endpoint, seconds) for endpoint in target.endpoints}
        self._absent: set[str] = set()

    def ask(self, *, load_seconds: float | None = None) -> ServerAnswers:
        """Return what the servers tell about the model.

        A server that loads models when they are wanted tells about one only once it is loaded. With
        `load_seconds` it may take as long to load it; without, what it doesn't tell is left open.

        Raises:
            ServerError: none of them answers, or two describe different models.
            ModelNotFoundError: one of them doesn't have it.
        """
        answers: list[ServerAnswers] = []
        problems: list[str] = []
        for endpoint, http in self._clients.items():
            try:
                answers.append(_ask(http, endpoint, self._target.name, load_seconds, self._absent))
            except ServerError as error:
                problems.append(error.message)
        if not answers:
            raise ServerError(
                " ".join(problems), hint="Start the server, or correct the address in the model's URI."
            )
        for other in answers[1:]:
            if other.revision != answers[0].revision:
                raise ServerError(
                    f"{answers[0].endpoint} and {other.endpoint} describe {self._target.name!r} differently.",
                    hint="All endpoints of one URI must serve the same file with the same template.",
                )
        return answers[0]

    def chat(self, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the first server's answer to what is posted to `/chat/completions`.

        Raises:
            ServerError: none of them gives one now.
            ModelError: one of them refuses the request.
        """
        problem, asked = "", {"model": self._target.name, **body}
        for endpoint, http in self._clients.items():
            try:
                response = http.post(f"{endpoint}/chat/completions", json=asked, timeout=seconds)
                if response.is_client_error:
                    raise ModelError(f"{endpoint} answers {response.status_code}: {response.text[:300]}")
                response.raise_for_status()
                answer: dict[str, Any] = response.json()
                return answer
            except (httpx.HTTPError, ValueError) as error:
                problem = f"{endpoint} gives no answer: {error}"
        raise ServerError(problem)

    def close(self) -> None:
        """Close the connections."""
        for http in self._clients.values():
            http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask_all(
    target: OpenAIUri, *, seconds: float = QUESTION_SECONDS, load_seconds: float | None = None
) -> ServerAnswers:
    """Return what the servers tell about the model, as `OpenAIServers.ask` does."""
    with OpenAIServers(target, seconds) as servers:
        return servers.ask(load_seconds=load_seconds)


def served_names(endpoint: str, *, seconds: float = QUESTION_SECONDS) -> list[str]:
    """Return the names of all models that a server serves.

    Raises:
        ServerError: it doesn't answer, wants a key, or speaks another protocol.
    """
    with client(endpoint, seconds) as http:
        return [str(entry.get("id")) for entry in _served(http, endpoint)]


def _ask(
    http: httpx.Client, endpoint: str, name: str, load_seconds: float | None, absent: set[str]
) -> ServerAnswers:
    """Return what one server tells; it isn't asked again for the addresses in `absent`, which grows."""
    root = root_of(endpoint)
    entry = _entry(http, endpoint, name)
    props_of, how = f"{root}/props", dict[str, Any]()
    is_router = isinstance(entry.get("status"), dict)
    if is_router:  # llama-server without a model of its own: it starts one for each name
        props_of += f"?model={quote(name, safe='')}&autoload={'true' if load_seconds else 'false'}"
        how = {"timeout": load_seconds} if load_seconds else {}
    props = read_object(http, "GET", props_of, absent=absent, **how)
    if is_router and load_seconds:
        entry = _entry(http, endpoint, name)
    details_of = f"{root}/api/v0/models/{name}"  # LM Studio's
    details = read_object(http, "GET", details_of, absent=absent)
    if details.get("state") == "not-loaded" and load_seconds:
        hello = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        read_object(http, "POST", f"{endpoint}/chat/completions", json=hello, timeout=load_seconds)
        details = read_object(http, "GET", details_of)
    return ServerAnswers(endpoint, {**details, **entry}, props)


def _entry(http: httpx.Client, endpoint: str, name: str) -> dict[str, Any]:
    """Return what a server's list says of a model.

    Raises:
        ModelNotFoundError: it isn't in the list.
    """
    served = _served(http, endpoint)
    for entry in served:
        if name == entry.get("id") or name in (entry.get("aliases") or ()):
            return entry
    known = ", ".join(str(entry.get("id")) for entry in served[:10]) or "nothing"
    raise ModelNotFoundError(f"{endpoint} has no model {name!r}.", hint=f"It serves: {known}.")


def _served(http: httpx.Client, endpoint: str) -> list[dict[str, Any]]:
    try:
        response = http.get(f"{endpoint}/models")
    except httpx.HTTPError as error:
        raise ServerError(f"{endpoint} doesn't answer: {error}.") from error
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ServerError(f"{endpoint} wants a key: set {API_KEY} in the environment.")
    served = _entries(response)
    if served is None:
        raise ServerError(f"{endpoint} doesn't speak OpenAI's protocol (HTTP {response.status_code}).")
    return served


def client(endpoint: str, seconds: float = QUESTION_SECONDS) -> httpx.Client:
    """Return a client for a server, with the key of the environment."""
    return httpx.Client(
        timeout=seconds,
        headers=authorization(),
        trust_env=goes_through_proxy(endpoint),
        verify=not endpoint.startswith("http://"),  # certificates take a tenth of a second to read
    )


def authorization() -> dict[str, str]:
    """Return the header that brings the key of the environment, if there is one."""
    key = os.environ.get(API_KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}


def _entries(response: httpx.Response) -> list[dict[str, Any]] | None:
    try:
        data = response.json()["data"]
    except (ValueError, KeyError, TypeError):
        return None
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else None


def read_object(
    http: httpx.Client, method: str, url: str, *, absent: set[str] | None = None, **how: Any
) -> dict[str, Any]:
    """Return a JSON object from an address that only some servers have, or an empty one.

    One that isn't there is added to `absent`, and not asked for again.
    """
    if absent is not None and url in absent:
        return {}
    try:
        response = http.request(method, url, **how)
        if absent is not None and response.status_code == httpx.codes.NOT_FOUND:
            absent.add(url)
        data = response.json() if response.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def root_of(endpoint: str) -> str:
    """Return a server's address without the `/v1` of OpenAI's protocol."""
    return endpoint.removesuffix("/v1")
