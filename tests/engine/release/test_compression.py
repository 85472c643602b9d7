"""Compression on the scripted desk: what the model can predict and doesn't need is left out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import dspy
import pytest

from engine.ground.errors import ConfigError
from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay
from engine.learning.rollouts import RolloutRunner
from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.program import FrozenProgram
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState
from engine.release.compression.compression import Compressed, Compressor
from engine.release.compression.parts import Level, PromptParts
from engine.release.compression.surprisal import Surprisal, surprisal_of
from engine.testing import ScriptedEngine, ScriptedModel
from tests.engine.desk import BASE, POLICY, Desk, desk_model, desk_program, exact, tickets

FILLER = "Kindly remember in every single case"
STATE = LearnedState(
    RuleSet(Rule(text=f"{FILLER} Tickets that mention {p} go to {q}.") for p, q in POLICY.items()),
    DemonstrationSet(
        Demonstration(inputs={"ticket": f"shown {n}"}, outputs={"queue": "general"}) for n in range(4)
    ),
)


class InProcess(ScriptedModel):
    """A desk that predicts the filler's words and no others; it counts how often it was asked to."""

    scored = 0

    def score(self, prompt: str, continuations: Sequence[str], *, among: bool = False) -> list[float]:
        del prompt, among
        InProcess.scored += 1
        return [-0.1 if text.strip() in FILLER.split() else -6.0 for text in continuations]


@dataclass(frozen=True)
class Measured:
    scores: list[float]
    tokens: list[int]


def compressed(
    *levels: Level, with_base: bool = False, in_process: bool = True, margin: float = 0.07
) -> Compressed:
    model = InProcess(ScriptedEngine(Desk().answer)) if in_process else desk_model()
    replay = Replay(MemoryCompletions(), "run")

    def measure(parts: PromptParts, numbers: Sequence[int]) -> Measured:
        runner = RolloutRunner(
            FrozenProgram(parts.base_module(desk_program())),
            exact,
            replay.lm(model),
            adapter=dspy.JSONAdapter(),
            emit=lambda event: None,
        )
        with closing(runner):
            items = runner.items(tickets(60, 2), "validation")
            rollouts = runner.run(parts.state, [items[number] for number in numbers])
        return Measured([one.score.value for one in rollouts], [one.tokens.prompt for one in rollouts])

    compressor = Compressor(measure, 60, surprisal_of(replay, model), margin, with_base=with_base)
    return compressor.compress(PromptParts.of(desk_program(), STATE), levels)


def test_demonstrations_that_are_not_missed_go() -> None:
    found = compressed("demonstration")
    (step,) = found.steps
    assert (step.dropped, step.of, step.tested) == (4, 4, 1)
    assert step.after < step.before
    assert found.ratio == step.after / step.before
    assert found.parts.shown == ()
    assert len(found.parts.rules) == len(POLICY)


def test_words_that_the_model_predicts_go_and_the_others_stay() -> None:
    found = compressed("demonstration", "sentence", "token")
    (_, sentences, words) = found.steps
    assert sentences.dropped == 0, "each rule is one sentence, and is needed"
    assert sentences.left_out >= 36, "without any rule too much is lost by the second fifth"
    said = [rule.text for rule in found.parts.rules]
    assert [text.split("Tickets")[1] for text in said] == [
        f" that mention {phrase} go to {queue}." for phrase, queue in POLICY.items()
    ]
    assert sum(len(text.split()) for text in said) < 0.75 * sum(
        len(rule.text.split()) for rule in STATE.rules
    )
    assert words.gain.score == 0.0
    assert all(rule.evidence is None for rule in found.parts.rules)
    assert all(rule.note.startswith("compressed from: Kindly") for rule in found.parts.rules)


def test_the_base_is_left_alone_unless_it_is_named() -> None:
    assert compressed("sentence").parts.base == {"self": BASE}
    base = compressed("sentence", with_base=True).parts.base["self"]
    # The desk reads no instructions; what remains is that a program has some.
    assert base in BASE
    assert len(base) < len(BASE)


def test_a_model_without_log_probabilities_leaves_out_no_words() -> None:
    with pytest.raises(ConfigError, match="log-probabilities"):
        compressed("token", in_process=False)
    assert compressed("demonstration", in_process=False).parts.shown == ()


def test_a_text_is_scored_once() -> None:
    replay = Replay(MemoryCompletions(), "run")
    surprisal = surprisal_of(replay, InProcess(ScriptedEngine(Desk().answer)))
    assert isinstance(surprisal, Surprisal)
    InProcess.scored = 0
    first, second = (surprisal.of(["Kindly", " remember", " drone"]) for _ in range(2))
    assert first == second
    assert first[1] == pytest.approx(0.1)
    assert first[2] == pytest.approx(6.0)
    assert InProcess.scored == 2, "the first word has nothing before it"
