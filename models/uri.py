"""Model URIs: `demo`, `gguf:PATH`, `hf:OWNER/REPO[:QUANT]`, `ollama:NAME`, `openai:URL[,URL...]#NAME`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.demo import demo_model_path
from models.errors import ModelUriError
from models.hub_names import HubName, cached_file

FORMS = "Use demo, gguf:PATH.gguf, hf:OWNER/REPO, ollama:NAME or openai:http://HOST:PORT/v1#NAME."


@dataclass(frozen=True)
class DemoUri:
    """The embedded demo model."""


@dataclass(frozen=True)
class GGUFUri:
    """A GGUF file."""

    path: Path


@dataclass(frozen=True)
class OllamaUri:
    """A model of the Ollama server at `OLLAMA_HOST`."""

    name: str


@dataclass(frozen=True)
class OpenAIUri:
    """A model behind one or more OpenAI-compatible servers."""

    endpoints: tuple[str, ...]
    name: str

    @property
    def text(self) -> str:
        """The URI itself."""
        return f"openai:{','.join(self.endpoints)}#{self.name}"


ModelUri = DemoUri | GGUFUri | OllamaUri | OpenAIUri


def file_of(target: DemoUri | GGUFUri) -> Path:
    """Return the file of a model that runs in process; for one in shards, the one that is named.

    Raises:
        ModelUriError: it names a folder; the hint says which files are in it.
    """
    path = demo_model_path() if isinstance(target, DemoUri) else target.path
    if path.is_dir():
        inside = ", ".join(sorted(file.name for file in path.glob("*.gguf"))) or "no GGUF file"
        raise ModelUriError(f"{path} is a folder.", hint=f"Name a file in it; there is {inside}.")
    return path


def parse_uri(uri: str, project_dir: Path | None = None) -> ModelUri:
    """Return what a model URI names; a relative path is resolved in the project's folder.

    A model of the hub is its file on this machine: nothing is ever downloaded for it.

    Raises:
        ModelUriError: the URI can't be read; the hint shows the valid forms.
    """
    scheme, _, target = uri.strip().partition(":")
    if scheme == "demo" and not target:
        return DemoUri()
    if scheme == "gguf" and target:
        return GGUFUri((project_dir or Path.cwd()) / Path(target).expanduser())
    if scheme == "ollama" and target and not any(map(str.isspace, target)):
        return OllamaUri(target if ":" in target.rpartition("/")[2] else f"{target}:latest")
    if scheme == "openai" and target:
        return _openai(uri, target)
    if scheme == "hf" and target:
        return _downloaded(HubName.of(target))
    raise ModelUriError(f"{uri!r} isn't a model URI.", hint=_hint(uri, scheme))


def _downloaded(name: HubName) -> GGUFUri:
    path = cached_file(name)
    if path is None:
        raise ModelUriError(
            f"{name} isn't on this machine.", hint=f"Download it first: promptgrad models pull {name}"
        )
    return GGUFUri(path)


def _openai(uri: str, target: str) -> OpenAIUri:
    addresses, _, name = target.partition("#")
    endpoints = tuple(address.strip().rstrip("/") for address in addresses.split(","))
    for endpoint in endpoints:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ModelUriError(f"{endpoint!r} in {uri!r} isn't an http address.", hint=FORMS)
        if parts.username or parts.password:
            raise ModelUriError(
                f"A URI must not carry a password: {parts.hostname}.",
                hint="Set PROMPTGRAD_API_KEY in the environment instead.",
            )
    if not name:
        raise ModelUriError(f"{uri!r} names no model.", hint=f"Add #NAME, as in openai:{endpoints[0]}#NAME.")
    return OpenAIUri(endpoints, name)


def _hint(uri: str, scheme: str) -> str:
    if scheme == "file":
        return f"Write gguf:{unquote(urlsplit(uri).path) or 'PATH'}"
    if uri.endswith(".gguf"):
        return f"Write gguf:{uri}"
    return f"{FORMS} `promptgrad models` lists the models on this machine."
