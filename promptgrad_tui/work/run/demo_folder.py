"""Where the demo project goes."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import ProjectError


def write_demo(folder: Path | None, seed: int) -> Path:
    """Write the demo project into `folder`, by default the next free ./promptgrad-demo, and return it.

    Raises:
        ProjectError: the folder holds a project already, or can't be written.
    """
    from models.demo.project import write_demo_project

    target = folder or free_folder(Path("promptgrad-demo"))
    try:
        write_demo_project(target, seed)
    except FileExistsError as error:
        raise ProjectError(str(error), hint="Give a new folder with --dir, or run what is there.") from None
    except OSError as error:
        raise ProjectError(
            f"{target} can't be written: {error.strerror or error}.", hint="Choose another folder with --dir."
        ) from error
    return target


def free_folder(wanted: Path) -> Path:
    """Return `wanted`, or the first of `wanted-2`, `wanted-3` ... that doesn't exist."""
    number, folder = 2, wanted
    while folder.exists():
        folder = wanted.with_name(f"{wanted.name}-{number}")
        number += 1
    return folder
