"""What OpenAI-compatible servers say about their models; this needs no DSPy."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any

import httpx

from engine.ground.revision import ModelRevision, sha256_of
from models.errors import ModelNotFoundError, ServerError
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
        length = slot or self.model.get("max_model_len") or self.model.get("loaded_context_length")
        return int(length) if length else None

    @property
    def takes_schema_in_json_object(self) -> bool:
        """Whether it is `llama_cpp.server`, which knows `json_object` with a schema but not `json_schema`."""
        return self.model.get("owned_by") == "me"


def ask_all(target: OpenAIUri, *, seconds: float = QUESTION_SECONDS) -> ServerAnswers:
    """Return what the servers say about the model; each has `seconds` to answer.

    Raises:
        ServerError: none of them answers, or two describe different models.
        ModelNotFoundError: one of them doesn't have it.
    """
    answers: list[ServerAnswers] = []
    problems: list[str] = []
    for endpoint in target.endpoints:
        try:
            answers.append(_ask(endpoint, target.name, seconds))
        except ServerError as error:
            problems.append(error.message)
    if not answers:
        raise ServerError(
            " ".join(problems), hint="Start the server, or correct the address in the model's URI."
        )
    for other in answers[1:]:
        if other.revision != answers[0].revision:
            raise ServerError(
                f"{answers[0].endpoint} and {other.endpoint} describe {target.name!r} differently.",
                hint="All endpoints of one URI must serve the same file with the same template.",
            )
    return answers[0]


def served_names(endpoint: str, *, seconds: float = QUESTION_SECONDS) -> list[str]:
    """Return the names of all models that a server serves.

    Raises:
        ServerError: it doesn't answer, wants a key, or speaks another protocol.
    """
    with client(endpoint, seconds) as http:
        return [str(entry.get("id")) for entry in _served(http, endpoint)]


def _ask(endpoint: str, name: str, seconds: float) -> ServerAnswers:
    with client(endpoint, seconds) as http:
        served = _served(http, endpoint)
        model = next((entry for entry in served if entry.get("id") == name), None)
        if model is None:
            known = ", ".join(str(entry.get("id")) for entry in served[:10]) or "nothing"
            raise ModelNotFoundError(f"{endpoint} has no model {name!r}.", hint=f"It serves: {known}.")
        props = read_object(http, "GET", f"{root_of(endpoint)}/props")
        details = read_object(http, "GET", f"{root_of(endpoint)}/api/v0/models/{name}")  # LM Studio
        return ServerAnswers(endpoint, {**details, **model}, props)


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
    return httpx.Client(timeout=seconds, headers=authorization(), trust_env=goes_through_proxy(endpoint))


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


def read_object(http: httpx.Client, method: str, url: str, **how: Any) -> dict[str, Any]:
    """Return a JSON object from an address that only some servers have, or an empty one."""
    try:
        response = http.request(method, url, **how)
        data = response.json() if response.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def root_of(endpoint: str) -> str:
    """Return a server's address without the `/v1` of OpenAI's protocol."""
    return endpoint.removesuffix("/v1")
