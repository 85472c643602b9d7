"""GGUF models in this process, on llama.cpp, with one scheduler per model."""
