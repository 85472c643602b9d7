"""Requests to OpenAI-compatible servers, spread over all endpoints of one model by LiteLLM's router."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from dspy import lm15
from dspy.clients.engines.base import StreamEvent
from dspy.clients.engines.litellm_errors import to_lm15_error

from engine.ground.model import Messages
from models.openai.api import API_KEY
from models.server.engine import ServerEngine, answer_schema, chat_messages, is_context_overflow
from models.server.token_counts import EstimatedCounter, count_prompt
from models.settings import ModelSettings

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else importing it downloads a price list

COOLDOWN_SECONDS = 5.0
"""How long an endpoint that failed gets no requests; shorter than DSPy's retries take."""

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
    ) -> None:
        super().__init__(f"{name} at {', '.join(endpoints)}", settings)
        self._name = name
        self._endpoints = len(endpoints)
        self._settings = settings
        self._schema_in_json_object = schema_in_json_object
        self._context_length = context_length
        self._estimate = EstimatedCounter()
        self._router = _router(endpoints, name, settings)

    async def events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield one answer as a server writes it."""
        arguments = self._arguments(request)
        yield lm15.StreamStartEvent(model=self._name)
        try:
            async with aclosing(self._streamed(arguments)) as events:
                async for event in events:
                    yield event
        except Exception as error:
            raise self._error(error) from error

    async def unwatched_events(self, request: lm15.Request) -> AsyncGenerator[StreamEvent]:
        """Yield one answer in one piece, which costs less than many and always brings its usage."""
        arguments = self._arguments(request)
        yield lm15.StreamStartEvent(model=self._name)
        try:
            answer = (await self._router.acompletion(**arguments)).model_dump()
        except Exception as error:
            raise self._error(error) from error
        choice = answer["choices"][0]
        for event in _deltas(choice["message"]):
            yield event
        yield _end(choice.get("finish_reason"), answer.get("usage"))

    async def _streamed(self, arguments: dict[str, Any]) -> AsyncGenerator[StreamEvent]:
        """Yield a stream's deltas and its end; another endpoint takes over only before the first of them."""
        for others_left in reversed(range(self._endpoints)):
            stream = await self._router.acompletion(
                **arguments, stream=True, stream_options={"include_usage": True}
            )
            has_begun = False
            try:
                async with aclosing(stream):
                    async for chunk in stream:
                        for event in _deltas(_choice(chunk.model_dump()).get("delta") or {}):
                            has_begun = True
                            yield event
                yield self._end_of_stream(stream)
                return
            except Exception:
                if has_begun or not others_left:
                    raise

    def _end_of_stream(self, stream: Any) -> StreamEvent:
        """Return the end that the server told: LiteLLM itself ends each stream well and guesses its usage.

        Raises:
            lm15.TransportError: the server told no end.
        """
        told = [chunk.model_dump() for chunk in stream.chunks]
        reasons = [reason for chunk in told if (reason := _choice(chunk).get("finish_reason"))]
        if not reasons:
            raise lm15.TransportError(f"{self.server} stopped in the middle of an answer.")
        return _end(reasons[-1], next((usage for chunk in told if (usage := chunk.get("usage"))), None))

    async def disconnect(self) -> None:
        """Close the connections."""
        from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

        self._router.discard()
        await close_litellm_async_clients()  # type: ignore[no-untyped-call]

    def _arguments(self, request: lm15.Request) -> dict[str, Any]:
        def chosen(asked: Any, default: Any) -> Any:
            return default if asked is None else asked

        config, settings = request.config, self._settings
        if config.logprobs is not None:
            raise lm15.UnsupportedFeatureError("Log-probabilities can't be had from this server here.")
        messages = chat_messages(request)
        arguments: dict[str, Any] = {
            "model": self._name,
            "messages": messages,
            "max_tokens": self._room_for(messages, chosen(config.max_tokens, settings.max_tokens)),
            "temperature": chosen(config.temperature, settings.temperature),
            "top_p": chosen(config.top_p, settings.top_p),
            "seed": chosen(config.seed, settings.seed),
            "presence_penalty": chosen(config.presence_penalty, 0.0),
            "frequency_penalty": chosen(config.frequency_penalty, 0.0),
            "extra_body": {
                "top_k": chosen(config.top_k, settings.top_k),
                "min_p": settings.min_p,
                "repeat_penalty": settings.repeat_penalty,
                "repetition_penalty": settings.repeat_penalty,  # as vLLM has it
                "chat_template_kwargs": {
                    "enable_thinking": self._thinks(config),
                    **settings.template_switches,
                },
            },
        }
        if config.stop:
            arguments["stop"] = list(config.stop)
        if wanted := self._response_format(request):
            arguments["response_format"] = wanted
        return arguments

    def _room_for(self, messages: Messages, asked: int) -> int:
        """Return how long an answer may be: vLLM refuses what with the prompt exceeds its context."""
        if self._context_length is None:
            return asked
        room = self._context_length - count_prompt(self._estimate, messages)
        return min(asked, max(room, self._context_length // _LEAST_ROOM))

    def _thinks(self, config: lm15.Config) -> bool:
        return self._settings.think if config.reasoning is None else not config.reasoning.is_off

    def _response_format(self, request: lm15.Request) -> dict[str, Any] | None:
        schema = answer_schema(request)
        if schema is None:
            return None
        if self._schema_in_json_object:
            return {"type": "json_object", "schema": schema}
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}

    def _error(self, error: Exception) -> Any:
        """Return what an error of LiteLLM means to DSPy, with what to do about it."""
        if isinstance(error, lm15.LM15Error):
            return error
        if is_context_overflow(str(error)):
            return lm15.ContextLengthError(
                f"A prompt and its answer don't fit into the context of {self.server}: {_reason(error)}. "
                "Start the server with a larger context, or shorten the example."
            )
        # LiteLLM calls it a rate limit once all endpoints have failed, and a server error if one isn't there.
        if type(error).__name__ == "RouterRateLimitError" or "Connection error" in str(error):
            return lm15.TransportError(f"No answer from {self.server}. Start the server, or correct the URI.")
        meaning = to_lm15_error(error, model=self._name)
        if isinstance(meaning, lm15.AuthError):
            return lm15.AuthError(f"{self.server} wants a key: set {API_KEY} in the environment.")
        if isinstance(meaning, lm15.LM15Error):
            return type(meaning)(f"{self.server} answers: {_reason(error)}", status=meaning.status)
        return meaning


def _router(endpoints: tuple[str, ...], name: str, settings: ModelSettings) -> Any:
    import litellm
    from litellm.router import Router

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    # A model may write the same token a hundred times.
    litellm.REPEATED_STREAMING_CHUNK_LIMIT = sys.maxsize  # type: ignore[attr-defined]
    deployments = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": endpoint,
                "api_key": os.environ.get(API_KEY, "none"),
            },
        }
        for endpoint in endpoints
    ]
    return Router(
        model_list=deployments,
        routing_strategy="least-busy",
        num_retries=len(endpoints) - 1,  # DSPy tries again too; here each endpoint gets its chance
        disable_cooldowns=len(endpoints) == 1,
        allowed_fails=0,
        cooldown_time=COOLDOWN_SECONDS,
        timeout=settings.timeout_seconds,
    )


def _choice(chunk: dict[str, Any]) -> dict[str, Any]:
    """Return a chunk's only choice; the one that brings the usage has none."""
    choice: dict[str, Any] = next(iter(chunk.get("choices") or ()), {})
    return choice


def _deltas(message: dict[str, Any]) -> list[StreamEvent]:
    """Return what a message, or a piece of one, says."""
    events: list[StreamEvent] = []
    if thought := message.get("reasoning_content"):
        events.append(lm15.StreamDeltaEvent(lm15.ThinkingDelta(thought, part_index=0)))
    if text := message.get("content"):
        events.append(lm15.StreamDeltaEvent(lm15.TextDelta(text, part_index=1)))
    return events


def _end(finish_reason: str | None, told: dict[str, Any] | None) -> StreamEvent:
    usage = told or {}
    return lm15.StreamEndEvent(
        finish_reason="length" if finish_reason == "length" else "stop",
        usage=lm15.Usage(
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            total_tokens=usage.get("total_tokens"),
            cache_read_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        ),
    )


def _reason(error: Exception) -> str:
    """Return what the server said, without the names that LiteLLM puts before it."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(
        r"^(litellm\.)?((\w+(Error|Timeout)|OpenAIException)(: | - )(litellm\.)?)+", "", line
    ).rstrip(".")[:300]
