"""GGUF models in this process, on llama.cpp, with one scheduler per model."""

from models.gguf.model import GGUFModel
from models.gguf.scheduler import Statistics

__all__ = ["GGUFModel", "Statistics"]
