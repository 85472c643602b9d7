"""Shorter prompts by the very model that will serve: what it can predict anyway is left out first."""
