"""`promptgrad models measure`: a model is opened, measured, and the figures are remembered."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from models.speed.throughput import Throughput, remember
from promptgrad_tui.work.code.offline import import_dspy_offline

if TYPE_CHECKING:
    from engine.ground.model import Progress


def measure_model(uri: str, project: Path, sequences: int, on_progress: Progress) -> Throughput:
    """Measure a model with default settings, and remember the figures.

    Raises:
        ModelError: it can't be opened, or gives no answers.
    """
    import_dspy_offline()
    from models.catalog.served import runs_at
    from models.opening import open_model
    from models.speed.probe import measure

    with tempfile.TemporaryDirectory(prefix="promptgrad-") as folder:
        log = Path(folder) / "native.log"  # llama.cpp's output doesn't belong on a terminal
        with open_model(uri, project_dir=project, log_file=log, on_progress=on_progress) as model:
            measured = measure(model, sequences=sequences, on_progress=on_progress)
            remember(measured, model.revision.digest, runs_at(uri))
    return measured
