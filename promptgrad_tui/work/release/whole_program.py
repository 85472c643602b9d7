"""An artifact's whole program as DSPy saves one: a pickle, which is written on request only."""

from __future__ import annotations

from pathlib import Path

from engine.ground.errors import ArtifactError
from engine.release.manifest import read_artifact
from promptgrad_tui.work.code.offline import import_dspy_offline

PICKLE_WARNING = (
    "This is a pickle: whoever loads it runs the code that is in it, so load only what you made yourself. It "
    "says nothing of the model that it was proved on, needs the same versions of Python and DSPy, and isn't "
    "verified. The artifact itself has none of these faults."
)


def write_program(artifact: Path, folder: Path, out: Path) -> None:
    """Save an artifact's program, with rules and demonstrations, so that `dspy.load` brings it back whole.

    Raises:
        ArtifactError: the artifact is damaged, it is conditional, or the folder can't be written.
    """
    manifest, _ = read_artifact(artifact)
    if manifest.selection is not None:
        raise ArtifactError(
            f"{artifact} chooses rules or demonstrations by input, which only this package can do.",
            hint="Use --to python: one file that needs only dspy.",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out} is there already.", hint="Name a new folder: --out.")
    import_dspy_offline()
    from promptgrad_tui.work.release.exporting import export_source

    source = export_source(artifact, folder)
    try:
        source.loaded.save(str(out), save_program=True)
    except Exception as error:  # what a program of one's own holds may be no matter for a pickle
        raise ArtifactError(
            f"{artifact} can't be saved as a whole: {type(error).__name__}: {error}.",
            hint="Use --to dspy or --to python.",
        ) from error
