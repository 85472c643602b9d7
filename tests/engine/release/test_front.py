"""The Pareto front over score, tokens and time."""

from __future__ import annotations

from typing import Any

from engine.ground.interval import Interval
from engine.release.objectives.candidates import Candidate
from engine.release.objectives.front import dominates, front


def candidate(name: str, score: float, prompt: float, latency: float = 0.1, **fields: Any) -> Candidate:
    known = {"answer_tokens": 5.0, "reused_tokens": 0.0, "p95_latency": latency, "rules": 0}
    return Candidate(
        run="run",
        name=name,
        digest=name,
        score=Interval(score=score, n=60, low=score - 0.1, high=score + 0.1),
        prompt_tokens=prompt,
        latency=latency,
        **{**known, "demonstrations": 0, **fields},
    )


def test_a_candidate_is_dominated_by_one_that_is_as_good_and_cheaper() -> None:
    cheap, dear = candidate("cheap", 0.8, 100), candidate("dear", 0.8, 120)
    best = candidate("best", 0.9, 300)
    placed = front([dear, best, cheap])
    assert [one.candidate.name for one in placed] == ["best", "cheap", "dear"]
    assert [one.dominated_by and one.dominated_by.name for one in placed] == [None, None, "cheap"]


def test_it_takes_one_cost_to_stay_on_the_front() -> None:
    short, quick = candidate("short", 0.8, 100, latency=0.3), candidate("quick", 0.8, 120, latency=0.1)
    assert not dominates(short, quick)
    assert not dominates(quick, short)
    assert dominates(short, candidate("wordy", 0.8, 100, latency=0.3, answer_tokens=9.0))


def test_times_that_a_machine_can_not_tell_apart_are_equal() -> None:
    assert dominates(candidate("a", 0.8, 100, latency=0.104), candidate("b", 0.8, 110, latency=0.1))
    assert not dominates(candidate("a", 0.8, 100, latency=0.12), candidate("b", 0.8, 110, latency=0.1))


def test_equal_candidates_do_not_dominate_each_other() -> None:
    assert all(one.dominated_by is None for one in front([candidate("a", 0.8, 9), candidate("b", 0.8, 9)]))
