"""How a model is loaded and sampled: the `[model]` table of `promptgrad.toml`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from engine.ground.frozen_model import FrozenModel

DEFAULT_CONTEXT = 8192
"""Tokens of context, unless the settings say otherwise or the model or server has less."""

KeepAlive = Annotated[str, StringConstraints(pattern=r"^(-1|0|\d+(ms|s|m|h))$")]


class ModelSettings(FrozenModel):
    """Settings of one model; None leaves the choice to the model and the machine.

    Sampling settings are always sent in full, so that a server's or a Modelfile's own defaults never decide.
    """

    context_length: int | None = Field(
        None, ge=128, description="Tokens that a prompt and its answer may have together."
    )
    max_tokens: int = Field(1024, ge=1, description="Tokens that one answer may have.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 takes the likeliest token each time.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Samples from the likeliest tokens of this total weight."
    )
    top_k: int = Field(0, ge=0, description="Samples from this many tokens; 0 from all.")
    min_p: float = Field(0.0, ge=0, lt=1, description="Drops tokens below this share of the likeliest one.")
    repeat_penalty: float = Field(1.0, gt=0, le=4, description="Weakens the last 64 tokens; 1 is off.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the sampling where a request brings none.")
    think: bool | Literal["minimal", "low", "medium", "high", "max"] = Field(
        False, description="Lets a thinking model think before it answers; a level, where it has levels."
    )
    chat_template: str | None = Field(
        None, description="A jinja file in place of the GGUF's own template; a path, relative to the project."
    )
    template_switches: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="Variables for the chat template, for instance a date."
    )
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads, in process.")
    gpu_layers: int | None = Field(None, ge=-1, description="Layers on the GPU, in process; -1 is all.")
    sequences: int | None = Field(None, ge=1, le=128, description="Requests batched at a time, in process.")
    batch_size: int = Field(512, ge=16, le=8192, description="Tokens that one step evaluates, in process.")
    kv_memory: int | None = Field(
        None,
        ge=1,
        description="Megabytes for evaluated prompts, in process; by default an eighth of the memory.",
    )
    concurrency: int | None = Field(None, ge=1, le=1024, description="Requests sent to a server at a time.")
    keep_alive: KeepAlive = Field("30m", description="How long Ollama keeps the model: 30s, 5m, 1h, -1.")
    timeout_seconds: float = Field(600.0, gt=0, le=86_400, description="The longest wait for one answer.")

    def sampling(self) -> dict[str, Any]:
        """Return the settings that shape an answer but aren't part of a request."""
        fields = {"top_p", "top_k", "min_p", "repeat_penalty", "seed", "think", "template_switches"}
        return self.model_dump(include=fields)
