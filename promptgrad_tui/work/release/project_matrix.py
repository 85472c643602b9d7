"""A project's compilation matrix: its artifacts and transfers, compared with the project as it is now."""

from __future__ import annotations

from engine.journal.journal import Journal, journal_path
from engine.project.fingerprint import project_fingerprint
from engine.project.settings import Project
from engine.release.matrix import Matrix, read_matrix


def project_matrix(project: Project) -> Matrix:
    """Return what was proved and measured for a project, with today's gates and what is stale by now.

    Raises:
        ArtifactError: the file of releases is damaged.
        JournalError: the journal is damaged.
    """
    root, fingerprint = project.root / "artifacts", project_fingerprint(project)
    journal_file = journal_path(project.root)
    if not journal_file.exists():  # a repository keeps its artifacts without it
        return read_matrix(root, fingerprint, project.gates)
    with Journal.open(journal_file, read_only=True) as journal:
        return read_matrix(root, fingerprint, project.gates, journal)
