"""Requests to OpenAI-compatible servers; several of one model share the work and stand in for each other."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import httpx
from dspy import lm15
from dspy.clients.engines.base import StreamEvent

from engine.ground.model import Messages, Progress
from models.chat import chat_messages
from models.openai.api import API_KEY
from models.openai.endpoints import Endpoint, Endpoints
from models.server.engine import ServerEngine, is_context_overflow
from models.server.error_texts import error_text
from models.server.schemas import answer_schema
from models.server.token_counts import EstimatedCounter, count_prompt
from models.settings import ModelSettings

_LEAST_ROOM = 8
"""The share of the context, one in so many, that an answer may ask for however long its prompt seems."""


class OpenAIEngine(ServerEngine):
    """Sends requests to `/v1/chat/completions`; an answer is streamed where somebody reads it as it comes."""

    def __init__(
        self,
        endpoints: tuple[str, ...],
        name: str,
        settings: ModelSettings,
        *,
        schema_in_json_object: bool,
        context_length: int | None,
        report: Progress,
    ) -> None:
        super().__init__(name, f"{name} at {', '.join(endpoints)}", settings, report)
        self._settings = settings
        self._schema_in_json_object = schema_in_json_object
        self._context_length = context_length
        self._estimate = EstimatedCounter()
        self._endpoints = Endpoints(endpoints)

    def events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield one answer as a server writes it."""
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        return self._events({**self.body(request), **streamed}, self._streamed)

    def unwatched_events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield one answer in one piece, which costs less than many and always brings its usage."""
        return self._events(self.body(request), self._whole)

    async def disconnect(self) -> None:
        """Close the connections."""
        await self._endpoints.close()

    def body(self, request: lm15.Request) -> dict[str, Any]:
        """Return what is posted to `/v1/chat/completions` for a request."""

        def chosen(asked: Any, default: Any) -> Any:
            return default if asked is None else asked

        config, settings = request.config, self._settings
        if config.logprobs is not None:
            raise lm15.UnsupportedFeatureError("Log-probabilities can't be had from this server here.")
        messages = chat_messages(request)
        body: dict[str, Any] = {
            "model": self._name,
            "messages": messages,
            "max_tokens": self._room_for(messages, chosen(config.max_tokens, settings.max_tokens)),
            "temperature": chosen(config.temperature, settings.temperature),
            "top_p": chosen(config.top_p, settings.top_p),
            "top_k": chosen(config.top_k, settings.top_k),
            "min_p": settings.min_p,
            "seed": chosen(config.seed, settings.seed),
            "presence_penalty": chosen(config.presence_penalty, 0.0),
            "frequency_penalty": chosen(config.frequency_penalty, 0.0),
            "repeat_penalty": settings.repeat_penalty,
            "repetition_penalty": settings.repeat_penalty,  # as vLLM has it
            "chat_template_kwargs": {"enable_thinking": self._thinks(config), **settings.template_switches},
        }
        if isinstance(settings.think, str):
            body["reasoning_effort"] = settings.think
            body["chat_template_kwargs"] = {
                "reasoning_effort": settings.think,
                **body["chat_template_kwargs"],
            }
        if config.stop:
            body["stop"] = list(config.stop)
        if wanted := self._response_format(request):
            body["response_format"] = wanted
        return body

    def _room_for(self, messages: Messages, asked: int) -> int:
        """Return how long an answer may be: vLLM refuses what with the prompt exceeds its context."""
        if self._context_length is None:
            return asked
        room = self._context_length - count_prompt(self._estimate, messages)
        return min(asked, max(room, self._context_length // _LEAST_ROOM))

    def _thinks(self, config: lm15.Config) -> bool:
        return bool(self._settings.think) if config.reasoning is None else not config.reasoning.is_off

    def _response_format(self, request: lm15.Request) -> dict[str, Any] | None:
        schema = answer_schema(request)
        if schema is None:
            return None
        if self._schema_in_json_object:
            return {"type": "json_object", "schema": schema}
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}

    async def _events(
        self, body: dict[str, Any], read: Callable[[httpx.Response], AsyncGenerator[StreamEvent]]
    ) -> AsyncGenerator[StreamEvent]:
        """Yield an answer; another endpoint takes over only before its first word."""
        yield lm15.StreamStartEvent(model=self._name)
        for endpoint, is_last in self._endpoints.each_once():
            has_begun = False
            try:
                async with aclosing(self._asked(endpoint, body, read)) as events:
                    async for event in events:
                        has_begun = True
                        yield event
                return
            except lm15.LM15Error as error:
                if not _is_endpoints_own(error):
                    raise
                endpoint.failed()
                if has_begun or is_last:
                    raise

    async def _asked(
        self,
        endpoint: Endpoint,
        body: dict[str, Any],
        read: Callable[[httpx.Response], AsyncGenerator[StreamEvent]],
    ) -> AsyncGenerator[StreamEvent]:
        """Yield what one endpoint answers."""
        has_answered = False
        with endpoint.asked():
            try:
                async with endpoint.http.stream("POST", endpoint.chat_url, json=body) as response:
                    has_answered = True
                    if response.is_error:
                        await response.aread()
                        raise self._error(response.status_code, error_text(response.text))
                    async with aclosing(read(response)) as events:
                        async for event in events:
                            yield event
            except httpx.HTTPError as error:
                if has_answered:
                    raise lm15.TransportError(f"The connection to {self.server} broke: {error}.") from error
                raise lm15.TransportError(
                    f"No answer from {self.server}. Start the server, or correct the URI."
                ) from error

    async def _whole(self, response: httpx.Response) -> AsyncGenerator[StreamEvent]:
        answer = self._object(await response.aread())
        choice = _choice(answer)
        for event in _deltas(choice.get("message") or {}):
            yield event
        yield _end(choice.get("finish_reason"), answer.get("usage"))

    async def _streamed(self, response: httpx.Response) -> AsyncGenerator[StreamEvent]:
        reason, usage = None, None
        async with aclosing(_server_sent(response)) as lines:
            async for line in lines:
                chunk = self._object(line)
                choice = _choice(chunk)
                for event in _deltas(choice.get("delta") or {}):
                    yield event
                reason = choice.get("finish_reason") or reason
                usage = chunk.get("usage") or usage
        if reason is None:
            raise lm15.TransportError(f"{self.server} stopped in the middle of an answer.")
        yield _end(reason, usage)

    def _object(self, text: bytes) -> dict[str, Any]:
        """Return an object that the server sent.

        Raises:
            lm15.LM15Error: it isn't an object, or tells of an error.
        """
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise lm15.TransportError(f"{self.server} sent a damaged answer.")
        if data.get("error"):
            reason = error_text(text.decode("utf-8", "replace"))
            if is_context_overflow(reason):
                raise self._error(httpx.codes.BAD_REQUEST, reason)
            # What fails in the middle of an answer is the server's fault, and worth another try.
            raise lm15.TransportError(f"{self.server} answers: {reason}")
        return data

    def _error(self, status: int, reason: str) -> lm15.LM15Error:
        """Return what a refusal means to DSPy, with what to do about it: some are worth another try."""
        if is_context_overflow(reason):
            return lm15.ContextLengthError(
                f"A prompt and its answer don't fit into the context of {self.server}: {reason}. "
                "Start the server with a larger context, or shorten the example.",
                status=status,
            )
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return lm15.AuthError(f"{self.server} wants a key: set {API_KEY} in the environment.")
        kinds: dict[int, Callable[..., lm15.LM15Error]] = {
            404: lm15.UnsupportedModelError,
            408: lm15.TimeoutError,
            429: lm15.RateLimitError,
            501: lm15.UnsupportedModelError,  # llama-server, of a model that it runs for embeddings
            504: lm15.TimeoutError,
        }
        fallback = lm15.InvalidRequestError if status < 500 else lm15.ServerError
        return kinds.get(status, fallback)(f"{self.server} answers: {reason}", status=status)


def _is_endpoints_own(error: lm15.LM15Error) -> bool:
    """Whether another endpoint may do better: a request that is wrong is wrong everywhere."""
    return not isinstance(error, lm15.InvalidRequestError) or isinstance(error, lm15.UnsupportedModelError)


async def _server_sent(response: httpx.Response) -> AsyncGenerator[bytes]:
    r"""Yield the data of server-sent events.

    Lines end at \n alone: JSON may hold the other characters that Python and httpx take for line ends.
    """
    held = b""
    async for piece in response.aiter_bytes():
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                yield data


def _choice(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's only choice; the chunk that brings the usage has none."""
    choice: dict[str, Any] = next(iter(answer.get("choices") or ()), {})
    return choice


def _deltas(message: dict[str, Any]) -> list[StreamEvent]:
    """Return what a message, or a piece of one, says."""
    events: list[StreamEvent] = []
    if thought := message.get("reasoning_content") or message.get("reasoning"):  # as newer vLLM calls it
        events.append(lm15.StreamDeltaEvent(lm15.ThinkingDelta(thought, part_index=0)))
    if text := message.get("content"):
        events.append(lm15.StreamDeltaEvent(lm15.TextDelta(text, part_index=1)))
    return events


def _end(finish_reason: str | None, counted: dict[str, Any] | None) -> StreamEvent:
    usage = counted or {}
    return lm15.StreamEndEvent(
        finish_reason="length" if finish_reason == "length" else "stop",
        usage=lm15.Usage(
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            total_tokens=usage.get("total_tokens"),
            cache_read_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        ),
    )
