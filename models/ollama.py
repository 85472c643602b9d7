"""Models that an Ollama server runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dspy

from models.errors import ModelError, ModelFileError, ModelMemoryError, RevisionMovedError, ServerError
from models.local import Messages, Progress
from models.ollama_api import OllamaApi, is_new_enough
from models.ollama_engine import OllamaEngine, keep_alive_value
from models.revision import ModelRevision, sha256_of
from models.server_engine import AsyncServerEngine
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.token_counts import EstimatedCounter, TokenCounter, VocabularyCounter, count_prompt

_BLOB = re.compile(r"^FROM\s+(.*sha256[-:]([0-9a-f]{64}))\s*$", re.MULTILINE)


def open_ollama(
    name: str, settings: ModelSettings, *, address: str | None = None, on_progress: Progress | None = None
) -> OllamaModel:
    """Open a model of an Ollama server and bring it into the server's memory.

    Raises:
        ServerError: the server is down, too old, or can't load the model.
        ModelNotFoundError: the server doesn't have the model.
        ModelError: the model doesn't run on this server but in a cloud.
    """
    report = on_progress or (lambda _sentence, _fraction: None)
    api = OllamaApi(address)
    try:
        version = api.version()
        if not is_new_enough(version):
            raise ServerError(
                f"Ollama {version} at {api.address} cuts long prompts without a word.",
                hint="Update it to 0.12.6 or later.",
            )
        revision, shown = read_revision(api, name, version)
        context_length = _load(api, name, settings, shown, report)
        return OllamaModel(api, name, settings, revision, shown, context_length, report)
    except BaseException:
        api.close()
        raise


def read_revision(api: OllamaApi, name: str, version: str) -> tuple[ModelRevision, dict[str, Any]]:
    """Return a model's identity, and what `/api/show` says of it.

    Raises:
        ModelNotFoundError: the server doesn't have the model.
        ModelError: it runs in a cloud, so that nobody here can say what it is.
    """
    listed, shown = api.model(name), api.show(name)
    if listed.get("remote_model") or shown.get("remote_model"):
        raise ModelError(
            f"{name} runs at {shown.get('remote_host') or listed.get('remote_host') or 'a cloud'}, not here.",
            hint="Choose a model that Ollama holds itself; see `ollama list`.",
        )
    template, blob = shown.get("template"), _BLOB.search(shown.get("modelfile") or "")
    revision = ModelRevision(
        kind="ollama",
        digest=f"sha256:{str(listed['digest']).removeprefix('sha256:')}",
        template_digest=sha256_of(template) if template else None,
        name=name,
        weights_digest=f"sha256:{blob[2]}" if blob else None,
        engine=f"ollama {version}",
    )
    return revision, shown


class OllamaModel:
    """A `LocalModel` that an Ollama server runs; `open_model("ollama:NAME")` makes one."""

    def __init__(
        self,
        api: OllamaApi,
        name: str,
        settings: ModelSettings,
        revision: ModelRevision,
        shown: dict[str, Any],
        context_length: int,
        report: Progress,
    ) -> None:
        self.uri = f"ollama:{name}"
        self.revision = revision
        self.sampling = settings.sampling()
        self.context_length = context_length
        self._api = api
        self._name = name
        self._counter = _counter(shown)
        self._engine = OllamaEngine(api.address, name, settings, context_length, shown, self._counter, report)
        self.lm = dspy.LM(
            f"ollama/{name}",
            engine=self._engine,
            async_engine=AsyncServerEngine(self._engine),
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            cache=False,
        )

    @property
    def exact_token_counts(self) -> bool:
        """Whether the model's vocabulary could be read; the template's share is always an allowance."""
        return self._counter.exact

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return self._counter.count(text)

    def count_prompt_tokens(self, messages: Messages) -> int:
        """Return how many tokens the messages have, with an allowance for the template around them."""
        return count_prompt(self._counter, messages)

    def verify_revision(self) -> None:
        """Ask the server again what the name stands for.

        Raises:
            RevisionMovedError: other weights, another template or other parameters than when it was opened.
        """
        now, _ = read_revision(self._api, self._name, self._api.version())
        if now != self.revision:
            raise RevisionMovedError(
                f"{self.uri} was {self.revision.short} and is now {now.short}.",
                hint="The tag was pulled or made anew meanwhile: run again to prove rules on what it is now.",
            )

    def cancel(self) -> None:
        """End all running requests; Ollama stops working on them."""
        self._engine.cancel()

    def close(self) -> None:
        """Close the connections; the model stays in Ollama's memory for `keep_alive`."""
        self._engine.close()
        self._api.close()

    def __enter__(self) -> OllamaModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _load(api: OllamaApi, name: str, settings: ModelSettings, shown: dict[str, Any], report: Progress) -> int:
    """Load the model and return the context length that it really has."""
    trained = _trained_context(shown)
    wanted = settings.context_length or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    report(f"Waiting for Ollama to load {name}", 0.0)
    body = {
        "options": {"num_ctx": wanted},
        "keep_alive": keep_alive_value(settings.keep_alive),
        "shift": False,
    }
    try:
        api.load(name, body, settings.timeout_seconds)
    except ServerError as error:
        if "memory" in error.message:
            hint = "Lower `context_length` under [model], or choose a smaller model."
            raise ModelMemoryError(error.message, hint=hint) from error
        raise
    loaded = int((api.loaded(name) or {}).get("context_length") or wanted)
    if loaded < wanted and settings.context_length:
        raise ModelError(
            f"Ollama loaded {name} with a context of {loaded} tokens instead of {wanted}.",
            hint=f"Set context_length = {loaded} under [model].",
        )
    report(f"Ollama has loaded {name}", 1.0)
    return min(loaded, wanted)


def _trained_context(shown: dict[str, Any]) -> int | None:
    info = shown.get("model_info") or {}
    length = info.get(f"{info.get('general.architecture')}.context_length")
    return int(length) if length else None


def _counter(shown: dict[str, Any]) -> TokenCounter:
    """Return an exact counter where Ollama's blob lies on this machine and llama.cpp can read it."""
    blob = _BLOB.search(shown.get("modelfile") or "")
    if blob and Path(blob[1]).is_file():
        try:
            return VocabularyCounter(Path(blob[1]))
        except ModelFileError:
            pass  # Ollama also runs architectures that llama.cpp doesn't know
    return EstimatedCounter()
