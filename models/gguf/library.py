"""A thin, typed layer over llama.cpp's C interface: a model's file."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt
from dspy import lm15

from models.errors import ModelFileError
from models.gguf import amx, native_log
from models.gguf.prefix_tree import Tokens

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that steers the model and that no text of a person should spell."""

    token: int
    text: str
    strips_left: bool
    """Whether blanks before it belong to it."""
    strips_right: bool


class NativeModel:
    """The weights and the vocabulary of one GGUF file."""

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int,
        vocabulary_only: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        native_log.install()
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_extra_bufts = amx.usable()
        params.vocab_only = vocabulary_only
        report = on_progress or (lambda _fraction: None)

        def progress(fraction: float, _data: int | None) -> bool:
            report(fraction)
            return True

        callback = llama.llama_progress_callback(progress)
        params.progress_callback = callback
        self.handle = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise ModelFileError(
                f"llama.cpp can't load {path}.",
                hint="The file may be incomplete or of an architecture that this version doesn't know; "
                "the log says which.",
            )
        if llama.llama_model_has_encoder(self.handle) or not llama.llama_model_has_decoder(self.handle):
            llama.llama_model_free(self.handle)
            raise ModelFileError(f"{path} isn't a model that continues a text.", hint="Choose a chat model.")
        self.vocab = llama.llama_model_get_vocab(self.handle)
        self.n_vocab: int = llama.llama_vocab_n_tokens(self.vocab)
        self.on_gpu = gpu_layers != 0 and bool(llama.llama_supports_gpu_offload())
        self.context_length: int = llama.llama_model_n_ctx_train(self.handle)
        self._pieces: list[bytes | None] = [None] * self.n_vocab
        self._calls = 0
        self._closed = False
        self._idle = threading.Condition()
        self.end_tokens = frozenset(t for t in range(self.n_vocab) if llama.llama_vocab_is_eog(self.vocab, t))

    def metadata(self, key: str) -> str | None:
        """Return a value of the file's metadata as text."""
        buffer = ctypes.create_string_buffer(256)
        if llama.llama_model_meta_val_str(self.handle, key.encode(), cast(Any, buffer), 256) < 0:
            return None
        return buffer.value.decode("utf-8", "replace")

    def chat_template(self) -> str | None:
        """Return the file's own chat template."""
        text = llama.llama_model_chat_template(self.handle, None)
        return text.decode("utf-8", "replace") if text else None

    def special_tokens(self) -> list[SpecialToken]:
        """Return the tokens that `tokenize` knows with `special` alone."""
        kinds = list(map(llama.llama_vocab_get_attr, repeat(self.vocab, self.n_vocab), range(self.n_vocab)))
        return [
            SpecialToken(
                token,
                self.special_text(token),
                strips_left=bool(kind & llama.LLAMA_TOKEN_ATTR_LSTRIP),
                strips_right=bool(kind & llama.LLAMA_TOKEN_ATTR_RSTRIP),
            )
            for token, kind in enumerate(kinds)
            if kind & (llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN)
        ]

    def special_text(self, token: int) -> str:
        """Return how a special token is written, or nothing if the vocabulary has no such token."""
        return llama.llama_vocab_get_text(self.vocab, token).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def bos(self) -> int:
        """The token that begins a text, or -1."""
        return int(llama.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> int:
        """The token that ends a text, or -1."""
        return int(llama.llama_vocab_eos(self.vocab))

    @property
    def adds_bos(self) -> bool:
        """Whether every prompt has to begin with `bos`."""
        return bool(llama.llama_vocab_get_add_bos(self.vocab)) and self.bos >= 0

    def tokenize(self, text: str, *, special: bool = True) -> Tokens:
        """Return a text's tokens; `special` reads `<|im_start|>` and the like as one token. Thread-safe."""
        data = text.encode()
        room = len(data) + 8
        buffer = np.empty(room, np.int32)
        pointer = pointer_to(buffer, llama.llama_token)
        with self.in_use():
            count = llama.llama_tokenize(self.vocab, data, len(data), pointer, room, False, special)
        return buffer[:count].copy()

    def piece(self, token: int) -> bytes:
        """Return the bytes that a token stands for; none for a control token."""
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def show(self, token: int) -> None:
        """Let a control token stand for its own text from now on: tags of thoughts have to be seen."""
        self._pieces[token] = self.special_text(token).encode()

    @property
    def has_window(self) -> bool:
        """Whether some layers look back no further than a sliding window."""
        return bool(llama.llama_model_n_swa(self.handle) > 0)

    @property
    def keeps_state(self) -> bool:
        """Whether a sequence takes memory besides that of its tokens, as recurrent and hybrid ones do."""
        return bool(llama.llama_model_is_recurrent(self.handle) or llama.llama_model_is_hybrid(self.handle))

    def kv_bytes_per_token(self) -> int:
        """Return what one evaluated token takes in memory: keys and values have 16 bits."""
        layers = llama.llama_model_n_layer(self.handle)
        heads = llama.llama_model_n_head(self.handle) or 1
        kv_heads = llama.llama_model_n_head_kv(self.handle) or heads
        architecture = self.metadata("general.architecture") or ""
        width = llama.llama_model_n_embd(self.handle) // heads
        key = int(self.metadata(f"{architecture}.attention.key_length") or width)
        value = int(self.metadata(f"{architecture}.attention.value_length") or width)
        return int(layers * kv_heads * (key + value) * 2)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `close` from freeing the model under a caller's feet.

        Raises:
            ServerError: the model is closed.
        """
        with self._idle:
            if self._closed:
                raise lm15.ServerError("The model is closed.")
            self._calls += 1
        try:
            yield
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Free the weights once nobody uses them."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._calls == 0)
        if self.handle:
            llama.llama_model_free(self.handle)
            self.handle = None

    def _read_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            with self.in_use():
                length = llama.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
            if length >= 0:
                return buffer.raw[:length]
            size = -length


def pointer_to(array: npt.NDArray[Any], kind: Any) -> Any:
    """Return an array's memory as a C pointer; the array must outlive it."""
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
