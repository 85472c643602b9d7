"""A run from a project and what a person asked for to its result."""
