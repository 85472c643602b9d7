"""A new project: commented, complete, and running as it is on the demo model."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import ProjectError

_TEMPLATES = Path(__file__).parents[2] / "templates"


def init_project(directory: Path) -> list[Path]:
    """Write a new project into `directory` and return its files; nothing that exists is overwritten.

    Raises:
        ProjectError: one of the files is there already, or can't be written.
    """
    templates = sorted(path for path in _TEMPLATES.rglob("*") if path.is_file())
    files = [directory / path.relative_to(_TEMPLATES) for path in templates]
    for file in files:
        if file.exists():
            raise ProjectError(
                f"{file} exists already, and nothing is overwritten.",
                hint="Choose a new folder, or move the file away.",
            )
    try:
        for template, file in zip(templates, files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as target:
                target.write(template.read_bytes())
    except OSError as error:
        raise ProjectError(
            f"{directory} can't be written: {error.strerror or error}.", hint="Choose another folder."
        ) from error
    return files
