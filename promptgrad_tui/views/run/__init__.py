"""A run's events folded once, and drawn as rows, lines and sentences. Needs neither Textual nor DSPy."""
