"""The models of servers: of a running Ollama server, and of the servers that a project names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.catalog.found import FoundModel
from models.errors import ModelError
from models.ollama.api import OllamaApi, ollama_address
from models.openai.api import ServerAnswers, ask_all, served_names
from models.speed.throughput import recall
from models.uri import OllamaUri, OpenAIUri, parse_uri

SERVER_SECONDS = 1.0
"""How long a server may take to answer."""


def served_models(
    named: Sequence[OllamaUri | OpenAIUri], environ: Mapping[str, str] = os.environ
) -> list[FoundModel]:
    """Return the models of an Ollama server and of the named servers, with their problems."""
    models = _served_by_ollama([uri.name for uri in named if isinstance(uri, OllamaUri)], environ)
    for uri in named:
        if isinstance(uri, OpenAIUri):
            known = {model.uri for model in models}
            models += [model for model in _served_by_openai(uri) if model.uri not in known]
    return models


def runs_at(uri: str) -> str:
    """Return the server that runs a model, or an empty text for one that runs in process.

    Raises:
        ModelUriError: the URI can't be read.
    """
    target = parse_uri(uri)
    if isinstance(target, OllamaUri):
        return ollama_address()
    return ",".join(target.endpoints) if isinstance(target, OpenAIUri) else ""


def _served_by_ollama(named: Sequence[str], environ: Mapping[str, str]) -> list[FoundModel]:
    """Return a server's models; if it doesn't answer, those that a project names, with the problem."""
    address, problem, models = ollama_address(environ), "", []
    try:
        with OllamaApi(address, seconds=SERVER_SECONDS) as api:
            running = {str(model.get("name")) for model in api.running()}
            models = [
                _of_ollama(listed, address, running)
                for listed in api.models()
                if not listed.get("remote_model")
            ]
        problem = f"Ollama at {address} doesn't have it."
    except ModelError as error:
        problem = error.message
    known = {model.name.casefold() for model in models}
    missing = [name for name in named if name.casefold() not in known]
    return [*models, *(FoundModel(f"ollama:{name}", name, "Ollama", problem=problem) for name in missing)]


def _of_ollama(listed: dict[str, Any], address: str, running: set[str]) -> FoundModel:
    details = listed.get("details") or {}
    able = listed.get("capabilities")
    digest = str(listed.get("digest") or "").removeprefix("sha256:")
    revision = f"sha256:{digest}" if digest else None
    name = str(listed.get("model") or listed.get("name"))
    return FoundModel(
        uri=f"ollama:{name}",
        name=name,
        place="Ollama",
        size=int(listed.get("size") or 0),
        architecture=str(details.get("family") or ""),
        quantization=str(details.get("quantization_level") or ""),
        parameters=str(details.get("parameter_size") or ""),
        revision=revision,
        is_loaded=name in running,
        throughput=recall(revision, address),
        problem=f"It writes no text, only {', '.join(able)}." if able and "completion" not in able else "",
    )


def _served_by_openai(target: OpenAIUri) -> Iterator[FoundModel]:
    """Yield the model that a project names, then the other models of its first server."""
    addresses = ",".join(target.endpoints)
    uri = f"openai:{addresses}#{target.name}"
    try:
        yield _of_openai(uri, addresses, ask_all(target, seconds=SERVER_SECONDS))
        for name in served_names(target.endpoints[0], seconds=SERVER_SECONDS):
            other = OpenAIUri(target.endpoints[:1], name)
            if name != target.name:
                answers = ask_all(other, seconds=SERVER_SECONDS)
                yield _of_openai(f"openai:{other.endpoints[0]}#{name}", other.endpoints[0], answers)
    except ModelError as error:
        yield FoundModel(uri, target.name, "server", problem=f"{error.message} {error.hint}".strip())


def _of_openai(uri: str, addresses: str, answers: ServerAnswers) -> FoundModel:
    """Return what a server says about a model: llama-server in `meta`, LM Studio next to the name."""
    model, meta = answers.model, answers.model.get("meta") or {}
    trained = meta.get("n_ctx_train") or model.get("max_context_length")
    revision = answers.revision.digest if answers.describes_model else None
    count = int(meta.get("n_params") or 0)
    return FoundModel(
        uri=uri,
        name=str(model["id"]),
        place="server",
        size=int(meta.get("size") or 0),
        architecture=str(model.get("arch") or ""),
        quantization=str(model.get("quantization") or ""),
        parameters=f"{count / 1e9:.1f}B" if count else "",
        context_length=answers.context_length or (int(trained) if trained else None),
        has_template=True if answers.props.get("chat_template") else None,
        revision=revision,
        is_loaded=answers.is_loaded,
        throughput=recall(revision, addresses),
        problem=f"It can't be used: {answers.unable}." if answers.unable else "",
    )
