"""Keeps DSPy and what comes with it from reaching out, and from caches that are not ours."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from promptgrad_tui.views.terminal import keeping_stdout

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or litellm fetches a price list when it is imported
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


_LOGGERS = ("dspy", "promptgrad")
_KEEPS = "promptgrad.keeps_stdout"


def import_dspy_offline() -> None:
    """Import DSPy so that nothing leaves the machine and only the journal remembers completions."""
    os.environ.update(_ENVIRONMENT)
    # The types of the openai package, which DSPy brings, make pydantic warn of what nobody here can change.
    warnings.filterwarnings("ignore", message=".*`ReadOnly` qualifier", category=UserWarning)
    # A field may have the name of something in DSPy's classes, such as `copy`: it is read all the same.
    warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
    import dspy

    _keep_stdout()
    _silence_bars()
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    # What DSPy logs belongs into a run's log, never between the lines of a screen.
    logger = logging.getLogger("dspy")
    logger.handlers.clear()
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _keep_stdout() -> None:
    """From here on a project's own Python may run: what it prints isn't a command's answer."""
    context = click.get_current_context(silent=True)
    if context is None or _KEEPS in context.meta:
        return
    context.meta[_KEEPS] = True
    context.find_root().with_resource(keeping_stdout())


def _silence_bars() -> None:
    """Let `dspy.Parallel` draw no progress bar: it would stand between the lines of a run."""
    import tqdm
    from dspy.utils import parallelizer

    def silent(**options: Any) -> Any:
        return tqdm.tqdm(**options | {"disable": True})

    silent._instances = tqdm.tqdm._instances  # type: ignore[attr-defined]
    parallelizer.tqdm = SimpleNamespace(tqdm=silent)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what DSPy and the engine log to a file while the context lasts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
