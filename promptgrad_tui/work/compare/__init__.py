"""Two programs side by side, example by example."""
