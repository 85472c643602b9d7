"""Models behind OpenAI-compatible servers: llama-server, vLLM, LM Studio, `llama_cpp.server`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any

import httpx

from models.errors import ModelNotFoundError, RevisionMovedError, ServerError
from models.local import Messages
from models.ollama_api import goes_through_proxy
from models.openai_engine import API_KEY, OpenAIEngine
from models.revision import ModelRevision, sha256_of
from models.server_engine import AsyncServerEngine
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.token_counts import EstimatedCounter, count_prompt
from models.uri import OpenAIUri

QUESTION_SECONDS = 10.0


def open_openai(target: OpenAIUri, settings: ModelSettings) -> OpenAIModel:
    """Open a model behind one or more servers; those that are down now are passed over.

    Raises:
        ServerError: no server answers, or they serve different models.
        ModelNotFoundError: the servers don't have the model.
    """
    return OpenAIModel(target, settings, ask_all(target))


@dataclass(frozen=True)
class ServerAnswers:
    """What a server tells about one model."""

    endpoint: str
    model: dict[str, Any]
    """Its entry in `/v1/models`."""
    props: dict[str, Any]
    """llama-server's `/props`; empty for others."""

    @property
    def revision(self) -> ModelRevision:
        """The model as far as the server describes it; no such server gives a hash."""
        named = {key: self.model.get(key) for key in ("id", "root", "owned_by")}
        weights = {key: value for key, value in (self.model.get("meta") or {}).items() if key != "n_ctx"}
        told = json.dumps([named, weights, self.props.get("model_path")], sort_keys=True)
        template = self.props.get("chat_template")
        return replace(
            ModelRevision.unverified("openai", str(self.model["id"]), told),
            template_digest=sha256_of(template) if template else None,
            engine=str(self.props.get("build_info") or self.model.get("owned_by") or ""),
        )

    @property
    def context_length(self) -> int | None:
        """Tokens that a prompt and its answer may have together, where the server says it."""
        slot = (self.props.get("default_generation_settings") or {}).get("n_ctx")
        length = slot or self.model.get("max_model_len") or self.model.get("loaded_context_length")
        return int(length) if length else None

    @property
    def takes_schema_in_json_object(self) -> bool:
        """Whether it is `llama_cpp.server`, which knows `json_object` with a schema but not `json_schema`."""
        return self.model.get("owned_by") == "me"


class OpenAIModel:
    """A `LocalModel` behind servers; `open_model("openai:URL#NAME")` makes one."""

    def __init__(self, target: OpenAIUri, settings: ModelSettings, answers: ServerAnswers) -> None:
        import dspy

        self.uri = f"openai:{','.join(target.endpoints)}#{target.name}"
        self.revision = answers.revision
        self.sampling = settings.sampling()
        self.context_length = settings.context_length or answers.context_length or DEFAULT_CONTEXT
        self._target = target
        self._counter = _ServerCounter(answers)
        self._engine = OpenAIEngine(
            target.endpoints,
            target.name,
            settings,
            schema_in_json_object=answers.takes_schema_in_json_object,
        )
        self.lm = dspy.LM(
            f"openai/{target.name}",
            engine=self._engine,
            async_engine=AsyncServerEngine(self._engine),
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            cache=False,
        )

    @property
    def exact_token_counts(self) -> bool:
        """Whether the server has an endpoint that counts tokens."""
        return self._counter.exact

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return self._counter.count(text)

    def count_prompt_tokens(self, messages: Messages) -> int:
        """Return how many tokens the messages have, with an allowance for the template around them."""
        return count_prompt(self._counter, messages)

    def verify_revision(self) -> None:
        """Ask the servers again what they serve.

        Raises:
            RevisionMovedError: they describe another model than when it was opened.
        """
        now = ask_all(self._target).revision
        if now != self.revision:
            raise RevisionMovedError(
                f"{self.uri} was {self.revision.short} and is now {now.short}.",
                hint="A server was started with another model meanwhile: run again.",
            )

    def cancel(self) -> None:
        """End all running requests."""
        self._engine.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()
        self._counter.close()

    def __enter__(self) -> OpenAIModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _ServerCounter:
    """Counts by `/tokenize` of llama-server or vLLM, else by estimate."""

    def __init__(self, answers: ServerAnswers) -> None:
        self._estimate = EstimatedCounter()
        self._http = _client(answers.endpoint)
        self._url = f"{_root(answers.endpoint)}/tokenize"
        self._model = answers.model["id"]
        self.exact = True
        self.exact = self._ask("a") is not None

    def count(self, text: str) -> int:
        tokens = self._ask(text) if self.exact else None
        return self._estimate.count(text) if tokens is None else tokens

    def close(self) -> None:
        self._http.close()

    def _ask(self, text: str) -> int | None:
        """Return what the server counts; llama-server reads `content`, vLLM `prompt`."""
        body = {"model": self._model, "content": text, "prompt": text, "add_special_tokens": False}
        answer = _object(self._http, "POST", self._url, json=body)
        tokens = answer.get("tokens")
        return len(tokens) if isinstance(tokens, list) else None


def ask_all(target: OpenAIUri) -> ServerAnswers:
    """Return what the servers tell about the model.

    Raises:
        ServerError: none of them answers, or two describe different models.
        ModelNotFoundError: one of them doesn't have it.
    """
    answers: list[ServerAnswers] = []
    problems: list[str] = []
    for endpoint in target.endpoints:
        try:
            answers.append(_ask(endpoint, target.name))
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


def _ask(endpoint: str, name: str) -> ServerAnswers:
    with _client(endpoint) as http:
        try:
            response = http.get(f"{endpoint}/models")
        except httpx.HTTPError as error:
            raise ServerError(f"{endpoint} doesn't answer: {error}.") from error
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ServerError(f"{endpoint} wants a key: set {API_KEY} in the environment.")
        served = _entries(response)
        if served is None:
            raise ServerError(f"{endpoint} doesn't speak OpenAI's protocol (HTTP {response.status_code}).")
        model = next((entry for entry in served if entry.get("id") == name), None)
        if model is None:
            known = ", ".join(str(entry.get("id")) for entry in served[:10]) or "nothing"
            raise ModelNotFoundError(f"{endpoint} has no model {name!r}.", hint=f"It serves: {known}.")
        props = _object(http, "GET", f"{_root(endpoint)}/props")
        details = _object(http, "GET", f"{_root(endpoint)}/api/v0/models/{name}")  # LM Studio
        return ServerAnswers(endpoint, {**details, **model}, props)


def _client(endpoint: str) -> httpx.Client:
    key = os.environ.get(API_KEY)
    return httpx.Client(
        timeout=QUESTION_SECONDS,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        trust_env=goes_through_proxy(endpoint),
    )


def _entries(response: httpx.Response) -> list[dict[str, Any]] | None:
    try:
        data = response.json()["data"]
    except (ValueError, KeyError, TypeError):
        return None
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else None


def _object(http: httpx.Client, method: str, url: str, **how: Any) -> dict[str, Any]:
    """Return a JSON object from an address that not every server has, or an empty one."""
    try:
        response = http.request(method, url, **how)
        data = response.json() if response.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _root(endpoint: str) -> str:
    return endpoint.removesuffix("/v1")
