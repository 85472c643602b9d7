"""The labels that a run doubts, for terminal, screen and report."""
