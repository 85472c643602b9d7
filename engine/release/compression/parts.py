"""A prompt in the parts that can be compressed: base instructions, rules, demonstrations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import dspy

from engine.programs.demonstrations import Demonstration, DemonstrationSet
from engine.programs.rules import Rule, RuleSet
from engine.programs.state import LearnedState

Level = Literal["demonstration", "sentence", "token"]

_SENTENCE = re.compile(r".+?(?:[.!?](?=\s|$)\s*|\n+|$)", re.DOTALL)
_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Shown:
    """A demonstration as a predictor shows it; `learned` is None for one that belongs to the base."""

    predictor: str
    values: Mapping[str, Any]
    inputs: tuple[str, ...]
    learned: Demonstration | None = None


@dataclass(frozen=True)
class Text:
    """A text of the prompt that can be shortened: where it is, and what it says."""

    kind: Literal["base", "rule", "demonstration"]
    place: str | int
    field: str
    words: str

    def pieces(self, level: Level) -> list[str]:
        """Return the text in sentences or in words, each with the blanks around it."""
        return (_SENTENCE if level == "sentence" else _WORD).findall(self.words)


@dataclass(frozen=True)
class PromptParts:
    """What a program says to its model besides the input."""

    base: Mapping[str, str]
    rules: tuple[Rule, ...]
    shown: tuple[Shown, ...]

    @classmethod
    def of(cls, base: dspy.Module, state: LearnedState) -> PromptParts:
        """Return the parts of a base with what was learned on it."""
        steps = dict(base.named_predictors())
        inputs = {name: tuple(step.signature.input_fields) for name, step in steps.items()}
        own = [Shown(name, dict(demo), inputs[name]) for name, step in steps.items() for demo in step.demos]
        first = next(iter(steps))
        learned = [
            Shown(one.predictor or first, one.values, inputs[one.predictor or first], one)
            for one in state.demonstrations
        ]
        instructions = {name: step.signature.instructions for name, step in steps.items()}
        return cls(instructions, state.rules.rules, (*own, *learned))

    def base_module(self, program: dspy.Module) -> dspy.Module:
        """Return the base alone: its instructions, and the demonstrations that belong to it."""
        module = program.deepcopy()
        for name, step in module.named_predictors():
            step.signature = step.signature.with_instructions(self.base[name])
            step.demos = [
                dspy.Example(**one.values)
                for one in self.shown
                if one.predictor == name and one.learned is None
            ]
        return module

    @property
    def state(self) -> LearnedState:
        """What was learned on the base."""
        return LearnedState(
            RuleSet(self.rules), DemonstrationSet(one.learned for one in self.shown if one.learned)
        )

    def texts(self, *, with_base: bool) -> list[Text]:
        """Return the texts that can be shortened; the base's instructions only `with_base`."""
        base = [Text("base", name, "", text) for name, text in self.base.items()] if with_base else []
        rules = [Text("rule", number, "", rule.text) for number, rule in enumerate(self.rules)]
        shown = [
            Text("demonstration", number, name, value)
            for number, one in enumerate(self.shown)
            for name in one.inputs
            if isinstance(value := one.values.get(name), str)
        ]
        return [*base, *rules, *shown]

    def saying(self, said: Sequence[tuple[Text, str]]) -> PromptParts:
        """Return the parts with other texts: a rule or demonstration without words is left out."""
        rules: list[Rule | None] = list(self.rules)
        shown: list[Shown | None] = list(self.shown)
        base = dict(self.base)
        for text, words in said:
            words = words.strip()
            if words == text.words.strip():
                continue
            if text.kind == "base":
                base[str(text.place)] = words or text.words
            elif isinstance(text.place, int) and text.kind == "rule":
                rule = self.rules[text.place]
                rules[text.place] = _said(rule, words) if words else None
            elif isinstance(text.place, int):
                one = shown[text.place]
                shown[text.place] = _with_input(one, text.field, words) if one and words else None
        return replace(
            self,
            base=base,
            rules=tuple(rule for rule in rules if rule is not None),
            shown=tuple(one for one in shown if one is not None),
        )


def pieces_of(texts: Sequence[Text], level: Level) -> list[tuple[int, str]]:
    """Return the pieces of all texts in order, each with the number of its text."""
    return [(number, piece) for number, text in enumerate(texts) for piece in text.pieces(level)]


def sayer(
    parts: PromptParts, texts: Sequence[Text], pieces: Sequence[tuple[int, str]]
) -> Callable[[Sequence[int]], PromptParts]:
    """Return a function from the numbers of the pieces that are left to the parts that say only those."""

    def say(left: Sequence[int]) -> PromptParts:
        kept = set(left)
        words = [""] * len(texts)
        for number, (text, piece) in enumerate(pieces):
            words[text] += piece if number in kept else ""
        return parts.saying(list(zip(texts, words, strict=True)))

    return say


def _said(rule: Rule, words: str) -> Rule:
    # Its evidence is of the words that were tested.
    note = f"compressed from: {rule.text}"
    return rule.model_copy(update={"text": words, "evidence": None, "note": note})


def _with_input(one: Shown, field: str, words: str) -> Shown:
    learned = one.learned
    if learned is not None:
        learned = learned.model_copy(update={"inputs": {**learned.inputs, field: words}, "evidence": None})
    return replace(one, values={**one.values, field: words}, learned=learned)
