"""DSPy's engine contract over the scheduler."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any

import dspy.lm15 as lm15
from dspy.clients.engines.base import validate_request

from engine.ground.answer_scoring import AnswerScorer
from models.chat import chat_messages
from models.errors import ChatTemplateError
from models.gguf.grammar import Thinking, grammar_for
from models.gguf.library import NativeModel
from models.gguf.prefix_tree import Tokens
from models.gguf.sampling import GrammarCache, Sampling, TokenSampler
from models.gguf.scheduling.jump import Jump, jump_for
from models.gguf.scheduling.request import Completion, Generation, TokenChoice
from models.gguf.scheduling.scheduler import Scheduler
from models.thinking import TextSplitter, split_thinking
from models.thought_tags import ThoughtTags

_SAMPLING_EXTENSIONS = frozenset({"min_p", "repeat_penalty"})


class GGUFEngine:
    """Turns DSPy's requests into tokens and answers into DSPy's responses; blocks the calling thread."""

    scorer: AnswerScorer | None = None
    """The model that tells log-probabilities of answers; whoever optimizes with this engine's LM asks it."""
    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = frozenset(
        {"temperature", "top_p", "top_k", "stop", "seed", "max_tokens", "logprobs", "response_format"}
        | {"frequency_penalty", "presence_penalty"}
    )

    def __init__(
        self,
        model: NativeModel,
        scheduler: Scheduler,
        *,
        prompt_tokens: Callable[[Sequence[Mapping[str, Any]]], tuple[Tokens, bool]],
        sampling: Sampling,
        max_tokens: int,
        context_length: int,
        thinking: Thinking,
        tags: ThoughtTags,
    ) -> None:
        self._model = model
        self._scheduler = scheduler
        self._prompt_tokens = prompt_tokens
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._context_length = context_length
        self._thinking = thinking
        self._tags = tags
        self._grammars = GrammarCache(model)

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Generate an answer.

        Raises:
            ContextLengthError: the prompt leaves no room for an answer.
            InvalidRequestError: its prompt is empty, or its answer's schema can't be written as a grammar.
            UnsupportedFeatureError: the request has images, tools or the like.
            RequestCancelledError: `cancel` was called meanwhile.
        """
        generation, thinks = self.start(request)
        try:
            return self.respond(request, generation.future.result(), thinks)
        except BaseException:
            generation.cancel()
            raise

    def stream(self, request: lm15.Request) -> Iterator[lm15.StreamEvent]:
        """Generate an answer and yield its text as it comes; closing the iterator ends the request."""
        pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        generation, thinks = self.start(request, pieces.put)
        try:
            splitter = self.splitter(thinks)
            yield lm15.StreamStartEvent(model=request.model)
            while (piece := pieces.get()) is not None:
                yield from splitter.events(piece)
            yield from self.last_events(request, generation.future.result(), thinks, splitter)
        finally:
            generation.cancel()

    def close(self) -> None:
        """Free the parsed grammars."""
        self._grammars.close()

    def start(
        self, request: lm15.Request, on_text: Callable[[bytes | None], None] | None = None
    ) -> tuple[Generation, bool]:
        """Queue a request; return it, and whether its prompt ends within the model's thinking.

        `on_text` gets the answer's bytes as they come, and None at the end.
        """
        generation, thinks = self._generation(request, on_text)
        if on_text is not None:
            generation.future.add_done_callback(lambda _: on_text(None))
        self._scheduler.submit(generation)
        return generation, thinks

    def splitter(self, thinks: bool) -> TextSplitter:
        """Return what makes events of an answer's bytes."""
        return TextSplitter(thinks, self._tags)

    def last_events(
        self, request: lm15.Request, completion: Completion, thinks: bool, splitter: TextSplitter
    ) -> Iterator[lm15.StreamEvent]:
        """Yield the events after an answer's last byte."""
        yield from splitter.events(b"", final=True)
        response = self.respond(request, completion, thinks)
        yield lm15.StreamEndEvent(finish_reason=response.finish_reason, usage=response.usage)

    def _generation(
        self, request: lm15.Request, on_text: Callable[[bytes], None] | None
    ) -> tuple[Generation, bool]:
        validate_request(request)
        config = request.config
        try:
            messages = chat_messages(request)
            tokens, thinks = self._prompt_tokens(messages)
            if not len(tokens):
                raise lm15.InvalidRequestError("The prompt is empty: the chat template made no text of it.")
            room = room_for_answer(len(tokens), self._context_length)
            gbnf = grammar_for(config.response_format, "begun" if thinks else self._thinking, self._tags)
            grammar = self._grammars.get(gbnf) if gbnf else None
        except (ChatTemplateError, ValueError) as error:
            raise lm15.InvalidRequestError(str(error)) from error
        sampler = TokenSampler(self._sampling_of(config), grammar, self._model.n_vocab)
        generation = Generation(
            tokens,
            model=self._model,
            sampler=sampler,
            max_tokens=min(config.max_tokens or self._max_tokens, room),
            stop=config.stop,
            logprobs=config.logprobs,
            on_text=on_text,
            guess=self._jump(config.response_format, messages) if gbnf and not thinks else None,
        )
        return generation, thinks

    def _jump(
        self, response_format: Mapping[str, Any] | None, messages: Sequence[Mapping[str, Any]]
    ) -> Jump | None:
        """Return what guesses an answer, where steps can be taken back."""
        if self._model.keeps_state:
            return None
        return jump_for(response_format, messages, lambda text: self._model.tokenize(text).tolist())

    def _sampling_of(self, config: lm15.Config) -> Sampling:
        """Return the model's sampling with what the request sets itself."""
        own: dict[str, Any] = {
            name: value
            for name in ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")
            if (value := getattr(config, name)) is not None
        }
        own |= {key: value for key, value in (config.extensions or {}).items() if key in _SAMPLING_EXTENSIONS}
        return replace(self._sampling, **own)

    def respond(self, request: lm15.Request, completion: Completion, thinks: bool) -> lm15.Response:
        """Return a completion as the response to a request."""
        thinking, text = split_thinking(completion.text, thinks, self._tags)
        parts: list[lm15.ThinkingPart | lm15.TextPart] = [lm15.ThinkingPart(thinking)] if thinking else []
        parts.append(lm15.TextPart(text))
        return lm15.Response(
            id=None,
            model=request.model,
            message=lm15.Message.assistant(parts),
            finish_reason=completion.finish_reason,
            usage=lm15.Usage(
                input_tokens=completion.prompt_tokens,
                output_tokens=completion.completion_tokens,
                cache_read_tokens=completion.reused_tokens,
            ),
            logprobs=tuple(self._logprob(choice) for choice in completion.choices) or None,
        )

    def _logprob(self, choice: TokenChoice) -> lm15.TokenLogprob:
        piece = self._model.piece(choice.token)
        return lm15.TokenLogprob(
            token=piece.decode("utf-8", "replace"),
            logprob=choice.log_probability,
            bytes=tuple(piece),
            token_id=choice.token,
            top=tuple(
                lm15.TopLogprob(
                    token=self._model.piece(token).decode("utf-8", "replace"),
                    logprob=value,
                    bytes=tuple(self._model.piece(token)),
                    token_id=token,
                )
                for token, value in choice.alternatives
            ),
        )


class AsyncGGUFEngine:
    """The same for asyncio: a waiting request holds no thread."""

    def __init__(self, engine: GGUFEngine) -> None:
        self._engine = engine

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Generate an answer; cancelling the task ends the request."""
        started: Future[tuple[Generation, bool]] = Future()
        try:
            generation, thinks = await self._start(request, started)
            return self._engine.respond(request, await asyncio.wrap_future(generation.future), thinks)
        finally:
            started.add_done_callback(_cancel)

    async def stream(self, request: lm15.Request) -> AsyncIterator[lm15.StreamEvent]:
        """Generate an answer and yield its text as it comes; closing the iterator ends the request."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        started: Future[tuple[Generation, bool]] = Future()

        def put(piece: bytes | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody reads any more
                loop.call_soon_threadsafe(arrived.put_nowait, piece)

        try:
            generation, thinks = await self._start(request, started, put)
            splitter = self._engine.splitter(thinks)
            yield lm15.StreamStartEvent(model=request.model)
            while (piece := await arrived.get()) is not None:
                for event in splitter.events(piece):
                    yield event
            for event in self._engine.last_events(request, generation.future.result(), thinks, splitter):
                yield event
        finally:
            started.add_done_callback(_cancel)

    async def _start(
        self,
        request: lm15.Request,
        started: Future[tuple[Generation, bool]],
        on_text: Callable[[bytes | None], None] | None = None,
    ) -> tuple[Generation, bool]:
        """Queue a request from a thread, which writes it to `started` even if the task ends meanwhile."""
        await asyncio.to_thread(lambda: started.set_result(self._engine.start(request, on_text)))
        return started.result()

    async def aclose(self) -> None:
        """Do nothing: the engine that this one wraps owns what there is to close."""


def _cancel(started: Future[tuple[Generation, bool]]) -> None:
    generation, _ = started.result()
    generation.cancel()


def room_for_answer(prompt_tokens: int, context_length: int) -> int:
    """Return how many tokens an answer may have.

    Raises:
        ContextLengthError: none.
    """
    if prompt_tokens >= context_length:
        raise lm15.ContextLengthError(
            f"The prompt has {prompt_tokens:,} tokens and the context holds {context_length:,}; "
            "shorten the example, or set a larger `context_length` under [model]."
        )
    return context_length - prompt_tokens
