"""The inputs that were tried in this session, gone through as in a shell."""

from __future__ import annotations

Inputs = dict[str, str]


class TryHistory:
    """Inputs in their order, and a place among them; what was being typed is kept behind the last."""

    def __init__(self) -> None:
        self._tried: list[Inputs] = []
        self._place = 0
        self._draft: Inputs = {}

    def add(self, inputs: Inputs) -> None:
        """Note an input that is tried; the place is behind it."""
        if not self._tried or self._tried[-1] != inputs:
            self._tried.append(dict(inputs))
        self._place = len(self._tried)

    def older(self, current: Inputs) -> Inputs:
        """Return the input before; `current` is what is typed now."""
        if self._place == len(self._tried):
            self._draft = dict(current)
            if self._tried and self._tried[-1] == current:
                self._place -= 1
        return self._move(-1, current)

    def newer(self, current: Inputs) -> Inputs:
        """Return the input after, behind the last one what was being typed."""
        return self._move(1, current)

    def _move(self, step: int, current: Inputs) -> Inputs:
        place = self._place + step
        if not 0 <= place <= len(self._tried):
            return current
        self._place = place
        return self._draft if place == len(self._tried) else self._tried[place]
