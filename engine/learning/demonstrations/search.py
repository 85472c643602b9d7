"""The search for demonstrations: as many training examples as may be shown, tested as one set.

They are drawn in equal parts from all answers. Choosing the examples that a model gets wrong brought nothing
here, nor elsewhere (Margatina et al. 2023, arXiv 2305.14264), and costs a prompt for each. The whole set is
tested first, as more examples rarely do harm; if it fails, a short beginning is. If all that speaks for it is
a gain of the score that may be chance, most of it is left out again where the score doesn't fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.ground.examples import Item
from engine.ground.figures import count_text
from engine.ground.seeds import generator
from engine.journal.events import Emit
from engine.journal.learning_events import Candidate, CandidatesProposed, LayerAction
from engine.learning.answers import AnswerSpace
from engine.learning.demonstrations.bootstrapping import BOOTSTRAPPED, bootstrapped
from engine.learning.demonstrations.draws import Fits, balanced_draw, fitting, labelled
from engine.learning.layer_tests import LayerChange, LayerResult, LayerTester
from engine.learning.place import Place
from engine.learning.rollouts import RolloutRunner
from engine.programs.demonstrations import DemonstrationSet
from engine.programs.state import LearnedState

_BEGINNINGS = (36, 12)
"""Demonstrations that are tested where more hardly help; the fewest also where more fail."""


@dataclass(frozen=True)
class _Set:
    title: str
    source: str
    demonstrations: DemonstrationSet

    def beginnings(self) -> list[_Set]:
        """Return the sets of its first examples, the largest first; runs of a program are few anyway."""
        if self.source == BOOTSTRAPPED:
            return []
        shown = self.demonstrations.demonstrations
        return [
            _Set(f"its first {count} examples", self.source, DemonstrationSet(shown[:count]))
            for count in _BEGINNINGS
            if count < len(shown)
        ]


class DemonstrationSearch:
    """Finds training examples worth showing: one set in a fixed order, tested as a whole."""

    def __init__(
        self,
        runner: RolloutRunner,
        tester: LayerTester,
        space: AnswerSpace | None,
        train: Sequence[Item],
        fits: Fits,
        *,
        most: int,
        spared: int,
        is_pool: bool,
        seed: int,
        emit: Emit,
    ) -> None:
        """Search for up to `most` demonstrations; if possible, `spared` examples aren't shown, for batches.

        Of a pool each input meets only the most similar ones: to shorten it would shorten no prompt.
        """
        self._runner = runner
        self._tester = tester
        self._space = space
        self._train = train
        self._fits = fits
        self._most = most
        self._spared = spared
        self._is_pool = is_pool
        self._seed = seed
        self._emit = emit

    def propose(self, state: LearnedState, place: Place) -> Iterator[LayerResult]:
        """Yield the tests of the whole set, of a short one if it fails, and of those that shorten it."""
        whole = self._drawn(state, place.epoch)
        self._report(whole, place)
        sets = [whole, *whole.beginnings()[-1:]] if len(whole.demonstrations) else []
        for chosen in sets:
            result = self._test("add", chosen.title, state, chosen, place)
            yield result
            if result.is_accepted:
                is_likelier = result.evidence.likelihood is not None
                if result.evidence.low <= 0 and not is_likelier and not self._is_pool:
                    kept = replace(chosen, demonstrations=result.state.demonstrations)
                    yield from self._shortened(result.state, kept, place)
                return

    def _shortened(self, state: LearnedState, shown: _Set, place: Place) -> Iterator[LayerResult]:
        """Yield tests of a state with fewer of its demonstrations, the fewest first, until one passes."""
        for fewer in reversed(shown.beginnings()):
            title = f"{len(shown.demonstrations) - len(fewer.demonstrations)} fewer examples"
            result = self._test("remove", title, state, fewer, place)
            yield result
            if result.is_accepted:
                return

    def _test(
        self, action: LayerAction, title: str, state: LearnedState, found: _Set, place: Place
    ) -> LayerResult:
        after = state.with_demonstrations(found.demonstrations)
        return self._tester.test(
            LayerChange("demonstrations", action, found.source, title, state, after, place)
        )

    def _drawn(self, state: LearnedState, epoch: int) -> _Set:
        """Return the examples that fit; where they lack outputs, what the program did with them."""
        if self._space is not None and self._is_labelled(self._space):
            return self._labelled(self._space, epoch)
        shown = bootstrapped(self._runner, state, self._train, self._most, self._seed, epoch)
        return _Set("answers of the program that were right", BOOTSTRAPPED, fitting(shown, self._fits))

    def _labelled(self, space: AnswerSpace, epoch: int) -> _Set:
        rng = generator(self._seed, "demonstrations", epoch)
        room = max(len(self._train) - self._spared, _BEGINNINGS[0])
        drawn = balanced_draw(self._train, space, min(self._most, room), rng)
        outputs = self._outputs(space)
        shown = DemonstrationSet(labelled(item, space.predictor, outputs, "balanced") for item in drawn)
        fitted = fitting(shown, self._fits)
        title = count_text(len(drawn), "training example")
        title += ", in equal parts of all answers" if space.is_closed else ""
        title = f"{len(fitted)} of {title}" if len(fitted) < len(drawn) else title
        return _Set(title, "balanced", fitted)

    def _outputs(self, space: AnswerSpace) -> list[str]:
        return list(self._runner.program.signature(space.predictor).output_fields)

    def _is_labelled(self, space: AnswerSpace) -> bool:
        """Whether the training examples hold every output of the program's only predictor."""
        outputs = self._outputs(space)
        is_single = len(self._runner.program.predictors) == 1
        return is_single and all(
            item.values.get(name) is not None for item in self._train for name in outputs
        )

    def _report(self, found: _Set, place: Place) -> None:
        candidate = Candidate(
            id=found.demonstrations.digest,
            source=found.source,
            title=found.title,
            demonstrations=found.demonstrations.demonstrations,
        )
        self._emit(
            CandidatesProposed(
                id=f"{place}/candidates/demonstrations",
                epoch=place.epoch,
                batch=place.batch,
                source="demonstrations",
                candidates=(candidate,) if len(found.demonstrations) else (),
            )
        )
