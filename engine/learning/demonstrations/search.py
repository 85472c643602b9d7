"""The search for demonstrations: a set that grows by what the model still gets wrong, and its paired tests.

A third of the set is drawn in equal parts from all answers. Twice, the rest of the training examples is
screened with what is shown so far, and the hardest ones join. Examples that a model answers right anyway
teach it little: hard ones bring more (uncertainty sampling, Diao et al. 2023, arXiv 2302.12246). If more may
be shown, others follow. Where all training examples may be shown, they are drawn in equal parts, and nothing
is screened. The whole set is tested first, as more examples rarely do harm; if it fails, its beginning is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from engine.ground.examples import Item
from engine.ground.seeds import generator
from engine.journal.events import Emit
from engine.journal.learning_events import Candidate, CandidatesProposed, Screened, ScreeningFinished
from engine.learning.answers import AnswerSpace
from engine.learning.demonstrations.bootstrapping import bootstrapped
from engine.learning.demonstrations.draws import Fits, balanced_draw, fitting, labelled
from engine.learning.layer_tests import LayerChange, LayerResult, LayerTester
from engine.learning.place import Place
from engine.learning.rollouts import RolloutRunner
from engine.learning.screening.signal import Signal
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.state import LearnedState

_SEARCHED = 36
"""Demonstrations that are searched for; behind them the choice and the order of others matter little."""
_BEGINNINGS = (_SEARCHED, 12)
"""Demonstrations that are tested where the whole set failed: long prompts confuse some models."""
_ROUNDS = 2
"""How often the hardest examples join those that were drawn."""


@dataclass(frozen=True)
class _Set:
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
        spared: int,
        seed: int,
        emit: Emit,
    ) -> None:
        """Search for up to `most` demonstrations; batches need `spared` examples that aren't shown."""
        self._runner = runner
        self._tester = tester
        self._signal = signal
        self._space = space
        self._train = train
        self._fits = fits
        self._most = most
        self._spared = spared
        self._seed = seed
        self._emit = emit

    def propose(self, state: LearnedState, place: Place) -> Iterator[LayerResult]:
        """Yield the test of the whole set, then those of its beginnings until one passes."""
        sets = self._sets(state, place.epoch)
        self._report(sets, place)
        if not sets or not len(sets[-1].demonstrations):
            return
        for chosen in _largest_first(sets[-1]):
            result = self._test(state, chosen, place)
            yield result
            if result.is_accepted:
                return

    def _test(self, state: LearnedState, found: _Set, place: Place) -> LayerResult:
        after = state.with_demonstrations(found.demonstrations)
        return self._tester.test(
            LayerChange("demonstrations", "add", found.source, found.title, state, after, place)
        )

    def _sets(self, state: LearnedState, epoch: int) -> list[_Set]:
        """Return the sets in the order in which they grew, the whole one last."""
        if self._space is not None and self._is_labelled(self._space):
            return self._grown(state, self._space, epoch)
        most = min(self._most, _SEARCHED)
        shown = bootstrapped(self._runner, state, self._train, most, self._seed, epoch)
        fitted = fitting(shown, self._fits)
        if not len(fitted) or fitted == state.demonstrations:
            return []
        return [_Set("answers of the program that were right", "bootstrapped", fitted)]

    @property
    def _room(self) -> int:
        """How many training examples may be shown in all."""
        return min(self._most, len(self._train) - self._spared)

    def _grown(self, state: LearnedState, space: AnswerSpace, epoch: int) -> list[_Set]:
        rng = generator(self._seed, "demonstrations", epoch)
        rest = balanced_draw(self._train, space, len(self._train), rng)
        most = min(self._most, _SEARCHED, len(rest))
        rounds = _ROUNDS if self._room < len(rest) else 0
        first = ceil(most / (rounds + 1))
        shown, rest = rest[:first], rest[first:]
        source = "hardest" if rounds else "balanced"
        sets = [self._set(shown, space, source, f"{len(shown)} examples, in equal parts of all answers")]
        for left in range(rounds, 0, -1):
            more = ceil((most - len(shown)) / left)
            if not more or len(sets[-1].demonstrations) < len(shown):
                break  # the set is complete, or the prompt is full
            values = self._signal.values(state.with_demonstrations(sets[-1].demonstrations), rest)
            order = sorted(range(len(rest)), key=values.__getitem__)
            hardest = [rest[index] for index in order[:more]]
            title = f"{len(shown)} examples and the {more} hardest of {len(rest)} others"
            rng.shuffle(hardest)  # so that neither the hardest nor one answer stands next to the question
            shown, rest = [*shown, *hardest], [rest[index] for index in sorted(order[more:])]
            sets.append(self._set(shown, space, source, title))
        return [*sets, *self._with_others(sets[-1], space, epoch)]

    def _with_others(self, found: _Set, space: AnswerSpace, epoch: int) -> Iterator[_Set]:
        """Yield a set with other training examples behind it, if there is room for any."""
        shown = found.demonstrations
        rng = generator(self._seed, "demonstrations", epoch, "rest")
        others = [item for item in self._train if item.key not in shown.examples]
        drawn = balanced_draw(others, space, max(self._room - len(shown), 0), rng)
        whole = fitting(DemonstrationSet([*shown, *self._labelled(drawn, space, "balanced")]), self._fits)
        more = len(whole) - len(shown)
        if more > 0:
            yield _Set(f"{len(shown)} examples and {more} others", found.source, whole)

    def _set(self, items: Sequence[Item], space: AnswerSpace, source: str, title: str) -> _Set:
        shown = fitting(DemonstrationSet(self._labelled(items, space, source)), self._fits)
        return _Set(title if len(shown) == len(items) else f"{len(shown)} of {title}", source, shown)

    def _labelled(self, items: Sequence[Item], space: AnswerSpace, source: str) -> list[Demonstration]:
        outputs = self._outputs(space)
        return [labelled(item, space.predictor, outputs, source) for item in items]

    def _outputs(self, space: AnswerSpace) -> list[str]:
        return list(self._runner.program.signature(space.predictor).output_fields)

    def _is_labelled(self, space: AnswerSpace) -> bool:
        """Whether the training examples hold every output of the program's only predictor."""
        outputs = self._outputs(space)
        is_single = len(self._runner.program.predictors) == 1
        return is_single and all(
            item.values.get(name) is not None for item in self._train for name in outputs
        )

    def _report(self, sets: Sequence[_Set], place: Place) -> None:
        self._emit(
            CandidatesProposed(
                id=f"{place}/candidates/demonstrations",
                epoch=place.epoch,
                batch=place.batch,
                source="demonstrations",
                candidates=tuple(
                    Candidate(
                        id=found.demonstrations.digest,
                        source=found.source,
                        title=found.title,
                        demonstrations=found.demonstrations.demonstrations,
                    )
                    for found in sets
                ),
            )
        )
        rows = tuple(
            Screened(
                candidate=found.demonstrations.digest,
                title=found.title,
                source=found.source,
                gain=0.0,
                error=0.0,
                n=0,
                is_tested=found is sets[-1],
                reason="the whole set" if found is sets[-1] else "it grew",
            )
            for found in sets
        )
        self._emit(
            ScreeningFinished(
                id=f"{place}/screening/demonstrations",
                epoch=place.epoch,
                batch=place.batch,
                layer="demonstrations",
                signal=self._signal.name,
                rows=rows,
                asked=self._signal.asked,
            )
        )


def _largest_first(whole: _Set) -> Iterator[_Set]:
    """Yield a set and its beginnings."""
    yield whole
    shown = whole.demonstrations.demonstrations
    for count in _BEGINNINGS:
        if count < len(shown):
            yield _Set(f"its first {count} examples", whole.source, DemonstrationSet(shown[:count]))
