"""The base of what is read from files and written to them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A model that can't be changed, and that refuses fields it doesn't name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
