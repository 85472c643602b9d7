"""Models behind OpenAI-compatible servers: llama-server, vLLM, LM Studio, `llama_cpp.server`."""

from __future__ import annotations

from models.errors import RevisionMovedError
from models.local import Messages
from models.openai_api import ServerAnswers, ask_all, client, read_object, root_of
from models.openai_engine import OpenAIEngine
from models.server_engine import AsyncServerEngine
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.token_counts import EstimatedCounter, count_prompt
from models.uri import OpenAIUri


def open_openai(target: OpenAIUri, settings: ModelSettings) -> OpenAIModel:
    """Open a model behind one or more servers; those that are down now are passed over.

    Raises:
        ServerError: no server answers, or they serve different models.
        ModelNotFoundError: the servers don't have the model.
    """
    return OpenAIModel(target, settings, ask_all(target))


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
        answer = read_object(self._http, "POST", self._url, json=body)
        tokens = answer.get("tokens")
        return len(tokens) if isinstance(tokens, list) else None
