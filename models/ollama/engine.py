"""Requests to Ollama, with nothing left to its defaults and no prompt cut short."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import httpx
from dspy import lm15
from dspy.clients.engines.base import StreamEvent

from engine.ground.model import Messages, Progress
from models.chat import chat_messages
from models.errors import ServerError
from models.ollama.api import (
    ANSWER_SECONDS,
    START_HINT,
    listed,
    manifest_digest,
    raise_for_status,
    read_json,
    unreachable,
)
from models.ollama.slots import RELOAD_SECONDS, Slots, load_seconds
from models.server.addresses import CONNECT_SECONDS, goes_through_proxy
from models.server.engine import ServerEngine, begun_answer, is_context_overflow
from models.server.error_texts import error_status, error_text
from models.server.schemas import answer_schema
from models.server.scoring import NEXT_TOKENS, NextToken
from models.server.token_counts import TokenCounter, count_prompt, fewest_tokens
from models.server.vouching import Sighting
from models.settings import ModelSettings

SILENCE = 5.0
"""Seconds of silence after which a person sees what the server may be doing."""

_COUNTED = re.compile(r"request \((\d+) tokens\)")
"""How many tokens the prompt has, in the error of one that is too long."""

_WRONG_REQUEST = re.compile(
    r"must be (of type|between)|(is|does) not support|missing unit|invalid (value|option)"
)
"""What no second try makes right, whatever the status of the answer says."""

LONGEST_PAUSE = 5.0
"""The longest pause, in seconds, between two requests to a busy server."""


class OllamaEngine(ServerEngine):
    """Sends requests to `/api/chat` with every option spelled out, and checks that no prompt was cut."""

    supports_reasoning = True

    def __init__(
        self,
        address: str,
        name: str,
        settings: ModelSettings,
        context_length: int,
        shown: dict[str, Any],
        counter: TokenCounter,
        report: Progress,
    ) -> None:
        super().__init__(name, f"Ollama at {address}", settings, report)
        self._address = address
        self._settings = settings
        self._context_length = context_length
        self._thinks = "thinking" in (shown.get("capabilities") or ())
        self._stops = _stops(shown.get("parameters") or "")
        self._counter = counter
        self._slots = Slots()
        self._sent = 0
        self._answers = 0
        self._http = httpx.AsyncClient(
            base_url=address,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=goes_through_proxy(address),
        )

    async def events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield one answer as Ollama gives it."""
        body = self.body(request)
        yield lm15.StreamStartEvent(model=self._name)
        last: dict[str, Any] = {}
        async with aclosing(self._chunks(body)) as chunks:
            async for last in chunks:
                message = last.get("message") or {}
                if thought := message.get("thinking"):
                    yield lm15.StreamDeltaEvent(lm15.ThinkingDelta(thought, part_index=0))
                if text := message.get("content"):
                    yield lm15.StreamDeltaEvent(lm15.TextDelta(text, part_index=1))
        if not last.get("done"):
            raise lm15.TransportError(f"{self.server} stopped in the middle of an answer.")
        yield self._end(body, last)

    async def next_tokens(self, messages: Messages, begun: str) -> list[NextToken]:
        """Return the likeliest tokens after an answer has `begun`."""
        body = self._body(
            begun_answer(messages, begun), self._options(lm15.Config(temperature=0, max_tokens=1))
        )
        body |= {"stream": False, "logprobs": True, "top_logprobs": NEXT_TOKENS}
        if self._thinks:
            body["think"] = False
        last: dict[str, Any] = {}
        async with aclosing(self._chunks(body)) as chunks:
            async for chunk in chunks:
                last = chunk
        self._end(body, last)
        told = last.get("logprobs") or [{}]
        return [NextToken.of(token) for token in told[0].get("top_logprobs") or ()]

    def body(self, request: lm15.Request) -> dict[str, Any]:
        """Return what is posted to `/api/chat` for a request."""
        if request.config.logprobs is not None:
            raise lm15.UnsupportedFeatureError("Log-probabilities can't be had from Ollama here.")
        body = self._body(chat_messages(request), self._options(request.config))
        body |= self.how_to_think(request.config.reasoning)
        if schema := answer_schema(request):
            body["format"] = schema
        return body

    def how_to_think(self, reasoning: lm15.Reasoning | None = None) -> dict[str, Any]:
        """Return what to send to a model that can think, and nothing to others, which refuse it."""
        if not self._thinks:
            return {}
        wanted = self._settings.think
        return {"think": wanted if reasoning is None else (wanted or True) and not reasoning.is_off}

    def how_to_render(self) -> dict[str, Any]:
        """Return what to send for a look at a prompt, so that it is the one of an answer."""
        return {**how_to_load(self._settings, self._context_length), **self.how_to_think()}

    def _body(self, messages: Messages, options: dict[str, Any]) -> dict[str, Any]:
        loading = how_to_load(self._settings, self._context_length)
        return {
            **loading,
            "model": self._name,
            "messages": list(messages),
            "stream": True,
            "options": {**loading["options"], **options},
        }

    def _options(self, config: lm15.Config) -> dict[str, Any]:
        def chosen(asked: Any, default: Any) -> Any:
            return default if asked is None else asked

        settings = self._settings
        options = {
            "num_predict": chosen(config.max_tokens, settings.max_tokens),
            "temperature": chosen(config.temperature, settings.temperature),
            "top_p": chosen(config.top_p, settings.top_p),
            "top_k": chosen(config.top_k, settings.top_k),
            "min_p": settings.min_p,
            "typical_p": 1.0,
            "repeat_penalty": settings.repeat_penalty,
            "repeat_last_n": 64,
            "presence_penalty": chosen(config.presence_penalty, 0.0),
            "frequency_penalty": chosen(config.frequency_penalty, 0.0),
            "seed": chosen(config.seed, settings.seed),
        }
        if config.stop:  # Ollama replaces the model's own stop strings with these
            options["stop"] = [*self._stops, *config.stop]
        return options

    async def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the lines of an answer, and learn from the last one how the server works."""
        behind = self._sent
        self._sent += 1
        try:
            async with aclosing(self._waited_for(body)) as chunks:
                async for chunk in chunks:
                    if chunk.get("done"):
                        self._learn(chunk, behind)
                    yield chunk
        finally:
            self._sent -= 1

    def _learn(self, told: dict[str, Any], behind: int) -> None:
        """Note how many answers the server writes at a time, and whether it had to load the model again."""
        if self._slots.ended(told, behind=behind) and self._settings.concurrency is None:
            self._turns.most = self._slots.known
        self._answers += 1
        seconds = load_seconds(told)
        if seconds > RELOAD_SECONDS and self._answers > 1:
            self._report(
                f"{self.server} loaded {self._name} again ({seconds:.1f} s): another program asks for it "
                "with another context length, or for another model",
                0.0,
            )

    async def _tell_waiting(self) -> None:
        """Say what a request waits for, and again when that is another thing."""
        told = ""
        while True:
            await asyncio.sleep(SILENCE)
            if (waiting := await self._other_context() or self._waiting()) != told:
                self._report(waiting, 0.0)
            told = waiting

    async def _other_context(self) -> str:
        """Return what to say if the model is in memory with another context length than ours, or nothing."""
        try:
            running = (await self._http.get("/api/ps", timeout=SILENCE)).json().get("models") or []
        except (httpx.HTTPError, ValueError, AttributeError):
            return ""
        loaded = (one.get("context_length") for one in running if one.get("name") == self._name)
        other = next((length for length in loaded if length and length != self._context_length), None)
        if other is None:
            return ""
        return (
            f"Waiting: another program has let {self.server} load {self._name} with a context of {other} "
            f"tokens; with ours, of {self._context_length}, it has to load it again"
        )

    @property
    def slots(self) -> int | None:
        """How many answers the server writes at a time; None until it is known."""
        return self._slots.known

    def _waiting(self) -> str:
        """Return what a request without a word so far is waiting for."""
        if self._slots.known is not None and self._sent > self._slots.known:
            slots = "1 slot" if self._slots.known == 1 else f"{self._slots.known} slots"
            return f"Waiting in {self.server}'s queue ({slots}; OLLAMA_NUM_PARALLEL sets how many)"
        if self._slots.known is None and self._sent > 1:
            return (
                f"Waiting: {self.server} has {self._sent} requests of this run to answer, or is loading "
                f"{self._name}"
            )
        return f"Waiting: {self.server} is loading {self._name}, or reading a long prompt"

    async def _waited_for(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the lines of an answer; wait while the server's queue is full."""
        pause = 0.25
        while True:
            note = asyncio.ensure_future(self._tell_waiting())
            try:
                async with self._http.stream("POST", "/api/chat", json=body) as response:
                    note.cancel()
                    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        async for chunk in self._lines(body, response):
                            yield chunk
                        return
            except httpx.ConnectError as error:
                raise lm15.TransportError(f"{unreachable(self._address)} {START_HINT}") from error
            except httpx.HTTPError as error:
                raise lm15.TransportError(f"The connection to {self.server} broke: {error}.") from error
            finally:
                note.cancel()
            self._report(f"Waiting: {self.server} is busy", 0.0)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _lines(self, body: dict[str, Any], response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
        if response.is_error:
            await response.aread()
            status = error_status(response.text, response.status_code)
            raise self._error(body, status, error_text(response.text))
        async for line in response.aiter_lines():
            if not line.strip():
                continue
            chunk = _object(line)
            if chunk is None:
                raise lm15.TransportError(f"{self.server} sent a damaged line.")
            if "error" in chunk:
                status = error_status(line, int(chunk.get("status") or 500))
                raise self._error(body, status, error_text(line))
            yield chunk

    def _error(self, body: dict[str, Any], status: int, reason: str) -> lm15.LM15Error:
        """Return what an error of Ollama means to DSPy: some are worth another try."""
        if is_context_overflow(reason):
            counted = _COUNTED.search(reason)
            tokens = int(counted[1]) if counted else count_prompt(self._counter, body["messages"])
            return lm15.ContextLengthError(self._does_not_fit(tokens, is_exact=counted is not None))
        kinds: dict[int, Callable[..., lm15.LM15Error]] = {
            404: lm15.UnsupportedModelError,
            408: lm15.TimeoutError,
            429: lm15.RateLimitError,
            504: lm15.TimeoutError,
        }
        is_wrong_request = status < 500 or _WRONG_REQUEST.search(reason)  # Ollama answers 500 to some
        fallback = lm15.InvalidRequestError if is_wrong_request else lm15.ServerError
        return kinds.get(status, fallback)(f"{self.server} answers {status}: {reason}.", status=status)

    def _end(self, body: dict[str, Any], last: dict[str, Any]) -> lm15.StreamEndEvent:
        """Return the end of an answer.

        Raises:
            lm15.ContextLengthError: the prompt was cut, or the answer ran into the end of the context.
        """
        prompt, answer = int(last.get("prompt_eval_count") or 0), int(last.get("eval_count") or 0)
        fewest = self._fewest_tokens(body["messages"])
        if prompt and prompt < fewest:
            raise lm15.ContextLengthError(
                f"{self.server} read {prompt} tokens of a prompt of at least {fewest}: it cut the rest off. "
                f"{self._remedy()}"
            )
        cut = last.get("done_reason") == "length"
        if cut and answer < body["options"]["num_predict"] and prompt + answer >= self._context_length - 1:
            raise lm15.ContextLengthError(self._does_not_fit(prompt))
        return lm15.StreamEndEvent(
            finish_reason="length" if cut else "stop",
            usage=lm15.Usage(input_tokens=prompt, output_tokens=answer, total_tokens=prompt + answer),
        )

    def _fewest_tokens(self, messages: Messages) -> int:
        """Return how many tokens the prompt has at least; templates may strip blanks around a message."""
        texts = [message["content"].strip() for message in messages]
        if self._counter.exact:
            return sum(max(self._counter.count(text) - 2, 0) for text in texts)
        return sum(map(fewest_tokens, texts))

    def _does_not_fit(self, tokens: int, *, is_exact: bool = False) -> str:
        about = "" if is_exact or self._counter.exact else "about "
        return (
            f"A prompt of {about}{tokens} tokens and its answer don't fit into the context of "
            f"{self._context_length} tokens. {self._remedy()}"
        )

    def _remedy(self) -> str:
        return "Raise `context_length` under [model], or shorten the example."

    async def look(self) -> Sighting:
        """Return what `/api/tags` says of the name: its manifest's digest, and when it was written."""
        try:
            response = await self._http.get("/api/tags", timeout=ANSWER_SECONDS)
        except httpx.HTTPError as error:
            raise ServerError(f"{unreachable(self._address)} {START_HINT}") from error
        if response.is_error:
            raise_for_status(response, self._address)
        models = read_json(response.text, self._address).get("models") or []
        found = listed(models, self._name, self._address)
        return Sighting(manifest_digest(found), str(found.get("modified_at")))

    async def disconnect(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _stops(parameters: str) -> list[str]:
    """Return a Modelfile's stop strings from the text that `/api/show` makes of its parameters."""
    values = [line.split(maxsplit=1)[1] for line in parameters.splitlines() if line.startswith("stop ")]
    return [text for value in values if (text := _unquoted(value.strip()))]


def _unquoted(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value
    except ValueError:
        return value.strip('"')


def how_to_load(settings: ModelSettings, context_length: int) -> dict[str, Any]:
    """Return what every request says alike: Ollama loads a model again for one that says it otherwise."""
    return {
        "options": {"num_ctx": context_length},
        "keep_alive": _keep_alive(settings.keep_alive),
        "truncate": False,
        "shift": False,
    }


def _keep_alive(text: str) -> str | int:
    """Return what Ollama reads as a duration: a plain number must not be a string."""
    return int(text) if text.lstrip("-").isdigit() else text


def _object(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
