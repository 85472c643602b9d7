"""The three questions the engine asks a model about prompts, as DSPy signatures.

The words here are an interface: the demo model was trained on them, and completions are
remembered under them. Change them with care.
"""

from __future__ import annotations

import dspy
from pydantic import BaseModel, ConfigDict


class ProposedRule(BaseModel):
    """When the rule applies and what to answer then."""

    model_config = ConfigDict(extra="ignore")

    text: str
    trigger: str


class PredictorRule(ProposedRule):
    """When the rule applies, what to answer then, and which step it corrects."""

    predictor: str


class AnalyzeFailures(dspy.Signature):
    """Find out why a model failed and correct it with rules.

    Name what the failures have in common. Each new rule is one general sentence that says when it
    applies and what to answer then; its trigger is the words that an input must contain for the rule
    to apply. Don't quote examples. Don't repeat a current rule. Don't break the successes. List the
    number of a current rule under remove only if it caused a failure.
    """

    task: str = dspy.InputField(desc="the instructions the model had")
    rules: str = dspy.InputField(desc="the current rules")
    successes: str = dspy.InputField()
    failures: str = dspy.InputField()
    analysis: str = dspy.OutputField()
    add: list[ProposedRule] = dspy.OutputField(desc="new rules")
    remove: list[int] = dspy.OutputField(desc="numbers of harmful rules")


AnalyzeProgramFailures = AnalyzeFailures.with_instructions(
    f"{AnalyzeFailures.instructions}\n"
    "The program has several steps. Say in predictor which step a new rule corrects."
).with_updated_fields("add", type_=list[PredictorRule])
"""`AnalyzeFailures` for a program with several predictors."""


class MergeRules(dspy.Signature):
    """Say the same as these rules in one rule, and lose none of their conditions or answers.

    The trigger is the words that an input must contain for the merged rule to apply.
    """

    rules: str = dspy.InputField()
    text: str = dspy.OutputField(desc="the merged rule")
    trigger: str = dspy.OutputField()
