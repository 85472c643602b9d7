"""Models behind OpenAI-compatible servers: llama-server, vLLM, LM Studio."""
