"""Everything known about one model without loading it: metadata, chat template, location."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.gguf.header import read_header, shards
from models.gguf.memory import available_bytes, kv_bytes_per_token, needed_bytes
from models.ollama.api import OllamaApi
from models.openai.api import ask_all
from models.uri import DemoUri, GGUFUri, OllamaUri, OpenAIUri, file_of, parse_uri

_HELD = ("size", "size_vram", "context_length", "expires_at")
"""What Ollama reports about a model that is in its memory."""


@dataclass(frozen=True)
class Description:
    """A model's description of itself; none of it is trusted, all of it is shown."""

    files: tuple[str, ...] = ()
    memory: dict[str, int] = field(default_factory=dict)
    """Bytes: of the weights, of the KV cache per token, needed in total, and free now."""
    chat_template: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {**vars(self), "files": list(self.files)}


def describe_model(uri: str, project_dir: Path | None = None) -> Description:
    """Return what a model's file or server says about it.

    Raises:
        ModelUriError: the URI can't be read.
        ModelError: the model isn't there, is damaged, or its server can't be reached.
    """
    target = parse_uri(uri, project_dir)
    if isinstance(target, DemoUri | GGUFUri):
        return _of_file(file_of(target))
    return _of_ollama(target) if isinstance(target, OllamaUri) else _of_openai(target)


def _of_file(path: Path) -> Description:
    files = shards(path)
    header = read_header(files[0])
    size = sum(file.stat().st_size for file in files)
    metadata = {key: value for key, value in header.metadata.items() if key != "tokenizer.chat_template"}
    lengths = {key: f"{n:,} values" for key, n in header.array_lengths.items() if key not in metadata}
    return Description(
        files=tuple(str(file.resolve()) for file in files),
        memory={
            "weights": size,
            "kv_per_token": kv_bytes_per_token(header),
            "needed": needed_bytes(header, size),
            "free": available_bytes(),
        },
        chat_template=header.chat_template or "",
        metadata=dict(sorted({**metadata, **lengths}.items())),
    )


def _of_ollama(target: OllamaUri) -> Description:
    with OllamaApi() as api:
        shown, loaded = api.show(target.name), api.loaded(target.name)
    kept = {key: shown[key] for key in ("parameters", "capabilities", "license") if shown.get(key)}
    info = {key: value for key, value in (shown.get("model_info") or {}).items() if value is not None}
    held = {f"in memory: {key}": value for key, value in (loaded or {}).items() if key in _HELD}
    return Description(chat_template=str(shown.get("template") or ""), metadata={**kept, **held, **info})


def _of_openai(target: OpenAIUri) -> Description:
    answers = ask_all(target)
    template = str(answers.props.get("chat_template") or "")
    props = {f"props: {key}": value for key, value in answers.props.items() if key != "chat_template"}
    return Description(chat_template=template, metadata={**answers.model, **props})
