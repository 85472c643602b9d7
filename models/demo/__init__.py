"""The embedded demo model and the small world it knows; importing this loads neither."""

from __future__ import annotations

from pathlib import Path

__all__ = ["demo_model_path"]


def demo_model_path() -> Path:
    """Return where the demo model's GGUF file lies."""
    return Path(__file__).with_name("promptgrad-demo.gguf")
