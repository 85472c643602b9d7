"""When a run stops before its last epoch: nothing gets better, or nothing changes any more."""

from __future__ import annotations

from engine.project.config import PromptGradConfig


class Stopping:
    """Watches the validation scores of epochs: patience with those that don't improve, and convergence.

    A run has converged if its last `convergence_window` scores lie less than `convergence_threshold` apart.
    So a run stops whose epochs still improve, each by next to nothing, which patience would let go on.
    """

    def __init__(self, config: PromptGradConfig) -> None:
        self._config = config
        self._scores: list[float] = []
        self._without_gain = 0

    def reason(self, score: float, *, improved: bool) -> str | None:
        """Return why to stop after an epoch with this score, as a part of a sentence; None to go on."""
        self._scores.append(score)
        self._without_gain = 0 if improved else self._without_gain + 1
        if self._without_gain >= self._config.early_stop_patience:
            return f"{self._without_gain} epochs in a row brought no improvement"
        window = self._config.convergence_window
        recent = self._scores[-window:] if window else []
        if window and len(recent) == window:
            spread = max(recent) - min(recent)
            if spread < self._config.convergence_threshold:
                return f"the scores of the last {window} epochs lie within {spread:.3f}: it has converged"
        return None
