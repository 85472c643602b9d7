"""The search for demonstrations: draws are ranked by screening, and the best goes to a paired test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.ground.seeds import generator
from engine.journal.events import Emit
from engine.journal.learning_events import Candidate, CandidatesProposed, Screened, ScreeningFinished
from engine.learning.answers import AnswerSpace
from engine.learning.demonstrations.bootstrapping import bootstrapped
from engine.learning.demonstrations.draws import Fits, balanced_draw, fitting, labelled
from engine.learning.layer_tests import LayerChange, LayerResult, LayerTester
from engine.learning.rollouts import Item, RolloutRunner
from engine.learning.screening.race import Standing, race
from engine.learning.screening.signal import Signal
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.state import LearnedState

_DRAWS = 2
_FEW = 12
"""Demonstrations that are tested where the whole draw failed: long prompts confuse some models."""
_SCREENED_ON = 12
"""Training examples that no draw shows; with fewer than twice as many, a single draw is tested at once."""


@dataclass(frozen=True)
class _Draw:
    title: str
    source: str
    demonstrations: DemonstrationSet


class DemonstrationSearch:
    """Finds training examples worth showing: one set in a fixed order, tested as a whole."""

    def __init__(
        self,
        runner: RolloutRunner,
        tester: LayerTester,
        signal: Signal,
        space: AnswerSpace | None,
        train: Sequence[Item],
        fits: Fits,
        *,
        most: int,
        seed: int,
        emit: Emit,
    ) -> None:
        self._runner = runner
        self._tester = tester
        self._signal = signal
        self._space = space
        self._train = train
        self._fits = fits
        self._most = most
        self._seed = seed
        self._emit = emit

    def propose(self, state: LearnedState, epoch: int, batch: int) -> LayerResult | None:
        """Return the test of the best draw added to the state; None if there is nothing to draw."""
        draws = self._draws(state, epoch, batch)
        if not draws:
            return None
        candidates = [state.with_demonstrations(draw.demonstrations) for draw in draws]
        chosen = 0
        if len(draws) > 1:
            standings = race(candidates, state, self._screened_on(epoch), self._signal)
            chosen = max(range(len(draws)), key=lambda index: (standings[index].gain, -index))
            self._report(draws, standings, chosen, epoch, batch)
        draw, shown = draws[chosen], draws[chosen].demonstrations.demonstrations
        result = self._test(state, draw, epoch, batch)
        if not result.is_accepted and len(shown) > _FEW:
            few = _Draw(f"its first {_FEW} examples", draw.source, DemonstrationSet(shown[:_FEW]))
            result = self._test(state, few, epoch, batch)
        return result

    def _test(self, state: LearnedState, draw: _Draw, epoch: int, batch: int) -> LayerResult:
        after = state.with_demonstrations(draw.demonstrations)
        return self._tester.test(
            LayerChange("demonstrations", "add", draw.source, draw.title, state, after, epoch, batch)
        )

    def _draws(self, state: LearnedState, epoch: int, batch: int) -> list[_Draw]:
        draws: list[_Draw] = []
        if self._space is not None and self._is_labelled(self._space):
            draws = self._labelled(self._space, epoch)
        else:
            shown = bootstrapped(self._runner, state, self._train, self._most, self._seed, epoch)
            draws = [_Draw("answers of the program that were right", "bootstrapped", shown)]
        fitted = [_Draw(draw.title, draw.source, fitting(draw.demonstrations, self._fits)) for draw in draws]
        unique = {
            draw.demonstrations.digest: draw
            for draw in reversed(fitted)
            if len(draw.demonstrations) and draw.demonstrations != state.demonstrations
        }
        found = list(reversed(unique.values()))
        self._emit(
            CandidatesProposed(
                id=f"epoch{epoch}/batch{batch}/candidates/demonstrations",
                epoch=epoch,
                batch=batch,
                source="demonstrations",
                candidates=tuple(
                    Candidate(
                        id=draw.demonstrations.digest,
                        source=draw.source,
                        title=draw.title,
                        demonstrations=draw.demonstrations.demonstrations,
                    )
                    for draw in found
                ),
            )
        )
        return found

    def _labelled(self, space: AnswerSpace, epoch: int) -> list[_Draw]:
        """Return draws that all leave out the same examples, so that they can be compared on those."""
        left_out = {item.key for item in self._screened_on(epoch)}
        pool = [item for item in self._train if item.key not in left_out]
        draws = []
        for index in range(_DRAWS if left_out else 1):
            rng = generator(self._seed, "demonstrations", epoch, index)
            items = balanced_draw(pool, space, min(self._most, len(pool)), rng)
            shown = DemonstrationSet(
                labelled(item, space.predictor, self._outputs(space), "balanced") for item in items
            )
            draws.append(_Draw(f"draw {index + 1} of {len(items)} examples", "balanced", shown))
        return draws

    def _screened_on(self, epoch: int) -> list[Item]:
        rng = generator(self._seed, "screening", epoch)
        if self._space is None or len(self._train) < 2 * _SCREENED_ON:
            return []
        return balanced_draw(self._train, self._space, _SCREENED_ON, rng)

    def _outputs(self, space: AnswerSpace) -> list[str]:
        return list(self._runner.program.signature(space.predictor).output_fields)

    def _is_labelled(self, space: AnswerSpace) -> bool:
        """Whether the training examples hold every output of the program's only predictor."""
        outputs = self._outputs(space)
        is_single = len(self._runner.program.predictors) == 1
        return is_single and all(
            item.values.get(name) is not None for item in self._train for name in outputs
        )

    def _report(
        self, draws: Sequence[_Draw], standings: Sequence[Standing], chosen: int, epoch: int, batch: int
    ) -> None:
        rows = tuple(
            Screened(
                candidate=draw.demonstrations.digest,
                title=draw.title,
                source=draw.source,
                gain=found.gain,
                error=found.error,
                n=found.n,
                is_tested=index == chosen,
                reason="the likeliest draw" if index == chosen else "another draw did better",
            )
            for index, (draw, found) in enumerate(zip(draws, standings, strict=True))
        )
        self._emit(
            ScreeningFinished(
                id=f"epoch{epoch}/batch{batch}/screening/demonstrations",
                epoch=epoch,
                batch=batch,
                layer="demonstrations",
                signal=self._signal.name,
                rows=rows,
                asked=self._signal.asked,
            )
        )
