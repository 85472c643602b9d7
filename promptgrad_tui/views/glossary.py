"""The words on the screens that a newcomer may not know, as a page and for the help.

`python -m promptgrad_tui.views.glossary` prints the page.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A word, what it means, and the screens that show it; none if only the documents do."""

    word: str
    meaning: str
    screens: tuple[str, ...] = ()


TERMS: tuple[Term, ...] = (
    Term("rollout", "One run of the program on one example, scored by the metric.", ("run", "batch")),
    Term(
        "call", "One request to a model. A rollout takes one call per step of the program.", ("run", "start")
    ),
    Term("batch", "The rollouts whose failures are analysed together.", ("run", "batch")),
    Term("failed", "Answers of a batch that the metric counts as wrong: 3/10 is 3 of 10.", ("run",)),
    Term("gradient", "An analysis of a batch's failures by a model, with proposals for rules.", ("run",)),
    Term("pass", "One of several analyses of the same failures; passes differ in temperature.", ("run",)),
    Term("support", "The number of passes that made a proposal.", ("run", "review")),
    Term(
        "3x 80%",
        "3 passes made this proposal; the estimated chance that one more pass would make it is 80 %.",
        ("run",),
    ),
    Term("2x same", "2 passes gave the same analysis and proposals.", ("run",)),
    Term("consensus", "The proposals that a majority of the passes made. Only these are tested.", ("run",)),
    Term("trigger", "Words that say which inputs a rule is for.", ("run", "review", "try")),
    Term(
        "test of a rule",
        "The program's scores with and without the rule on the same validation examples.",
        ("run", "review"),
    ),
    Term("Rules 1/2", "1 of the 2 rules that were tested for this batch was kept.", ("run",)),
    Term(
        "gain", "The mean score with a change, minus the mean score without it.", ("run", "review", "compare")
    ),
    Term(
        "interval",
        "[low, high]: the range that contains the true value with 95 % confidence. "
        "If it includes 0, the gain may be chance.",
        ("run", "review", "compare"),
    ),
    Term("in, out", "Whether the rule is part of the result as it stands now.", ("review",)),
    Term("open", "You haven't decided on this rule; it stays as the run left it.", ("review",)),
    Term("kept r1, dropped r1", "What the first review after the run decided.", ("review",)),
    Term("\u21b3 #9", "You edited this rule; rule 9 is what became of it.", ("review",)),
    Term("untested", "No test has measured this rule, or this edit of it, so far.", ("review",)),
    Term("3x same", "3 passes came to the same analysis and the same proposals.", ("run",)),
    Term("reused", "The share of prompt tokens that an earlier prompt had evaluated already.", ("run",)),
    Term(
        "fixed, broken, failing, same",
        "Wrong before and right now; right before and wrong now; wrong both times; right both times.",
        ("compare", "review"),
    ),
    Term("slice", "The examples that have the same value in the slice field.", ("run", "compare", "project")),
    Term("baseline", "The program with its base instructions alone.", ("run", "compare", "start")),
    Term("validation", "The split on which rules are tested and states are compared.", ("run", "start")),
    Term("test", "The sealed split: opened once, when a run ends.", ("run", "start", "compare")),
    Term(
        "artifact", "A saved result: the program's state with its evidence, for one model revision.", ("run",)
    ),
    Term("revision", "The hash of a model's content. An artifact belongs to exactly one.", ("run", "models")),
    Term(
        "stale", "The program, the data or the metric has changed since the artifact was measured.", ("run",)
    ),
    Term(
        "gate",
        "A requirement of the project file that an artifact must meet to be released.",
        ("run", "start"),
    ),
    Term("unverified, ?", "The server gives no hash of the model: a change may go unnoticed.", ("models",)),
    Term(
        "judge", "The model that a metric asks about answers that have no single right wording.", ("judge",)
    ),
    Term("criterion", "One thing that a good answer does. The judge looks at one at a time.", ("judge",)),
    Term("kappa", "How far judge and person agree beyond chance: 1 is full agreement, 0 is chance."),
    Term("balanced accuracy", "The mean over the expected classes of the share that is answered right."),
    Term("macro F1", "The mean over the expected classes of F1, which combines precision and recall."),
    Term("predictor", "One step of a program: one signature that a model fills in."),
    Term("journal", "The file that records every event, prompt and answer of a project's runs."),
    Term("epoch", "A series of batches, after which the whole validation split is scored."),
    Term("Demos", "How many demonstrations the program of a contest's method contains.", ("run",)),
    Term("cell", "A program version on a model revision. One artifact in each cell is current."),
    Term("transfer", "Rules that were proved on one model, measured on another."),
)


def terms_of(screens: Collection[str]) -> list[Term]:
    """Return the terms that these screens show."""
    return [term for term in TERMS if not set(screens).isdisjoint(term.screens)]


def glossary_page() -> str:
    """Return the documentation's glossary, as Markdown."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield "# Glossary"
    yield ""
    yield "The words on the screens and in these pages. `?` explains those of the screen that you are on."
    yield ""
    yield "| Word | Meaning |"
    yield "|---|---|"
    for term in sorted(TERMS, key=lambda term: term.word.casefold()):
        yield f"| {term.word} | {term.meaning} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(glossary_page())
