"""Before a run: what `promptgrad check` looks at, and what the run will cost."""
