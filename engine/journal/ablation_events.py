"""What each layer of a result brings: the program with only one of them."""

from __future__ import annotations

from typing import Literal

from engine.ground.interval import Interval
from engine.journal.event_base import BaseEvent


class LayersCompared(BaseEvent):
    """What each layer of the best state contributes on the whole validation split (an ablation).

    A layer that the state doesn't have has no score of its own.
    """

    kind: Literal["layers"] = "layers"
    base: Interval
    rules_only: Interval | None
    demonstrations_only: Interval | None
    both: Interval
