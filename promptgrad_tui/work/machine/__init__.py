"""This machine: its models, its memory, recent projects, and whether everything works."""
