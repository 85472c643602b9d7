"""Models behind OpenAI-compatible servers: llama-server, vLLM, LM Studio, `llama_cpp.server`."""

from __future__ import annotations

from engine.ground.revision import ModelRevision
from models.openai.api import ServerAnswers, ask_all, client, read_object, root_of
from models.openai.engine import OpenAIEngine
from models.server.model import ServerModel
from models.server.token_counts import EstimatedCounter
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.uri import OpenAIUri


def open_openai(target: OpenAIUri, settings: ModelSettings) -> OpenAIModel:
    """Open a model behind one or more servers; servers that are down are skipped.

    Raises:
        ServerError: no server answers, or they serve different models.
        ModelNotFoundError: the servers don't have the model.
    """
    return OpenAIModel(target, settings, ask_all(target))


class OpenAIModel(ServerModel):
    """A `LocalModel` behind servers; `open_model("openai:URL#NAME")` makes one."""

    hint_when_moved = "A server was started with another model meanwhile: run again."

    def __init__(self, target: OpenAIUri, settings: ModelSettings, answers: ServerAnswers) -> None:
        self._target = target
        self._server_counter = _ServerCounter(answers)
        known_length = settings.context_length or answers.context_length
        super().__init__(
            f"openai:{','.join(target.endpoints)}#{target.name}",
            answers.revision,
            settings,
            context_length=known_length or DEFAULT_CONTEXT,
            engine=OpenAIEngine(
                target.endpoints,
                target.name,
                settings,
                schema_in_json_object=answers.takes_schema_in_json_object,
                context_length=known_length,
            ),
            counter=self._server_counter,
        )

    def read_revision(self) -> ModelRevision:
        """Ask the servers what they serve now."""
        return ask_all(self._target).revision

    def disconnect(self) -> None:
        """Close the connection that counts tokens."""
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
        answer = read_object(self._http, "POST", self._url, json=body)
        tokens = answer.get("tokens")
        return len(tokens) if isinstance(tokens, list) else None
