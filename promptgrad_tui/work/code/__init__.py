"""The code that a project names, made into programs and metrics and kept apart from ours."""
