"""A project: `promptgrad.toml`, data files, splits, near-duplicates and fingerprints.

It stands on `engine.ground`, `engine.programs` and `engine.journal.journal`.
"""

PROJECT_FILE = "promptgrad.toml"
"""What makes a folder a project."""
