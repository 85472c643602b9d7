"""A model that was found on this machine, as data: light enough for a screen to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.speed.throughput import Throughput


@dataclass(frozen=True)
class FoundModel:
    """A model that `open_model(uri)` can open, unless `problem` says why not."""

    uri: str
    name: str
    place: str
    """Where it was found: demo, project, PROMPTGRAD_MODELS, LM Studio, Hugging Face, Ollama, server."""
    size: int = 0
    """Bytes on the disk."""
    files: int = 1
    """The number of files: more than one if the model is split into shards."""
    architecture: str = ""
    quantization: str = ""
    parameters: str = ""
    """Such as `4.0B`."""
    context_length: int | None = None
    """Tokens that the model was trained for."""
    has_template: bool | None = None
    """Whether it brings a chat template; None if a server doesn't say."""
    revision: str | None = None
    """`sha256:` + 64 hex if it is known without reading gigabytes; `unverified:` + 64 from a server."""
    needed: int | None = None
    """About how many bytes of memory it takes in process; None if a server decides."""
    fits: bool | None = None
    """Whether it fits into the memory that is free now; None if a server decides."""
    is_loaded: bool | None = None
    """Whether a server has it in memory now; None if no server says."""
    throughput: Throughput | None = None
    """What `promptgrad models measure` measured for this revision on this machine."""
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FoundModel:
        """Return what `as_dict` was made from; keys of later versions are ignored."""
        fields = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        measured = fields.get("throughput")
        return cls(**{**fields, "throughput": Throughput.from_dict(measured) if measured else None})
