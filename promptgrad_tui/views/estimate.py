"""The cost of a run, in words: always a range, and no more precise than it is known."""

from __future__ import annotations

from dataclasses import dataclass

from promptgrad_tui.views.figures import count_text, rough_duration_text


@dataclass(frozen=True)
class PlannedCalls:
    """Model calls of a run, and how many of them are analyses, by how much there is to learn.

    `few`: the first batch brings one rule that corrects everything. `many`: every batch proposes three
    rules to test, and no epoch ends early. No run takes fewer than `least`, a run with nothing to
    correct, or more than `most` if analyses propose at most `proposals` rules for each batch. `proved` calls
    go to the task's model: all of them, unless the search has a model of its own. `base` are those that may
    be used to make the base and to compare it.
    """

    least: int
    few: int
    few_analyses: int
    few_proved: int
    many: int
    many_analyses: int
    many_proved: int
    most: int
    proposals: int
    base: int = 0


@dataclass(frozen=True)
class Measured:
    """What a few calls took: `seconds` for all of them, tokens per call on average."""

    calls: int
    seconds: float
    prompt_tokens: float
    completion_tokens: float

    @property
    def seconds_of_call(self) -> float:
        """The time of one call, where several may be under way at a time."""
        return self.seconds / self.calls


@dataclass(frozen=True)
class Cost:
    """Tokens and seconds that some calls are expected to take."""

    tokens: int
    seconds: float

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both."""
        return Cost(self.tokens + other.tokens, self.seconds + other.seconds)


def calls_text(calls: PlannedCalls) -> str:
    """Return how many calls a run takes, and what that depends on."""
    of_base = f"; up to {calls.base:,} of them make the base" if calls.base else ""
    return (
        f"{range_text(calls.few, calls.many)} calls: {rough_text(calls.few)} if one rule suffices, "
        f"{rough_text(calls.many)} if every batch proposes three; at least {calls.least:,}, "
        f"and at most {calls.most:,} with {count_text(calls.proposals, 'proposal')} a batch{of_base}"
    )


def cost_text(few: Cost, many: Cost, measured: Measured, searched: Measured | None = None) -> str:
    """Return how many tokens and minutes that is at a measured rate; `searched` is that of the search."""
    calls = count_text(measured.calls, "measured call")
    if searched is not None:
        calls += (
            f", and {searched.calls:,} in process, which took {_share_text(searched, measured)} of the time"
        )
    return (
        f"{range_text(few.tokens, many.tokens)} tokens and {duration_range_text(few, many)}, by {calls}; "
        "fewer where prompts share tokens"
    )


def _share_text(part: Measured, whole: Measured) -> str:
    """Return the time of one call relative to that of another."""
    return f"{100 * part.seconds_of_call / whole.seconds_of_call:.0f} %"


def picked_text(nearest: int, tokens: int) -> str:
    """Return what it costs to show each input other demonstrations, `tokens` of them in a prompt."""
    return (
        f"each prompt shows the {count_text(nearest, 'demonstration')} most like its input, so prompts don't "
        f"share them: every call reads {rough_text(tokens)} tokens of demonstrations again (once for all "
        "prompts if every input met the same)"
    )


def range_text(few: float, many: float) -> str:
    """Return two estimated numbers as a range, as rough as they are known: 520 to 1,200."""
    low, high = rough_text(few), rough_text(many)
    return f"about {low}" if low == high else f"{low} to {high}"


def duration_range_text(few: Cost, many: Cost) -> str:
    """Return two estimated durations as a range: about 20 s to about 2 min."""
    low, high = rough_duration_text(few.seconds), rough_duration_text(many.seconds)
    return low if low == high else f"{low} to {high.removeprefix('about ')}"


def rough_text(number: float) -> str:
    """Return an estimated number with the two digits that are known: 520."""
    return f"{float(f'{number:.2g}'):,.0f}"
