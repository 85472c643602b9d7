"""How much work a run is: model calls by plan, and how many are still to come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.journal.event_parts import Phase
from engine.journal.events import AnalysisFinished, Emit, Event
from engine.journal.learning_events import QuestionAnswered
from engine.project.config import PromptGradConfig

_PROPOSALS_PER_BATCH = 2.0
_REFERENCE = {"failure_analysis"}
_LEFT_TO_CORRECT = 0.9
"""The cost of a batch's tests relative to the batch before: kept rules leave fewer failures."""
_ORDER: tuple[Phase, ...] = (
    "rollouts",
    "demonstrations",
    "proposals",
    "gradients",
    "validation",
    "merging",
)


@dataclass(frozen=True)
class Workload:
    """Calls of each part of a run, for splits of given sizes.

    A rollout counts as one call for each of `predictors`. `tests` is the expected number of rules tested
    in a batch; each test costs the new side of its pairs, and half of the old side, since the rest is known.
    `layers` are the tests of demonstrations and of sets of rules, and the scores of each layer alone.
    """

    baseline: int
    rollouts: int
    gradients: int
    validation: int
    epoch: int
    test: int
    layers: int = 0

    @classmethod
    def of(
        cls,
        config: PromptGradConfig,
        validation: int,
        test: int,
        tests: float = _PROPOSALS_PER_BATCH,
        predictors: int = 1,
    ) -> Workload:
        """Return the workload of `config` for splits of `validation` and `test` examples."""
        subset = min(config.rule_validation_examples, validation) if config.validate_rules else 0
        return cls(
            baseline=validation * config.num_val_runs * predictors,
            rollouts=config.batch_size * predictors,
            gradients=config.gradient_samples if config.gradient_consensus else 1,
            validation=round(tests * subset * 1.5) * predictors,
            epoch=validation * config.num_val_runs * predictors,
            test=2 * test * predictors,
            layers=validation * predictors * _layer_tests(config),
        )

    def batches(self, count: int, *, ahead: int = 0) -> int:
        """Calls of `count` batches, the first of which comes `ahead` batches after this one."""
        tests = self.validation * sum(_LEFT_TO_CORRECT**number for number in range(ahead, ahead + count))
        return count * (self.rollouts + self.gradients) + round(tests)

    def total(self, config: PromptGradConfig) -> int:
        """Calls of a whole run that doesn't stop early."""
        batches = self.batches(config.epochs * config.batches_per_epoch)
        return self.baseline + batches + self.layers + config.epochs * self.epoch + self.test

    def remaining(self, config: PromptGradConfig, phase: Phase, epoch: int, batch: int) -> int:
        """Calls still to come at the beginning of `phase`, if the run doesn't stop early."""
        if phase == "baseline":
            return self.total(config)
        if phase in ("layers", "test", "artifact"):
            return 0 if phase == "artifact" else self.test
        later_epochs = config.epochs - epoch
        rest = (later_epochs + 1) * self.epoch + self.test
        later_batches = later_epochs * config.batches_per_epoch
        if phase in ("elimination", "epoch"):
            return rest + self.batches(later_batches)
        parts = {"rollouts": self.rollouts, "gradients": self.gradients, "validation": self.validation}
        here = sum(parts.get(part, 0) for part in _ORDER[_ORDER.index(phase) :])
        here += self.layers if (epoch, batch) == (1, 1) else 0
        return rest + here + self.batches(later_batches + config.batches_per_epoch - batch, ahead=1)


def _layer_tests(config: PromptGradConfig) -> int:
    """Return how many tests of sets and demonstrations a run has if the demonstrations pass the first."""
    return (config.max_demonstrations > 0) + 2 * (set(config.sources) != _REFERENCE)


class Forecast:
    """Calls done, and calls expected in total, at each phase of a run.

    The cost of a batch's tests is estimated from the run's own batches. The last batch counts for
    half, the one before for a quarter, and so on.
    """

    def __init__(
        self,
        config: PromptGradConfig,
        validation: int,
        test: int,
        done: Callable[[], int] = lambda: 0,
        predictors: int = 1,
    ) -> None:
        self._config = config
        self._workload = Workload.of(config, validation, test, predictors=predictors)
        self._done = done
        self._tests = float(self._workload.validation)
        self._batch: tuple[int, int] | None = None
        self._begun: int | None = None
        self._tested = 0

    def at(self, phase: Phase, epoch: int, batch: int) -> tuple[int, int]:
        """Return (calls done, calls expected in total) at the beginning of `phase`."""
        done = self._done()
        self._learn(phase, (epoch, batch), done)
        workload = replace(self._workload, validation=round(self._tests))
        return done, done + workload.remaining(self._config, phase, epoch, batch)

    def _learn(self, phase: Phase, batch: tuple[int, int], done: int) -> None:
        if self._begun is not None:
            self._tested += done - self._begun
            self._begun = None
        if phase == "validation":
            self._begun = done
        elif phase in ("rollouts", "epoch"):
            if self._batch is not None:
                self._tests = _LEFT_TO_CORRECT * (self._tests + self._tested) / 2
            self._batch, self._tested = (batch if phase == "rollouts" else None), 0


class ReflectionCount:
    """Passes events on, and counts the reflection model's calls in them."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.calls = 0

    def __call__(self, event: Event) -> None:
        """Count an event's calls and pass it on."""
        if isinstance(event, AnalysisFinished | QuestionAnswered):
            self.calls += len(event.completions) or 1
        self._emit(event)
