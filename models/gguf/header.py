"""What a GGUF file says about itself, read without loading it.

The layout is that of the GGUF specification, versions 2 and 3 (ggml's `docs/gguf.md`).
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from models.errors import ModelFileError, ModelNotFoundError

MAGIC = b"GGUF"
_LFS = b"version https://git-lfs"
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
LENGTH = struct.Struct("<Q")
MOST_DIMENSIONS = 8
LONGEST_KEPT_ARRAY = 1024
"""Longer arrays are vocabularies; nobody who reads a header wants them."""

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
"""`general.file_type` as people write it (`enum llama_ftype` in llama.h)."""

_RANKS = 4
"""`pooling_type` of a reranker (`enum llama_pooling_type` in llama.h)."""
_EMBEDDERS = frozenset(
    {"bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3"}
)
_IMAGE_MAKERS = frozenset(
    {"flux", "sd1", "sd3", "sdxl", "wan", "aura", "hidream", "cosmos", "ltxv", "lumina2"}
)

SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True)
class GGUFHeader:
    """The metadata of one GGUF file and the sum of its tensors."""

    metadata: dict[str, Any] = field(repr=False)
    """Scalars, strings and short arrays by their GGUF key."""
    array_lengths: dict[str, int] = field(repr=False)
    """The length of every array, also of those too long to be kept."""
    parameter_count: int
    """Weights in this file."""

    @property
    def architecture(self) -> str:
        """The name llama.cpp knows the network by, such as `qwen3`."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def name(self) -> str:
        """The name its maker gave it; for display only."""
        return str(self.metadata.get("general.name", ""))

    @property
    def quantization(self) -> str:
        """Such as `Q4_K_M`; for display only."""
        kind = self.metadata.get("general.file_type")
        return FILE_TYPES.get(kind, "unknown") if isinstance(kind, int) else "unknown"

    @property
    def chat_template(self) -> str | None:
        """The jinja template that came with the weights."""
        template = self.metadata.get("tokenizer.chat_template")
        return template if isinstance(template, str) else None

    @property
    def context_length(self) -> int | None:
        """The tokens that the model was trained to attend to."""
        length = self.of_architecture("context_length")
        return length if isinstance(length, int) else None

    @property
    def is_language_model(self) -> bool:
        """Whether it has a vocabulary and weights: no projector, adapter or vocabulary alone."""
        kind = self.metadata.get("general.type", "model")
        return kind == "model" and self.parameter_count > 0 and "tokenizer.ggml.model" in self.metadata

    @property
    def makes_images(self) -> bool:
        """Whether it is a model that makes images, which has no vocabulary."""
        return self.architecture in _IMAGE_MAKERS

    @property
    def embeds(self) -> bool:
        """Whether it turns texts into vectors that can be compared."""
        pooling = self.of_architecture("pooling_type")
        return pooling != _RANKS and (bool(pooling) or self.architecture in _EMBEDDERS)

    @property
    def unable(self) -> str:
        """Why it can't answer prompts, or nothing: it embeds or ranks texts, makes images, or is a part."""
        pooling = self.of_architecture("pooling_type")
        if pooling == _RANKS:
            return "it ranks documents (a reranker) and writes no text"
        if pooling is not None or self.architecture in _EMBEDDERS:
            return "it turns texts into vectors (an embedding model) and writes none"
        if self.makes_images:
            return "it makes images and writes no text"
        if not self.is_language_model:
            return "it is a projector, an adapter or a vocabulary, and no model by itself"
        return ""

    def of_architecture(self, key: str) -> Any:
        """Return a value that is kept under the architecture's name, such as `block_count`."""
        return self.metadata.get(f"{self.architecture}.{key}")


def read_header(path: Path) -> GGUFHeader:
    """Return a GGUF file's header; a file of some GB takes milliseconds.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFileError: it isn't a GGUF file, or damaged, or incomplete; the message names the byte.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise ModelFileError(f"{path} is empty.", hint="Download it again.")
            if file.read(len(_LFS)) == _LFS:
                raise ModelFileError(
                    f"{path} is a Git LFS pointer: the model itself was never downloaded.",
                    hint="Get it with `git lfs pull` in its folder, or with `promptgrad models pull`.",
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data).header()
    except FileNotFoundError:
        hint = "`promptgrad models` lists what is here."
        raise ModelNotFoundError(f"There is no file {path}.", hint=hint) from None
    except OSError as error:
        problem = f"{path} can't be read: {error.strerror}."
        raise ModelFileError(problem, hint="Check its permissions.") from error


def shards(path: Path) -> list[Path]:
    """Return the files of a model in order: the file itself, or all shards where it is one of several.

    Raises:
        ModelNotFoundError: a shard is missing.
    """
    files = [path.with_name(name) for name in shard_names(path.name)]
    if len(files) == 1:
        return [path]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise ModelNotFoundError(
            f"{path} is one of {len(files)} shards, and {missing[0]} is missing.",
            hint=f"Put all {len(files)} into {path.parent}.",
        )
    return files


def shard_names(name: str) -> list[str]:
    """Return the names of all shards of which this is one, in order, or the name alone."""
    match = SHARD.search(name)
    if not match:
        return [name]
    return [f"{name[: match.start()]}-{i:05d}-of-{match[2]}.gguf" for i in range(1, int(match[2]) + 1)]


class _Reader:
    """Walks over the header once; `at` is the byte that is read next."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.at = 0

    def header(self) -> GGUFHeader:
        if self.take(4) != MAGIC:
            raise ModelFileError(f"{self.path} isn't a GGUF file.", hint="Only .gguf models run in process.")
        version = self.number("I")
        if version not in (2, 3):
            raise ModelFileError(
                f"{self.path} has GGUF version {version}; versions 2 and 3 can be read.",
                hint="Convert or download it again.",
            )
        tensor_count, pair_count = self.number("Q"), self.number("Q")
        metadata: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(pair_count):
            key = self.string()
            self.pair(key, metadata, lengths)
        parameters = self.tensors(tensor_count, _alignment(metadata))
        return GGUFHeader(metadata, lengths, parameters)

    def pair(self, key: str, metadata: dict[str, Any], lengths: dict[str, int]) -> None:
        kind = self.number("I")
        if kind != ARRAY:
            metadata[key] = self.value(kind)
            return
        kind, length = self.number("I"), self.number("Q")
        lengths[key] = length
        if length <= LONGEST_KEPT_ARRAY and kind != ARRAY:
            metadata[key] = [self.value(kind) for _ in range(length)]
        else:
            self.skip(kind, length)

    def value(self, kind: int) -> Any:
        return self.string() if kind == STRING else self.number(self.format_of(kind))

    def skip(self, kind: int, length: int) -> None:
        if kind == STRING:
            self.skip_strings(length)
        else:
            self.take(length * struct.calcsize(f"<{self.format_of(kind)}"))

    def skip_strings(self, count: int) -> None:
        """Pass over a vocabulary; this loop is most of the time that a header takes."""
        if count * LENGTH.size > len(self.data) - self.at:
            raise self.damaged(f"{count} strings are announced at byte {self.at} of {len(self.data)}")
        at, data, length_at = self.at, self.data, LENGTH.unpack_from
        try:
            for _ in range(count):
                at += 8 + length_at(data, at)[0]
        except struct.error:
            raise self.damaged(f"a string begins at byte {at} of {len(self.data)}") from None
        self.at = at

    def tensors(self, count: int, alignment: int) -> int:
        """Return the number of weights, after a look at whether the file reaches its last tensor."""
        parameters, last = 0, 0
        for _ in range(count):
            self.take(self.number("Q"))
            rank = self.number("I")
            if rank > MOST_DIMENSIONS:
                raise self.damaged(f"a tensor of {rank} dimensions at byte {self.at}")
            dimensions = [self.number("Q") for _ in range(rank)]
            self.take(4)
            parameters += prod(dimensions)
            last = max(last, self.number("Q"))
        start = -(-self.at // alignment) * alignment + last
        if count and start >= len(self.data):
            raise self.damaged(f"its last tensor begins at byte {start} of {len(self.data)}")
        return parameters

    def format_of(self, kind: int) -> str:
        if kind not in SCALARS:
            raise self.damaged(f"unknown value type {kind} at byte {self.at}")
        return SCALARS[kind]

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise self.damaged(f"{size} bytes are announced at byte {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size : self.at]

    def damaged(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path} is damaged or incomplete: {what}.", hint="Download it again.")


def _alignment(metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment")
    return alignment if isinstance(alignment, int) and alignment > 0 else 32
