"""What the labels themselves say: some that are probably wrong, and answers too rare to learn or to prove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.programs.formatting import as_text
from engine.project.comparing import ALONE, Comparing
from engine.project.data import LoadedExample
from engine.project.label_errors import contradictions
from engine.project.splits import Splits
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.findings import Finding

_SHOWN = 5
_RARE = 2
_SKEWED = 0.9


def label_findings(
    splits: Splits,
    inputs: Sequence[str],
    outputs: Sequence[str],
    comparing: Comparing = ALONE,
) -> Iterator[Finding]:
    """Yield a warning for labels that contradict each other, and for answers of which there are too few."""
    found = contradictions(splits.examples, inputs, outputs, comparing)
    if found:
        shown = "; ".join(map(str, found[:_SHOWN]))
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield Finding(
            "warn",
            "labels",
            f"{count_text(len(found), 'pair')} of examples say nearly the same and expect different answers: "
            f"{shown}{more}.",
            "Look at both: one is probably labelled wrong, and no prompt can serve it.",
            field="data.train",
        )
    for name in outputs:
        yield from _skew(splits, name)


def _skew(splits: Splits, name: str) -> Iterator[Finding]:
    """Yield what can't be learned or proved of a field whose answers repeat."""
    told = _answers(splits.examples, name)
    kinds = Counter(told)
    if not told or 2 * len(kinds) > len(told):
        return
    answer, most = kinds.most_common(1)[0]
    if len(kinds) == 1 and answer:
        yield Finding(
            "warn",
            "labels",
            f"All examples have {name} = {answer!r}: a program that always says so is always right.",
            "Add examples of the other answers: there is nothing to distinguish.",
            field="data.train",
        )
    elif most >= _SKEWED * len(told):
        yield Finding(
            "warn",
            "labels",
            f"{most / len(told):.0%} of the examples have {name} = {answer!r}: a program that always says so "
            f"scores {most / len(told):.2f}.",
            "Take more examples of the others. To count each answer alike, set [metric] by_class = true and "
            "[gates] min_balanced_accuracy.",
            field="data.train",
        )
    rare = [*_rare(splits.train, name, kinds, "train"), *_rare(splits.test, name, kinds, "test")]
    if rare:
        yield Finding(
            "warn",
            "labels",
            f"Too few examples of some answers: {'; '.join(rare[:_SHOWN])}"
            + (f"; and {len(rare) - _SHOWN} more." if len(rare) > _SHOWN else "."),
            "What is rare in train can't be learned, and what is rare in test can't be proved: add examples.",
            field="data.train",
        )


def _rare(examples: Sequence[LoadedExample], name: str, kinds: Counter[str], split: str) -> Iterator[str]:
    here = Counter(_answers(examples, name))
    for kind in sorted(kinds, key=lambda kind: (here[kind], kind)):
        if here[kind] <= _RARE:
            yield f"{name} = {kind!r} has {here[kind]} in {split}"


def _answers(examples: Sequence[LoadedExample], name: str) -> list[str]:
    """Return what the examples expect of a field; spaces around it make no other answer."""
    return [as_text(example.values[name]).strip() for example in examples if name in example.values]
