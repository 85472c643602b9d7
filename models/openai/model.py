"""Models behind OpenAI-compatible servers: llama-server, vLLM, LM Studio, `llama_cpp.server`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dspy import lm15

from engine.ground.model import Messages, Progress
from engine.ground.revision import ModelRevision
from models.errors import CHOOSE_ANOTHER, ModelError, ServerError
from models.openai.api import OpenAIServers, ServerAnswers, client, read_object, root_of
from models.openai.dates import pinning_switches
from models.openai.engine import OpenAIEngine
from models.server.engine import begun_answer, is_context_overflow
from models.server.model import ServerModel
from models.server.scoring import NEXT_TOKENS, NextToken
from models.server.token_counts import EstimatedCounter
from models.server.vouching import Sighting, identity_of
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.today import printed_date
from models.uri import OpenAIUri


def open_openai(target: OpenAIUri, settings: ModelSettings, on_progress: Progress | None) -> OpenAIModel:
    """Open a model behind one or more servers once it is loaded; servers that are down are skipped.

    Raises:
        ServerError: no server answers or loads the model, or they serve different models.
        ModelNotFoundError: the servers don't have the model.
        ModelError: the model writes no text.
    """
    report = on_progress or (lambda _sentence, _fraction: None)
    servers = OpenAIServers(target, report=report)
    try:
        answers = servers.ask(load_seconds=settings.timeout_seconds)
        if answers.unable:
            raise ModelError(f"{target.text} can't be used here: {answers.unable}.", hint=CHOOSE_ANOTHER)
        return OpenAIModel(target, settings, servers, answers, report)
    except BaseException:
        servers.close()
        raise


class OpenAIModel(ServerModel):
    """A `LocalModel` behind servers; `open_model("openai:URL#NAME")` makes one."""

    hint_when_moved = (
        "A server was started with another model meanwhile: bring the model back and resume the run, or "
        "run again."
    )

    def __init__(
        self,
        target: OpenAIUri,
        settings: ModelSettings,
        servers: OpenAIServers,
        answers: ServerAnswers,
        report: Progress,
    ) -> None:
        self._servers = servers
        self._continues_answers = answers.continues_answers
        switches = settings.template_switches
        pinning = pinning_switches(answers, switches)
        self._template_switches = pinning or switches
        self._load_seconds = settings.timeout_seconds
        self._server_counter = _ServerCounter(answers)
        known_length = settings.context_length or answers.context_length
        super().__init__(
            target.text,
            answers.revision,
            settings,
            context_length=known_length or DEFAULT_CONTEXT,
            engine=OpenAIEngine(
                target.endpoints,
                target.name,
                settings.model_copy(update={"template_switches": self._template_switches}),
                schema_in_json_object=answers.takes_schema_in_json_object,
                context_length=known_length,
                report=report,
            ),
            counter=self._server_counter,
            seen=Sighting(identity_of(answers.revision)),
            date=printed_date(answers.props.get("chat_template"), switches, pins=bool(pinning)),
        )

    def read_revision(self) -> ModelRevision:
        """Ask the servers what they serve now."""
        return self._servers.ask(load_seconds=self._load_seconds).revision

    @property
    def can_score(self) -> bool:
        """Whether it is a server that tells log-probabilities and continues an answer: llama-server, vLLM."""
        return self._continues_answers

    async def next_tokens(self, messages: Messages, begun: str) -> Sequence[NextToken]:
        """Return the likeliest tokens after an answer has `begun`."""
        asked = {
            "messages": begun_answer(messages, begun),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": NEXT_TOKENS,
            "chat_template_kwargs": {**self._template_switches, "enable_thinking": False},
        }
        if begun:
            asked |= {"add_generation_prompt": False, "continue_final_message": True}
        try:
            answer = await asyncio.to_thread(self._servers.chat, asked, self._load_seconds)
        except ServerError as error:
            raise lm15.TransportError(error.message) from error
        except ModelError as error:
            if is_context_overflow(error.message):
                raise lm15.ContextLengthError(error.message) from error
            raise
        told = (answer["choices"][0].get("logprobs") or {}).get("content") or [{}]
        return [NextToken.of(token) for token in told[0].get("top_logprobs") or ()]

    async def look(self) -> Sighting:
        """Return what the servers say of the name now.

        A model that was unloaded, and a server that restarts, is no other model until it says so.
        """
        answers = await asyncio.to_thread(self._servers.ask)
        return Sighting(identity_of(answers.revision if answers.describes_model else self.revision))

    def disconnect(self) -> None:
        """Close the connections that ask what is served and count tokens."""
        self._servers.close()
        self._server_counter.close()


class _ServerCounter:
    """Counts with `/tokenize` of llama-server or vLLM, or else by estimate."""

    def __init__(self, answers: ServerAnswers) -> None:
        self._estimate = EstimatedCounter()
        self._http = client(answers.endpoint)
        self._url = f"{root_of(answers.endpoint)}/tokenize"
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
        answer = read_object(self._http, "POST", self._url, json=body) or {}
        tokens = answer.get("tokens")
        return len(tokens) if isinstance(tokens, list) else None
