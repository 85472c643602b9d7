"""Criteria of a rubric, and what can be checked of them without a judge."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from engine.ground.frozen_model import FrozenModel
from engine.programs.metrics.json_values import as_object
from engine.programs.metrics.texts import contains

_ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d+[.)])\s+(?P<text>\S.*)$", re.MULTILINE)


class Criterion(FrozenModel):
    """One thing that a good answer does; an answer that fails its checks isn't put to the judge."""

    text: str = Field(min_length=1, description="What a good answer does, as in: names a time.")
    weight: float = Field(1.0, gt=0.0, description="How much it counts beside the others.")
    contains: str | None = Field(None, description="What the answer has to contain.")
    regex: str | None = Field(None, description="What has to be found in the answer.")
    json_fields: tuple[str, ...] = Field((), description="Fields that the answer's JSON object has to have.")
    min_words: int | None = Field(None, ge=0, description="Fewest words.")
    max_words: int | None = Field(None, ge=0, description="Most words.")

    @model_validator(mode="after")
    def _has_a_pattern(self) -> Criterion:
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"{self.regex!r} isn't a regular expression: {error}") from None
        return self

    @property
    def checks(self) -> list[str]:
        """What an answer has to fulfil before a judge sees it, each check in a few words."""
        return [
            *([f'contains "{self.contains}"'] if self.contains is not None else []),
            *([f"matches /{self.regex}/"] if self.regex is not None else []),
            *([f"JSON with {', '.join(self.json_fields)}"] if self.json_fields else []),
            *([f"at least {self.min_words} words"] if self.min_words is not None else []),
            *([f"at most {self.max_words} words"] if self.max_words is not None else []),
        ]

    def failed_check(self, answer: str) -> str:
        """Return which check an answer fails, as a part of a sentence, or ""."""
        words = len(answer.split())
        if self.contains is not None and not contains(answer, self.contains):
            return f'it doesn\'t contain "{self.contains}"'
        if self.regex is not None and not _found(self.regex, answer):
            return f"nothing in it matches /{self.regex}/"
        if self.json_fields:
            fields = as_object(answer) or {}
            missing = [name for name in self.json_fields if name not in fields]
            if missing:
                return f"its JSON has no {missing[0]}"
        if self.min_words is not None and words < self.min_words:
            return f"it has {words} words, and {self.min_words} are asked for"
        if self.max_words is not None and words > self.max_words:
            return f"it has {words} words, and {self.max_words} are allowed"
        return ""


def criteria_of(text: str) -> tuple[Criterion, ...]:
    """Return the items of a Markdown list as criteria; the whole text, if it has no list."""
    items = [found["text"].strip() for found in _ITEM.finditer(text)] or [text.strip()]
    return tuple(Criterion(text=item) for item in items if item)


def _found(pattern: str, text: str) -> bool:
    import regex

    try:
        return regex.search(pattern, text, timeout=5.0) is not None
    except TimeoutError:
        return False
