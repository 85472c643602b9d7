"""Proposal sources, screening, sets and layers, as a terminal, the panes and a review show them."""

from __future__ import annotations

import io

from engine.ground.interval import Interval
from engine.journal.ablation_events import LayersCompared
from engine.journal.events import Event
from engine.journal.learning_events import (
    Candidate,
    CandidatesProposed,
    LayerTested,
    LayerTestStarted,
    Screened,
    ScreeningFinished,
)
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Evidence, Rule
from promptgrad_tui.screens.review.items import reviewed_items
from promptgrad_tui.screens.run.panes import gradients, validations
from promptgrad_tui.views.run.data import story_data
from promptgrad_tui.views.run.early_stops import EarlyStops
from promptgrad_tui.views.run.event_lines import EventLines
from promptgrad_tui.views.run.score_lines import score_lines
from promptgrad_tui.views.run.status import Status, status_lines
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.terminal import Terminal
from promptgrad_tui.views.toned_lines import plain

SHOWN = tuple(
    Demonstration(
        inputs={"ticket": f"Parcel {n} is late."}, outputs={"queue": "delivery"}, predictor="predict"
    )
    for n in range(3)
)
PAIR = (Rule(text="Parcels go to delivery.", trigger="parcel"), Rule(text="Refunds go to returns."))
PLACE = {"epoch": 1, "batch": 1}
TITLES = ("2 rules: parcel, refund", "3 demonstrations, nearest")


def scores(score: float) -> Interval:
    return Interval(score=score, n=40, low=score - 0.1, high=score + 0.1)


def layer_test(layer: str, verdict: str, **parts: object) -> LayerTested:
    evidence = Evidence(delta=0.1, low=0.02, high=0.2, n=40, calls=40)
    test = {"layer": layer, "action": "add", "source": "contrast", "before": "a", "after": layer}
    found = {"verdict": verdict, "reason": "it pays", "evidence": evidence}
    title = TITLES[layer == "demonstrations"]
    return LayerTested.model_validate({"id": layer, "title": title, **PLACE, **test, **found, **parts})


def events() -> list[Event]:
    sets = Candidate(id="s1", source="contrast", title=TITLES[0], rules=PAIR)
    shown = Candidate(id="d1", source="contrast", title=TITLES[1], demonstrations=SHOWN)
    ranked = [("s1", TITLES[0], 0.12, True, "the best"), ("d1", TITLES[1], -0.02, False, "worse than none")]
    rows = tuple(
        Screened(
            candidate=name,
            title=title,
            source="contrast",
            gain=gain,
            error=0.03,
            n=40,
            is_tested=is_tested,
            reason=reason,
        )
        for name, title, gain, is_tested, reason in ranked
    )
    return [
        CandidatesProposed(id="c", **PLACE, source="contrast", candidates=(sets, shown), questions=4),
        ScreeningFinished(id="s", **PLACE, layer="rules", signal="likelihood", rows=rows),
        LayerTestStarted(
            id="started",
            **PLACE,
            layer="rules",
            action="add",
            source="contrast",
            title=TITLES[0],
            n=40,
            before="a",
            after="rules",
            rules=PAIR,
        ),
        layer_test("rules", "accepted", rules=PAIR),
        layer_test("demonstrations", "accepted", demonstrations=SHOWN),
        LayersCompared(
            id="layers", base=scores(0.5), rules_only=scores(0.6), demonstrations_only=None, both=scores(0.7)
        ),
    ]


def test_show_lists_what_was_proposed_ranked_and_tested() -> None:
    printer = EventLines(Terminal(io.StringIO(), False, False, 80), in_full=True)
    text = "\n".join(row for event in events() for row in printer.lines(event))
    assert "contrast: 2 candidates after 4 questions" in text
    assert "rules screened by likelihood: 1 of 2 candidates to be tested" in text
    assert "-0.020 3 demonstrations, nearest (worse than none)" in text
    assert "accepted     +0.100 [+0.020, +0.200] on 40 examples: it pays" in text
    assert "- Parcel 2 is late. \u2192 delivery" in text
    assert "Layers: neither 0.500, rules alone 0.600, both 0.700" in text


def test_each_candidate_is_a_row_with_its_rank() -> None:
    rows = RunStory.of(events()).gradient_rows()
    texts = ["  ".join(plain(cell) for cell in gradients.paint(row, [5, 8, 60])) for row in rows]
    assert texts[0] == "1.1    2 candidates"
    assert texts[1].endswith("contrast  + 2 rules: parcel, refund  +0.120 \u00b10.030  to be tested")
    assert texts[2].endswith("\u2717 3 demonstrations, nearest  -0.020 \u00b10.030  (worse than none)")


def test_sets_are_tested_in_the_pane_of_rules() -> None:
    story = RunStory.of(events()[:3])
    (running,) = story.tests.values()
    assert (running.state, running.n, running.members) == ("running", 40, PAIR)
    rows = list(RunStory.of(events()).tests.values())
    assert [(row.state, row.rule.text) for row in rows] == [("accepted", title) for title in TITLES]
    cells = validations.paint(rows[1], [5, 12, 5, 6, 15, 5, 40])
    assert plain(cells[3]) == "+0.100"


def test_the_parts_of_a_set_are_reviewed_one_by_one_and_during_a_run_only_accepted_examples() -> None:
    story = RunStory.of(events())
    after = reviewed_items(story, during=False)
    assert [item.id for item, _ in after] == [part.id for part in (*PAIR, *SHOWN)]
    assert [item.gain for item, _ in after] == [0.1] * 5
    assert after[-1][0].rule.text == "Parcel 2 is late. \u2192 delivery"
    assert reviewed_items(story, during=True) == after
    (*others, _) = events()
    others[4] = layer_test("demonstrations", "needs_review", demonstrations=SHOWN)
    story = RunStory.of(others)
    assert [item.id for item, _ in reviewed_items(story, during=True)] == [rule.id for rule in PAIR]
    assert len(reviewed_items(story, during=False)) == len(after)


def test_what_each_layer_brings_stands_with_the_scores() -> None:
    text = "\n".join(plain(row) for row in score_lines(RunStory.of(events()), 80))
    assert "What each layer brings" in text
    assert "rules only     0.600" in text
    assert "demonstrations only" not in text


def test_what_stopping_early_saved_is_shown_with_the_cost() -> None:
    evidence = Evidence(delta=-0.2, low=-0.4, high=-0.05, n=24, calls=24, left_out=36, saved_calls=30)
    stopped = [
        layer_test(layer, "rejected", evidence=evidence, title=layer) for layer in ("rules", "demonstrations")
    ]
    story = RunStory.of([*stopped, layer_test("rules", "accepted", id="whole", after="b")])
    assert EarlyStops.of(story).text == "2 tests stopped early, which saved 60 calls"
    assert EarlyStops.of(RunStory.of(events())).text == ""
    assert story_data(story)["early_stops"] == {"tests": 2, "calls": 60}
    lines = status_lines(Status(run=story, is_running=True, now=1.0, options={}), 120)
    assert "60 calls saved by stopping tests early" in "\n".join(map(plain, lines))


def test_examples_that_were_left_out_again_are_not_put_to_a_person() -> None:
    added = events()[4]
    fewer = {"id": "fewer", "action": "remove", "before": "demonstrations", "after": "less"}
    for verdict, left in (("accepted", SHOWN[:1]), ("rejected", SHOWN)):
        removed = layer_test("demonstrations", verdict, demonstrations=SHOWN[1:], **fewer)
        story = RunStory.of([added, removed])
        for during in (True, False):
            assert [item.id for item, _ in reviewed_items(story, during=during)] == [one.id for one in left]
