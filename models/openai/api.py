"""What OpenAI-compatible servers say about their models; this needs no DSPy."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import httpx

from engine.ground.closing import Closing
from engine.ground.model import Progress
from engine.ground.revision import ModelRevision, sha256_of
from models.errors import ModelError, ModelNotFoundError, ServerError
from models.server.addresses import goes_through_proxy
from models.server.error_texts import error_text
from models.uri import OpenAIUri

API_KEY = "PROMPTGRAD_API_KEY"
"""The environment variable with the servers' key; OPENAI_API_KEY is another company's and is never sent."""

QUESTION_SECONDS = 10.0

_OF_LM_STUDIO = ("arch", "quantization")
"""What LM Studio says of a model's weights."""

_PASSING = (408, 429, 500, 502, 503, 504)
"""How a server answers that can't say something at the moment."""

LOOK_AGAIN_SECONDS = 1.0
"""Between two looks at a server that loads its model."""


@dataclass(frozen=True)
class ServerAnswers:
    """What a server says about one model."""

    endpoint: str
    model: dict[str, Any]
    """Its entry in `/v1/models`."""
    props: dict[str, Any]
    """llama-server's `/props`; empty for others."""
    is_whole: bool = True
    """Whether it said all that it can: a server that loads or restarts leaves something out."""

    @property
    def revision(self) -> ModelRevision:
        """The model as the server describes it; no such server gives a hash."""
        named = {key: self.model.get(key) for key in ("id", "root", "owned_by")}
        named |= {key: self.model[key] for key in _OF_LM_STUDIO if key in self.model}
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
        state = self.model["status"].get("value") if self._is_in_router else self.model.get("state")
        return state == "loaded" if state else None

    @property
    def describes_model(self) -> bool:
        """Whether the server says enough for a revision: llama-server does once the model is loaded."""
        has_no_meta = "meta" in self.model and not self.model["meta"]
        is_loading = self.model.get("owned_by") == "llamacpp" and has_no_meta
        is_unloaded = self._is_in_router and not self.model.get("meta") and not self.is_loaded
        return self.is_whole and not is_loading and not is_unloaded

    @property
    def is_ready(self) -> bool:
        """Whether the model can be described and asked as things are."""
        return self.describes_model and self.is_loaded is not False

    @property
    def failed_to_load(self) -> bool:
        """Whether a router tried to load the model and couldn't."""
        return self._is_in_router and bool(self.model["status"].get("failed"))

    @property
    def unable(self) -> str:
        """Why the model can't answer prompts, or nothing; only LM Studio says what kind of model it is."""
        if self.model.get("type") == "embeddings":
            return "it turns texts into vectors (an embedding model) and writes none"
        return ""

    @property
    def _is_in_router(self) -> bool:
        return isinstance(self.model.get("status"), dict)

    def _started_with(self, *options: str) -> str | None:
        """Return the value of a command-line option that a router gives to the model's process."""
        arguments = list(self.model["status"].get("args") or ()) if self._is_in_router else []
        pairs = pairwise(arguments)
        return next((value for name, value in pairs if name in options and value.isdigit()), None)

    @property
    def takes_schema_in_json_object(self) -> bool:
        """Whether it is `llama_cpp.server`, which knows `json_object` with a schema but not `json_schema`."""
        return self.model.get("owned_by") == "me"


class OpenAIServers(Closing):
    """The servers of one model, to be asked what they serve; connections are kept between questions."""

    def __init__(
        self, target: OpenAIUri, seconds: float = QUESTION_SECONDS, *, report: Progress | None = None
    ) -> None:
        self._target = target
        self._report = report or (lambda _sentence, _fraction: None)
        self._clients = {endpoint: client(endpoint, seconds) for endpoint in target.endpoints}
        self._absent: set[str] = set()

    def ask(self, *, load_seconds: float | None = None) -> ServerAnswers:
        """Return what the servers tell about the model.

        A server describes a model only once it is loaded. With `load_seconds` it may take that long to load
        it; without, the answers may be incomplete: see `describes_model`.

        Raises:
            ServerError: none of them answers or loads it, or two describe different models.
            ModelNotFoundError: one of them doesn't have it.
        """
        answers: list[ServerAnswers] = []
        problems: list[ServerError] = []
        for endpoint in self._clients:
            try:
                answers.append(self._answers(endpoint, load_seconds))
            except ServerError as error:
                problems.append(error)
        if not answers:
            hint = problems[0].hint or "Start the server, or correct the address in the model's URI."
            raise ServerError(" ".join(problem.message for problem in problems), hint=hint)
        first, *others = [one for one in answers if one.describes_model] or answers[:1]
        for other in others:
            if other.revision != first.revision:
                raise ServerError(
                    f"{first.endpoint} and {other.endpoint} describe {self._target.name!r} differently.",
                    hint="All endpoints of one URI must serve the same file with the same template.",
                )
        return first

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
                    raise ModelError(
                        f"{endpoint} answers {response.status_code}: {error_text(response.text)}."
                    )
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

    def _answers(self, endpoint: str, load_seconds: float | None) -> ServerAnswers:
        """Return what one server says; if it may take time to load the model, once it has."""
        name, http = self._target.name, self._clients[endpoint]
        answers = _ask(http, endpoint, name, self._absent)
        if load_seconds is None or answers.is_ready or answers.unable:
            return answers
        self._report(f"Waiting for {endpoint} to load {name}", 0.0)
        answers = self._loaded(endpoint, load_seconds)
        if answers.is_ready:
            self._report(f"{endpoint} has loaded {name}", 1.0)
        return answers

    def _loaded(self, endpoint: str, load_seconds: float) -> ServerAnswers:
        """Return what a server says once it has loaded the model.

        Raises:
            ServerError: it can't, or it takes longer than that.
        """
        name, http = self._target.name, self._clients[endpoint]
        deadline = time.monotonic() + load_seconds
        while (left := deadline - time.monotonic()) > 0:
            _let_load(http, endpoint, name, left)
            answers = _ask(http, endpoint, name, self._absent)
            if answers.describes_model:
                return answers
            if answers.failed_to_load:
                raise ServerError(f"{endpoint} can't load {name}.", hint="Its own log says why.")
            time.sleep(min(LOOK_AGAIN_SECONDS, left))
        raise ServerError(
            f"{endpoint} doesn't say what {name} is within {load_seconds:g} s: it is loading, or broken.",
            hint="Its own log says more. `timeout_seconds` under [model] sets how long to wait.",
        )


def ask_all(
    target: OpenAIUri,
    *,
    seconds: float = QUESTION_SECONDS,
    load_seconds: float | None = None,
    report: Progress | None = None,
) -> ServerAnswers:
    """Return what the servers tell about the model, as `OpenAIServers.ask` does."""
    with OpenAIServers(target, seconds, report=report) as servers:
        return servers.ask(load_seconds=load_seconds)


def served_names(endpoint: str, *, seconds: float = QUESTION_SECONDS) -> list[str]:
    """Return the names of all models that a server serves.

    Raises:
        ServerError: it doesn't answer, wants a key, or speaks another protocol.
    """
    with client(endpoint, seconds) as http:
        return [str(entry.get("id")) for entry in _served(http, endpoint)]


def _ask(http: httpx.Client, endpoint: str, name: str, absent: set[str]) -> ServerAnswers:
    """Return what one server says now; it isn't asked again for the addresses in `absent`, which grows."""
    entry = _entry(http, endpoint, name)
    props_of = _props_of(endpoint, name, entry, loads=False)
    props = read_object(http, "GET", props_of, absent=absent)
    details = read_object(http, "GET", _details_of(endpoint, name), absent=absent)
    is_whole = props is not None and details is not None
    return ServerAnswers(endpoint, {**(details or {}), **entry}, props or {}, is_whole)


def _let_load(http: httpx.Client, endpoint: str, name: str, seconds: float) -> None:
    """Let a router or LM Studio load a model, and wait for it; others load theirs when they start."""
    entry = _entry(http, endpoint, name)
    if isinstance(entry.get("status"), dict):
        read_object(http, "GET", _props_of(endpoint, name, entry, loads=True), timeout=seconds)
    elif (read_object(http, "GET", _details_of(endpoint, name)) or {}).get("state") == "not-loaded":
        hello = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        read_object(http, "POST", f"{endpoint}/chat/completions", json=hello, timeout=seconds)


def _props_of(endpoint: str, name: str, entry: dict[str, Any], *, loads: bool) -> str:
    """Return the address of `/props`; a router, which has no model of its own, is asked about one."""
    address = f"{root_of(endpoint)}/props"
    if not isinstance(entry.get("status"), dict):
        return address
    return f"{address}?model={quote(name, safe='')}&autoload={'true' if loads else 'false'}"


def _details_of(endpoint: str, name: str) -> str:
    """Return the address where LM Studio describes a model."""
    return f"{root_of(endpoint)}/api/v0/models/{name}"


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
        raise ServerError(f"{endpoint} wants a key.", hint=f"Set {API_KEY} in the environment to it.")
    if response.is_server_error:
        reason = error_text(response.text)
        raise ServerError(
            f"{endpoint} answers {response.status_code}: {reason}.", hint="Its own log says more."
        )
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
) -> dict[str, Any] | None:
    """Return a JSON object from an address that only some servers have.

    It is empty where the server has no such address, and None where the server can't say at the moment:
    it is loading, too busy or broken. An address that isn't there is added to `absent`, and not asked again.
    """
    if absent is not None and url in absent:
        return {}
    try:
        response = http.request(method, url, **how)
    except httpx.HTTPError:
        return None
    if response.status_code in _PASSING:
        return None
    if absent is not None and response.status_code == httpx.codes.NOT_FOUND:
        absent.add(url)
    try:
        data = response.json() if response.is_success else {}
    except ValueError:  # a page for people
        data = {}
    return data if isinstance(data, dict) else {}


def root_of(endpoint: str) -> str:
    """Return a server's address without the `/v1` of OpenAI's protocol."""
    return endpoint.removesuffix("/v1")
