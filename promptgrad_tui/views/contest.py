"""The result of a contest of methods: the ranking, the comparisons, and score over calls."""

from __future__ import annotations

from collections.abc import Sequence

from engine.journal.contest_events import ContestResult, Standing
from promptgrad_tui.views.figures import count_text, effect_text, score_text
from promptgrad_tui.views.sanitize import one_line, shown_path, wrap
from promptgrad_tui.views.scatter import Point, scatter_lines
from promptgrad_tui.views.tables import table_lines
from promptgrad_tui.views.terminal import Terminal

RANKING = ("", "method", "validation", "seeds")
USED = ("method", "calls", "prompt tokens", "rules", "demonstrations")
TESTED = ("method", "test", "gain over the project's program")
BEHIND = ("method", "test, compared with the first")
USED_CAPTION = (
    "What each method used and made. Calls, and prompt tokens of one example, are means over its seeds; "
    "rules and demonstrations are those of its best seed."
)


def title(result: ContestResult) -> str:
    """Return what was compared, at which budget."""
    methods, seeds = count_text(len(result.standings), "method"), count_text(result.seeds, "seed")
    return f"Contest: {methods}, {seeds}, {count_text(result.calls, 'call')} for each"


def ranking_rows(result: ContestResult) -> list[list[str]]:
    """Return the methods in their order, as cells of `RANKING`; seeds are the range over seeds."""
    return [
        [str(one.place), one.method, score_text(one.validation), _range(one.by_seed)]
        for one in result.standings
        if one.validation is not None
    ]


def used_rows(result: ContestResult) -> list[list[str]]:
    """Return what each method took and made, as cells of `USED`; calls and tokens are means over seeds."""
    return [
        [
            one.method,
            f"{one.calls:,.0f}",
            f"{one.prompt_tokens:,.0f}" if one.prompt_tokens is not None else "-",
            str(one.rules),
            str(one.demonstrations),
        ]
        for one in result.standings
        if one.validation is not None
    ]


def tested_rows(result: ContestResult) -> list[list[str]]:
    """Return each method's score on the test split and its gain, as cells of `TESTED`."""
    return [
        [one.method, score_text(one.test), effect_text(one.gain)]
        for one in result.standings
        if one.test is not None and one.gain is not None
    ]


def behind_rows(result: ContestResult) -> list[list[str]]:
    """Return each method compared with the one in the first place, as cells of `BEHIND`."""
    return [[one.method, effect_text(one.behind)] for one in result.standings if one.behind is not None]


def points(result: ContestResult) -> list[Point]:
    """Return the methods' scores on validation over the calls that they used."""
    return [
        Point(one.method, one.calls, one.validation) for one in result.standings if one.validation is not None
    ]


def caution(result: ContestResult) -> str:
    """Return what the intervals on the test split hold for."""
    if not result.comparisons:
        return "Without a test split, nothing but the ranking on validation is known."
    return (
        f"The intervals of the differences hold for all {result.comparisons} comparisons together with 95 % "
        "(Bonferroni). The test split was opened once."
    )


def problems(result: ContestResult) -> list[str]:
    """Return which methods had no result, or none with some seeds, and why: a sentence each."""
    return [_problem(one.method, one_line(one.problem)) for one in result.standings if one.problem]


def _problem(method: str, problem: str) -> str:
    return problem if problem.startswith(f"{method} ") else f"{method}: {problem}"


def contest_tables(result: ContestResult) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Return the tables of a contest: what each shows, its head, its rows."""
    tables = [
        ("Ranking by validation.", RANKING, ranking_rows(result)),
        (USED_CAPTION, USED, used_rows(result)),
        (f"On the test split. {caution(result)}", TESTED, tested_rows(result)),
        ("Compared with the first on the test split.", BEHIND, behind_rows(result)),
    ]
    return [table for table in tables if table[2]]


def contest_lines(result: ContestResult, terminal: Terminal) -> list[str]:
    """Return the result of a contest as lines."""
    lines = ["", terminal.style(title(result), bold=True)]
    for _, head, rows in contest_tables(result):
        right = range(1, len(USED)) if head is USED else ()
        lines += ["", *table_lines(head, rows, terminal, right=right, indent=2)]
    lines += ["", *wrap(caution(result), terminal.columns, "  ", "  ")]
    for problem in problems(result):
        lines += wrap(problem, terminal.columns, "    ", "  ")
    drawn = scatter_lines(points(result), "calls", terminal.columns)
    if drawn:
        lines += ["", terminal.style("Validation over calls", bold=True), *drawn]
    return [*lines, *_artifacts(result.standings, terminal)]


def _artifacts(standings: Sequence[Standing], terminal: Terminal) -> list[str]:
    rows = [(one.method, shown_path(one.artifact)) for one in standings if one.artifact]
    if not rows:
        return []
    return ["", *table_lines(("method", "artifact of its best seed"), rows, terminal, indent=2)]


def _range(scores: Sequence[float]) -> str:
    if len(scores) < 2:
        return "-"
    return f"{min(scores):.2f}-{max(scores):.2f}"
