"""Ready-made programs of several steps: they need nothing but dspy, and a Python export takes them along."""

from __future__ import annotations

from typing import Any

import dspy


def _fields(signature: Any, *, inputs: bool) -> dict[str, Any]:
    """Return a signature's inputs or outputs, as a new signature takes them."""
    known = signature.input_fields if inputs else signature.output_fields
    made = dspy.InputField if inputs else dspy.OutputField
    return {
        name: (field.annotation, made(desc=field.json_schema_extra.get("desc", f"${{{name}}}")))
        for name, field in known.items()
    }


def _text(description: str, *, is_input: bool) -> tuple[type, Any]:
    return str, (dspy.InputField if is_input else dspy.OutputField)(desc=description)


class Refine(dspy.Module):
    """Answers, criticises the answer, and answers again with the critique in view.

    Source: Madaan et al. 2023, Self-Refine (arXiv 2303.17651), with one round.
    """

    ADDED = ("draft", "critique")

    def __init__(self, signature: Any) -> None:
        super().__init__()
        self.signature = signature
        self._outputs = tuple(signature.output_fields)
        inputs, outputs = _fields(signature, inputs=True), _fields(signature, inputs=False)
        shown = {**inputs, "draft": _text("an answer to the task, as a draft", is_input=True)}
        self.answer = dspy.Predict(signature)
        found = _text("what is wrong or missing in the draft, or: nothing", is_input=False)
        self.criticise = dspy.Predict(
            dspy.Signature(
                {**shown, "critique": found},
                "Check the draft against the task and its input. Name what is wrong, in one or two "
                f"sentences; if nothing is, say so.\n\nThe task: {signature.instructions}",
            )
        )
        critique = _text("what a reader says about the draft; it may be wrong", is_input=True)
        self.revise = dspy.Predict(
            dspy.Signature({**shown, "critique": critique, **outputs}, signature.instructions)
        )

    def forward(self, **inputs: Any) -> Any:
        """Return the second answer."""
        first = self.answer(**inputs)
        draft = "; ".join(f"{name}: {first.get(name)}" for name in self._outputs)
        critique = self.criticise(**inputs, draft=draft).critique
        return self.revise(**inputs, draft=draft, critique=critique)


class MetaPrompting(dspy.Module):
    """A conductor asks experts, who see its question alone, and a last step answers with what they said.

    Source: Suzgun & Kalai 2024, Meta-Prompting (arXiv 2401.12954), with at most two questions.
    """

    ADDED = ("notes", "expert", "question", "advice")
    ROUNDS = 2

    def __init__(self, signature: Any) -> None:
        super().__init__()
        self.signature = signature
        inputs, outputs = _fields(signature, inputs=True), _fields(signature, inputs=False)
        notes = _text("what experts have said so far", is_input=True)
        self.conduct = dspy.Predict(
            dspy.Signature(
                {
                    **inputs,
                    "notes": notes,
                    "expert": _text("who should be asked next, or: none", is_input=False),
                    "question": _text("the question, with all that the expert has to know", is_input=False),
                },
                "You conduct a task and may ask experts. An expert sees your question and nothing else. Name "
                "the expert and the question that would help most, or none if the notes suffice.\n\n"
                f"The task: {signature.instructions}",
            )
        )
        self.consult = dspy.Predict(
            dspy.Signature(
                {
                    "expert": _text("who you are", is_input=True),
                    "question": _text("what you are asked", is_input=True),
                    "advice": _text("your answer, in a few sentences", is_input=False),
                },
                "Answer the question as this expert would.",
            )
        )
        self.answer = dspy.Predict(
            dspy.Signature({**inputs, "notes": notes, **outputs}, signature.instructions)
        )

    def forward(self, **inputs: Any) -> Any:
        """Return the answer."""
        notes: list[str] = []
        for _ in range(self.ROUNDS):
            asked = self.conduct(**inputs, notes="\n".join(notes) or "none")
            expert = str(asked.expert).strip()
            if expert.lower().rstrip(".") in ("", "none"):
                break
            advice = self.consult(expert=expert, question=asked.question).advice
            notes.append(f"{expert}, asked {asked.question!r}: {advice}")
        return self.answer(**inputs, notes="\n".join(notes) or "none")
