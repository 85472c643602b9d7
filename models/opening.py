"""Opens a model by its URI, or reads its revision alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from engine.ground.model import LocalModel, Progress
from engine.ground.revision import ModelRevision
from models.errors import CHOOSE_ANOTHER, ChatTemplateError, ModelError, ModelUriError
from models.gguf.hashing import gguf_revision
from models.gguf.header import read_header, shards
from models.gguf.memory import check_fits
from models.gguf.package import require_llama_cpp
from models.settings import ModelSettings
from models.today import date_in_key
from models.uri import DemoUri, GGUFUri, OllamaUri, file_of, parse_uri


def open_model(
    uri: str,
    *,
    settings: ModelSettings | None = None,
    project_dir: Path | None = None,
    log_file: Path | None = None,
    on_progress: Progress | None = None,
) -> LocalModel:
    """Open a model; close it, or use it as a context manager.

    `log_file` receives what llama.cpp prints. `on_progress` is called during hashing, loading and waiting.

    Raises:
        ModelUriError: the URI can't be read.
        ModelError: the model can't be found, read, loaded or reached; the hint says what to do.
    """
    settings = settings or ModelSettings()
    target = parse_uri(uri, project_dir)
    if isinstance(target, DemoUri | GGUFUri):
        return _open_gguf(uri, file_of(target), settings, project_dir, log_file, on_progress)
    if isinstance(target, OllamaUri):
        from models.ollama.model import open_ollama

        return open_ollama(target.name, settings, on_progress)
    from models.openai.model import open_openai

    return open_openai(target, settings, on_progress)


def open_in_process(
    served: LocalModel,
    *,
    settings: ModelSettings | None = None,
    log_file: Path | None = None,
    on_progress: Progress | None = None,
) -> LocalModel:
    """Open the file of a model that Ollama serves in this process, with the same prompt around messages.

    Raises:
        ModelUriError: it isn't a model of Ollama.
        ModelError: the file isn't on this machine, can't be opened, or makes other prompts.
    """
    from models.ollama.model import OllamaModel
    from models.ollama.same_prompts import refuse_other_prompts

    if not isinstance(served, OllamaModel):
        raise ModelUriError(
            f"{served.uri} can't search in process: only Ollama tells which file it reads.",
            hint='Take search = "in_process" out of [model].',
        )
    path = served.blob
    if path is None:
        raise ModelError(
            f"{served.uri} can't search in process: its file isn't on this machine.",
            hint='Take search = "in_process" out of [model], or run where Ollama runs.',
        )
    settings = settings or ModelSettings()
    switches = {**settings.template_switches, **date_in_key(served.printed_date)}
    model = open_model(
        f"gguf:{path}",
        settings=settings.model_copy(
            update={"context_length": served.context_length, "template_switches": switches}
        ),
        log_file=log_file,
        on_progress=on_progress,
    )
    try:
        refuse_other_prompts(served, cast(Any, model))
    except BaseException:
        model.close()
        raise
    return model


def check_models_fit(uris: Sequence[str], settings: ModelSettings, project_dir: Path | None = None) -> None:
    """Check that models which will be open at once fit into memory, before any of them is loaded.

    Raises:
        ModelUriError: a URI can't be read.
        ModelError: they don't fit, or a file is missing or damaged. Servers manage their own memory.
    """
    targets = dict.fromkeys(parse_uri(uri, project_dir) for uri in uris)
    for uri in uris:
        if isinstance(parse_uri(uri, project_dir), DemoUri | GGUFUri):
            require_llama_cpp(uri)
    check_fits(settings, *(file_of(target) for target in targets if isinstance(target, DemoUri | GGUFUri)))


def read_revision(
    uri: str,
    *,
    settings: ModelSettings | None = None,
    project_dir: Path | None = None,
    on_progress: Progress | None = None,
) -> ModelRevision:
    """Return the exact revision that `open_model` would open now, without loading it.

    Raises:
        ModelUriError: the URI can't be read.
        ModelError: the model can't be found, read or reached; the hint says what to do.
    """
    target = parse_uri(uri, project_dir)
    if isinstance(target, DemoUri | GGUFUri):
        path = file_of(target)
        template = _chat_template(settings or ModelSettings(), project_dir)
        return gguf_revision(path, chat_template=template, on_progress=on_progress)
    if isinstance(target, OllamaUri):
        from models.ollama.revision import ollama_revision

        return ollama_revision(target.name)
    from models.openai.api import ask_all

    load_seconds = (settings or ModelSettings()).timeout_seconds
    return ask_all(target, load_seconds=load_seconds, report=on_progress).revision


def _open_gguf(
    uri: str,
    path: Path,
    settings: ModelSettings,
    project_dir: Path | None,
    log_file: Path | None,
    on_progress: Progress | None,
) -> LocalModel:
    require_llama_cpp(uri)
    unable = read_header(shards(path)[0]).unable
    if unable:
        raise ModelError(f"{uri} can't be used here: {unable}.", hint=CHOOSE_ANOTHER)
    template = _chat_template(settings, project_dir)
    check_fits(settings, path)
    revision = gguf_revision(path, chat_template=template, on_progress=on_progress)
    from models.gguf.model import GGUFModel

    return GGUFModel(
        shards(path)[0],
        uri=uri,
        revision=revision,
        settings=settings.model_copy(update={"chat_template": template}),
        log_file=log_file,
        on_progress=on_progress,
    )


def _chat_template(settings: ModelSettings, project_dir: Path | None) -> str | None:
    """Return the text of the template file that the settings name."""
    if settings.chat_template is None:
        return None
    path = (project_dir or Path.cwd()) / Path(settings.chat_template).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"The chat template {path} can't be read: {error}."
        raise ChatTemplateError(problem, hint="Correct `chat_template` under [model].") from error
