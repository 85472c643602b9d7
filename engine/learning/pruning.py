"""Pruning: what happens when there are more rules than a prompt may hold."""

from __future__ import annotations

from typing import Literal

from engine.programs.rules import RuleSet


def prune(rules: RuleSet, best: RuleSet, limit: int, strategy: Literal["rollback", "delta"]) -> RuleSet:
    """Return at most `limit` rules: those of the best tested state, or those with the largest measured gain.

    Rules that were never tested count as if they had gained nothing; among equals the older ones stay.
    """
    if len(rules) <= limit:
        return rules
    if strategy == "rollback" and len(best) <= limit:
        return best
    kept = {rule.id for rule in sorted(rules, key=lambda rule: rule.gain, reverse=True)[:limit]}
    return RuleSet(rule for rule in rules if rule.id in kept)
