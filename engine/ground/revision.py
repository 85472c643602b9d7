"""The exact identity of the weights behind an answer: measurements and artifacts belong to one revision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ModelKind = Literal["gguf", "ollama", "openai", "scripted"]


def sha256_of(text: str) -> str:
    """Return `sha256:` and the 64 hex digits of a text's UTF-8 bytes."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def short_digest(digest: str) -> str:
    """Return the first 12 hex digits of a digest, for folder names and screens."""
    return digest.rpartition(":")[2][:12]


@dataclass(frozen=True)
class ModelRevision:
    """One exact model, identified by the hash of its content and never by its name.

    Two revisions are equal if `digest` and `template_digest` are equal: another chat template feeds the model
    other tokens. The same weights behind Ollama and in process are therefore *two* revisions (Ollama's digest
    also covers its template and parameters), and what was proved on one has to be proved again on the other.
    `same_weights` recognizes such a pair.
    """

    kind: ModelKind = field(compare=False)
    digest: str
    """`sha256:` + 64 hex of a GGUF or of Ollama's manifest; `unverified:` + 64 hex of a description."""
    template_digest: str | None = None
    """`sha256:` + 64 hex of the chat template in use, or None where the server keeps it to itself."""
    name: str = field(default="", compare=False)
    """For display only."""
    weights_digest: str | None = field(default=None, compare=False)
    """`sha256:` + 64 hex of the weights alone, where they are known."""
    engine: str = field(default="", compare=False)
    """What ran it, with its version; for the record only."""
    numerics: str = field(default="", compare=False)
    """What the last bits of its answers depend on: the build of llama.cpp and what of the processor chooses
    its kernels. Empty where nobody tells, as behind a server; it begins with `varying` where answers may
    also depend on what else is asked at the time.
    """

    @classmethod
    def unverified(cls, kind: ModelKind, name: str, description: str) -> ModelRevision:
        """Return the revision of a server without a hash, from all that it says of its model."""
        return cls(kind, sha256_of(description).replace("sha256:", "unverified:"), name=name)

    @property
    def verified(self) -> bool:
        """Whether the digest covers the model's content rather than a server's description of it."""
        return self.digest.startswith("sha256:")

    @property
    def short(self) -> str:
        """The first 12 hex digits of the digest, for folder names and screens."""
        return short_digest(self.digest)

    @property
    def repeats_answers(self) -> bool:
        """Whether the same request is known to get the same answer each time on this machine."""
        return bool(self.numerics) and not self.numerics.startswith("varying")

    @property
    def answers_as(self) -> list[str | None]:
        """Everything of the model that an answer depends on; an answer of an equal one may be reused."""
        return [self.digest, self.template_digest, *([self.numerics] if self.numerics else [])]

    def same_weights(self, other: ModelRevision) -> bool:
        """Whether both revisions run the same weights, perhaps through another template or engine."""
        return self.weights_digest is not None and self.weights_digest == other.weights_digest

    def as_dict(self) -> dict[str, Any]:
        """Return the revision as JSON-ready data, `verified` included for readers without this class."""
        return {**asdict(self), "verified": self.verified}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelRevision:
        """Return what `as_dict` was made from; keys of later versions are ignored."""
        fields = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**fields)
