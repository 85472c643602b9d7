"""Models that an Ollama server runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.ground.model import Messages, Progress
from engine.ground.revision import ModelRevision
from models.errors import ModelError, ModelFileError, ModelMemoryError, ServerError
from models.gguf.package import is_installed
from models.ollama.api import LOGPROBS_VERSION, OllamaApi, is_new_enough
from models.ollama.engine import OllamaEngine, how_to_load
from models.ollama.revision import BLOB, read_revision
from models.server.engine import begun_answer
from models.server.model import ServerModel
from models.server.scoring import NextToken
from models.server.token_counts import EstimatedCounter, TokenCounter, VocabularyCounter
from models.server.vouching import Sighting
from models.settings import DEFAULT_CONTEXT, ModelSettings
from models.today import printed_date


def open_ollama(name: str, settings: ModelSettings, on_progress: Progress | None) -> OllamaModel:
    """Open a model of an Ollama server and bring it into the server's memory.

    Raises:
        ServerError: the server is down, too old, or can't load the model.
        ModelNotFoundError: the server doesn't have the model.
        ModelError: the model runs in a cloud, not on this server.
    """
    report = on_progress or (lambda _sentence, _fraction: None)
    api = OllamaApi()
    try:
        version = api.version()
        if not is_new_enough(version):
            raise ServerError(
                f"Ollama {version} at {api.address} cuts long prompts silently.",
                hint="Update it to 0.12.6 or later.",
            )
        revision, shown = read_revision(api, name, version)
        context_length = _load(api, name, settings, shown, report)
        return OllamaModel(api, name, settings, revision, shown, context_length, report)
    except BaseException:
        api.close()
        raise


_BUSY_SECONDS = (1.0, 2.0, 4.0)
"""Pauses after which a busy server is asked again."""


class OllamaModel(ServerModel):
    """A `LocalModel` that an Ollama server runs; `open_model("ollama:NAME")` makes one.

    When it is closed, it stays in Ollama's memory for `keep_alive`. `blob` is the file of its weights, where
    that is on this machine.
    """

    hint_when_moved = (
        "The tag was pulled or made again meanwhile: bring it back and resume the run, or run again to prove "
        "rules on what it is now."
    )

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
        self._api = api
        self._name = name
        self.blob = _blob(shown)
        counter = _counter(shown)
        self._ollama = OllamaEngine(api.address, name, settings, context_length, shown, counter, report)
        super().__init__(
            f"ollama:{name}",
            revision,
            settings,
            context_length=context_length,
            engine=self._ollama,
            counter=counter,
            seen=Sighting(revision.digest, shown["modified_at"]),  # the manifest covers the template
            date=printed_date(shown.get("template"), settings.template_switches, pins=False),
        )

    @functools.cached_property
    def can_score(self) -> bool:
        """Whether the server tells log-probabilities, and the model's template leaves an answer open."""
        if not is_new_enough(self.revision.engine, LOGPROBS_VERSION):
            return False
        begun = '{"a": "'
        try:
            rendered = self.render(begun_answer([{"role": "user", "content": "a?"}], begun))
        except ServerError:
            return False  # too busy to say: the requests themselves wait, or tell what is wrong
        return rendered is None or rendered.endswith(begun)

    def render(self, messages: Messages) -> str | None:
        """Return what the model reads of these messages, or None where the server doesn't say.

        A busy server is asked again.

        Raises:
            ServerError: the server doesn't answer.
        """
        for seconds in _BUSY_SECONDS:
            with suppress(ServerError):
                return self._render_once(messages)
            time.sleep(seconds)
        return self._render_once(messages)

    def _render_once(self, messages: Messages) -> str | None:
        return self._api.render(self._name, messages, self._ollama.how_to_render())

    @property
    def slots(self) -> int | None:
        """How many answers the server writes at a time; None until its answers have shown it."""
        return self._ollama.slots

    def count_prompt_tokens(self, messages: Messages) -> int:
        """Return how many tokens the messages have: exactly, where vocabulary and prompt can be had."""
        if isinstance(self._counter, VocabularyCounter):
            with suppress(ServerError):
                rendered = self._render_once(messages)
                if rendered is not None:
                    return self._counter.count_prompt(rendered)
        return super().count_prompt_tokens(messages)

    async def next_tokens(self, messages: Messages, begun: str) -> Sequence[NextToken]:
        """Return the likeliest tokens after an answer has `begun`."""
        return await self._ollama.next_tokens(messages, begun)

    async def look(self) -> Sighting:
        """Return what `/api/tags` says of the name now."""
        return await self._ollama.look()

    def read_revision(self) -> ModelRevision:
        """Ask the server what the name stands for now."""
        return read_revision(self._api, self._name, self._api.version())[0]

    def disconnect(self) -> None:
        """Close the connection for questions about models."""
        self._api.close()


def _load(api: OllamaApi, name: str, settings: ModelSettings, shown: dict[str, Any], report: Progress) -> int:
    """Load the model and return its actual context length."""
    trained = _trained_context(shown)
    wanted = settings.context_length or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    report(f"Waiting for Ollama to load {name}", 0.0)
    try:
        api.load(name, how_to_load(settings, wanted), settings.timeout_seconds)
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
    """Return an exact counter if Ollama's blob is on this machine and llama.cpp can read it."""
    blob = _blob(shown)
    if blob is not None and is_installed():
        try:
            return VocabularyCounter(blob)
        except ModelFileError:
            pass  # Ollama also runs architectures that llama.cpp doesn't know
    return EstimatedCounter()


def _blob(shown: dict[str, Any]) -> Path | None:
    """Return the file with the model's weights, if it is on this machine."""
    found = BLOB.search(shown.get("modelfile") or "")
    return Path(found[1]) if found and Path(found[1]).is_file() else None
