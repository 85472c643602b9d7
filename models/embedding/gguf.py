"""An embedding model's GGUF file, opened in this process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from engine.ground.closing import Closing
from engine.ground.revision import ModelRevision
from models.errors import ModelError, ModelFileError, ModelMemoryError
from models.gguf import native_log
from models.gguf.context import Batch
from models.gguf.library import pointer_to
from models.settings import ModelSettings

_LONGEST = 2048
"""Tokens of the longest text that is embedded, if the model was trained on as many."""


class GGUFEmbedder(Closing):
    """Turns texts into vectors by the pooling that the file names; safe to use from many threads."""

    def __init__(self, path: Path, uri: str, revision: ModelRevision, settings: ModelSettings) -> None:
        """Load the model.

        Raises:
            ModelFileError: llama.cpp can't load it.
            ModelMemoryError: its context doesn't fit into memory.
        """
        self.uri = uri
        self.revision = revision
        self._lock = threading.Lock()
        native_log.install()
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = -1 if settings.gpu_layers is None else settings.gpu_layers
        self._model: Any = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise ModelFileError(f"llama.cpp can't load {path}.", hint="The file may be incomplete.")
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._longest = min(_LONGEST, llama.llama_model_n_ctx_train(self._model))
        self._width = int(llama.llama_model_n_embd(self._model))
        self._context: Any = llama.llama_init_from_model(self._model, self._params(settings))
        if not self._context:
            llama.llama_model_free(self._model)
            raise ModelMemoryError(
                f"There is no memory for a context of {path}.", hint="Close other programs."
            )
        self._batch = Batch(self._longest)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text.

        Raises:
            ModelError: a text is longer than the model reads; none is ever cut.
        """
        with self._lock:
            return [self._embedded(text) for text in texts]

    def verify_revision(self) -> None:
        """Do nothing: what was read of a file into memory stays what it was."""

    def close(self) -> None:
        """Free the memory; calling it twice is fine."""
        with self._lock:
            if self._context:
                llama.llama_free(self._context)
                llama.llama_model_free(self._model)
                self._context = self._model = None

    def _params(self, settings: ModelSettings) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self._longest
        params.n_seq_max = 1
        params.embeddings = True
        if settings.threads:
            params.n_threads = params.n_threads_batch = settings.threads
        return params

    def _embedded(self, text: str) -> list[float]:
        tokens = self._tokens(text)
        batch = self._batch
        batch.tokens[: len(tokens)] = tokens
        batch.positions[: len(tokens)] = np.arange(len(tokens))
        batch.sequences[:] = 0
        batch.outputs[:] = 1
        memory = llama.llama_get_memory(self._context)
        if memory:
            llama.llama_memory_clear(memory, True)
        if llama.llama_decode(self._context, batch.take(len(tokens))):
            raise ModelError(f"{self.uri} can't embed a text of {len(tokens)} tokens.", hint="See its log.")
        found = llama.llama_get_embeddings_seq(self._context, 0)
        return [float(value) for value in found[: self._width]]

    def _tokens(self, text: str) -> np.ndarray[Any, np.dtype[np.int32]]:
        data = text.encode() or b" "
        buffer = np.empty(len(data) + 8, np.int32)
        pointer = pointer_to(buffer, llama.llama_token)
        count = llama.llama_tokenize(self._vocab, data, len(data), pointer, len(buffer), True, False)
        if count > self._longest:
            raise ModelError(
                f"A text has {count:,} tokens, and {self.uri} reads {self._longest:,}.",
                hint="Compare by another metric, or take an embedding model with a longer context.",
            )
        return buffer[:count]
