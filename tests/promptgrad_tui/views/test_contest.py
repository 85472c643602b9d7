from engine.journal.contest_events import ContestResult, Standing
from promptgrad_tui.views.contest import problems


def test_a_method_is_named_once_in_its_problem() -> None:
    named = Standing(place=None, method="copro", problem="copro can't try one candidate with 5 calls.")
    plain = Standing(place=None, method="gepa", problem="The budget is used up.")
    fine = Standing(place=1, method="ape")
    result = ContestResult(calls=5, seeds=1, comparisons=0, standings=(fine, named, plain))
    assert problems(result) == [
        "copro can't try one candidate with 5 calls.",
        "gepa: The budget is used up.",
    ]
