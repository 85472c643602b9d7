"""The learned state: rules and demonstrations, the two layers on top of the frozen base."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from engine.programs.demonstrations import DemonstrationSet
from engine.programs.rules import Rule, RuleSet


@dataclass(frozen=True)
class LearnedState:
    """What a program has learned; two states with the same content are equal, whatever their evidence."""

    rules: RuleSet = field(default_factory=RuleSet)
    demonstrations: DemonstrationSet = field(default_factory=DemonstrationSet)

    def __bool__(self) -> bool:
        return bool(len(self.rules) or len(self.demonstrations))

    @property
    def digest(self) -> str:
        """Content hash of both layers; without demonstrations it is the rules' hash."""
        if not len(self.demonstrations):
            return self.rules.digest
        return sha256(f"{self.rules.digest} {self.demonstrations.digest}".encode()).hexdigest()[:16]

    def adding(self, *rules: Rule) -> LearnedState:
        """Return this state with `rules` after those it has."""
        return self.with_rules(self.rules.adding(*rules))

    def removing(self, *rules: Rule) -> LearnedState:
        """Return this state without `rules`."""
        return self.with_rules(self.rules.removing(*rules))

    def with_rules(self, rules: RuleSet) -> LearnedState:
        """Return this state with other rules."""
        return replace(self, rules=rules)

    def with_demonstrations(self, demonstrations: DemonstrationSet) -> LearnedState:
        """Return this state with other demonstrations."""
        return replace(self, demonstrations=demonstrations)
