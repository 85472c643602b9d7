"""The run screen and what it leads to."""
