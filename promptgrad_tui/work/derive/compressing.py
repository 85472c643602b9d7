"""`promptgrad compress`: a shorter version of an artifact, tested step by step on the project's examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from engine.ground.errors import ArtifactError
from engine.ground.examples import Item
from engine.ground.model import Progress
from engine.ground.seeds import generator
from engine.ground.statistics import mean_interval
from engine.journal.events import Event, SplitScores
from engine.learning.rollouts import Rollout, RolloutRunner
from engine.programs.state import LearnedState
from engine.release.artifacts import ArtifactContent, save_artifact
from engine.release.compression.compression import Compressed, Compressor
from engine.release.compression.parts import Level, PromptParts
from engine.release.compression.surprisal import surprisal_of
from engine.release.judged import agreement_of
from engine.release.manifest import content_digest
from engine.release.measurement import Measurement
from engine.release.objectives.margin import margin_for
from engine.release.release_gate import evaluate_gates
from engine.release.run_plan import installed_versions
from engine.release.sealed_test import TestSplit, measure_test_split
from promptgrad_tui.views.artifacts.compression import CompressedArtifact, tests_text
from promptgrad_tui.work.answer_progress import rollout_counter
from promptgrad_tui.work.measure.measuring import Setting, setting_of


@dataclass(frozen=True)
class _Measured:
    scores: Sequence[float]
    tokens: Sequence[int]


def compress(
    artifact: Path,
    folder: Path,
    levels: Sequence[Level],
    margin: float | None,
    *,
    with_base: bool,
    most_examples: int,
    on_line: Callable[[str], None],
    on_progress: Progress,
) -> CompressedArtifact:
    """Compress an artifact's prompt and save what is left as a new artifact; nothing is asked twice.

    Steps are tested on validation and on the training examples that the prompt doesn't show, on so many of
    them at most. The test split is opened once, for what was found. `on_line` gets what is to come and each
    test as it begins, `on_progress` each answer.

    Raises:
        ArtifactError: it is damaged, conditional, or has nothing to compress.
        ConfigError: the margin can't be shown on so few examples, or the model has no log-probabilities.
        PromptGradError: something in the project or the model can't be used.
    """
    with setting_of(artifact, folder, None) as setting:
        manifest = setting.manifest
        if manifest.selection is not None:
            raise ArtifactError(
                f"{artifact} picks rules or demonstrations for each input: its prompt is as short as that "
                "already.",
                hint="Compress an artifact that shows all of them to every input.",
            )
        parts = PromptParts.of(setting.base, manifest.state)
        work = _Work(setting, parts, most_examples, on_progress)

        def on_test(level: Level, number: int, most: int) -> None:
            on_line(f"{level}: test {number} of at most {most}")
            work.begin(f"{level}, test {number}")

        compressor = Compressor(
            work.measure,
            len(work.items),
            surprisal_of(setting.replay, setting.model),
            margin_for(len(work.items), margin, "--margin"),
            with_base=with_base,
            on_test=on_test,
        )
        most = compressor.most_tests(parts, levels)
        work.begin("the prompt as it is")
        work.measure(parts, range(len(work.items)))
        on_line(tests_text(len(work.items), most, setting.replay.seconds_per_call))
        found = compressor.compress(parts, levels)
        saved = work.save(found) if found.parts != parts else None
        base = {name: (text, found.parts.base[name]) for name, text in parts.base.items()}
        return CompressedArtifact(
            artifact=artifact,
            saved=saved,
            found=found,
            n=len(work.items),
            base={name: pair for name, pair in base.items() if pair[0] != pair[1]},
        )


class _Work:
    """Measures prompts on the examples, and saves the one that was found."""

    def __init__(self, setting: Setting, parts: PromptParts, most: int, on_progress: Progress) -> None:
        self._setting = setting
        self._on_progress = on_progress
        splits = setting.parts.splits
        runner = setting.runner
        shown = [_inputs(one.values, one.inputs) for one in parts.shown]
        train = [
            item
            for item in runner.items([one.values for one in splits.train], "train")
            if _inputs(item.values, tuple(item.inputs)) not in shown
        ]
        self._validation = runner.items([one.values for one in splits.validation or ()], "validation")
        rng = generator(setting.manifest.seed, "compress")
        self.items = _drawn(self._validation, most, rng)
        self.items += _drawn(train, most - len(self.items), rng)
        self._known: dict[str, dict[int, Rollout]] = {}
        self.begin("")

    def begin(self, doing: str) -> None:
        """Count answers from here on, as those of what is being done."""
        self._count = rollout_counter(doing, len(self.items), self._on_progress)

    def measure(self, parts: PromptParts, numbers: Sequence[int]) -> _Measured:
        """Return the scores and prompt tokens of a prompt on the examples with these numbers."""
        known = self._known.setdefault(repr(parts), {})
        new = [number for number in numbers if number not in known]
        if new:
            program = parts.base_module(self._setting.parts.program)
            with closing(self._setting.runner_of(program, self._answered)) as runner:
                known |= zip(
                    new, runner.run(parts.state, [self.items[number] for number in new]), strict=True
                )
        rollouts = [known[number] for number in numbers]
        return _Measured(
            [rollout.score.value for rollout in rollouts], [rollout.tokens.prompt for rollout in rollouts]
        )

    def _answered(self, event: Event) -> None:
        self._count(event)
        self._setting.emit(event)

    def save(self, found: Compressed) -> Path:
        """Measure the compressed program on the test split and save it."""
        setting, manifest = self._setting, self._setting.manifest
        program = setting.parts.program
        base, state = found.parts.base_module(program), found.parts.state
        tested = f"compressed-{content_digest(repr(base.dump_state()))[-12:]}-{state.digest}"
        run = f"{setting.run}.{tested}"

        def kept(event: Event) -> None:
            setting.journal.append(run, event)

        with closing(setting.runner_of(base, kept)) as runner:
            # Mostly known; their answers are kept for comparisons.
            scores = [rollout.score.value for rollout in runner.run(state, self._validation)]
            measured, opening = self._on_test_split(runner, state, tested)
            module = runner.program.with_state(state)
            instructions = runner.program.instructions(state.rules)
        last = found.steps[-1]
        compressed = {
            "of": manifest.files["program.json"],
            "ratio": found.ratio,
            "margin": found.margin,
            "gain": last.gain.model_dump(),
            "levels": [step.level for step in found.steps],
        }
        return save_artifact(
            setting.project.root / "artifacts",
            ArtifactContent(
                name=manifest.name,
                module=module,
                base=program,
                base_instructions=found.parts.base,
                instructions=instructions,
                rules=state.rules.rules,
                demonstrations=state.demonstrations.demonstrations,
                config=manifest.config,
                seed=manifest.seed,
                metric=manifest.metric,
                revision=setting.model.revision,
                model_uri=setting.model.uri,
                data=manifest.data,
                baseline=_with_test(manifest.baseline, measured, optimized=False),
                optimized=_with_test(
                    SplitScores(validation=mean_interval(scores) if scores else None),
                    measured,
                    optimized=True,
                ),
                run=run,
                versions=installed_versions(),
                details={**manifest.details, "compressed": compressed},
                measurement=measured or Measurement(),
                gates=evaluate_gates(setting.project.gates, measured, agreement_of(manifest)).results
                if measured
                else (),
                test_opening=opening,
                adapter=setting.adapter,
            ),
        )

    def _on_test_split(
        self, runner: RolloutRunner, state: LearnedState, tested: str
    ) -> tuple[Measurement | None, int]:
        setting = self._setting
        examples = setting.parts.splits.test
        if not examples:
            return None, 0
        gates = setting.project.gates
        split = TestSplit(examples, setting.project.data.slice, is_timed=gates.ask_latency)
        with closing(setting.runner_of(setting.parts.program)) as own:
            return measure_test_split(
                setting.journal,
                setting.run,
                split,
                runner,
                state,
                place=tested,
                purpose="release",
                program=setting.manifest.program,
                model=setting.model,
                emit=setting.emit,
                baseline=own,
                tested=tested,
            )


def _drawn(items: Sequence[Item], most: int, rng: Random) -> list[Item]:
    return list(items) if len(items) <= most else rng.sample(items, most)


def _with_test(scores: SplitScores, measured: Measurement | None, *, optimized: bool) -> SplitScores:
    if measured is None:
        return scores.model_copy(update={"test": None})
    return scores.model_copy(update={"test": measured.optimized if optimized else measured.baseline})


def _inputs(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values.get(name) for name in sorted(names)}
