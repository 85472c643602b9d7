"""Two programs side by side: the shapes of a comparison, as lines and as JSON. Needs no DSPy."""
