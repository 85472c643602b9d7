import io
import re

import pytest
from rich.cells import cell_len

from engine.ground.interval import Interval
from engine.journal.events import (
    AnalysisFinished,
    BatchScored,
    ConsensusReached,
    DroppedProposal,
    EpochFinished,
    ModelUsed,
    Notice,
    PhaseStarted,
    ProgressEstimated,
    ReviewAwaited,
    RolloutFinished,
    RulesChanged,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunSummary,
    ValidationFinished,
)
from engine.journal.learning_events import LayerTestStarted, QuestionAnswered
from engine.programs.rules import Evidence, ParsedRule, Rule
from promptgrad_tui.views.run.event_lines import EventLines
from promptgrad_tui.views.run.plain import PlainDisplay
from promptgrad_tui.views.run.prompts import prompts_of
from promptgrad_tui.views.run.score_plot import score_plot
from promptgrad_tui.views.run.story import RunStory
from promptgrad_tui.views.run.timing.progress import Progress
from promptgrad_tui.views.terminal import Terminal

HOSTILE = "\x1b[2J\x1b]0;title\x07 \u202eevil " + "wide 漢字 " * 30 + "x" * 300
MODEL = ModelUsed(uri="demo", revision="sha256:" + "0" * 64)


def terminal(*, interactive=False, columns=80):
    return Terminal(io.StringIO(), interactive, has_colour=False, columns=columns)


def rollout(number):
    return RolloutFinished(
        id=f"r{number}", example=str(number), split="train", rules="", score=1.0, is_success=True
    )


def started(**changes):
    fields = {
        "id": "run",
        "run": "20261121-040000-abcd",
        "project": "/somewhere",
        "program": "p",
        "model": MODEL,
        "reflection": MODEL,
        "base_instructions": {"self": "Route."},
        "config": {"epochs": 1, "batches_per_epoch": 1, "batch_size": 10, "max_local_rules": 15},
        "seed": 0,
        "data": {},
    }
    return RunStarted(**{**fields, **changes})


def hostile_events():
    rule = Rule(text=HOSTILE, trigger=HOSTILE, epoch=1, batch=1)
    proposal = ParsedRule(action="add", text=HOSTILE)
    interval = Interval(score=0.5, n=10, low=0.2, high=0.8)
    evidence = Evidence(delta=0.1, low=-0.1, high=0.3, n=15)
    place = {"epoch": 1, "batch": 1}
    yield started(project=HOSTILE)
    yield BatchScored(
        id="b", **place, examples=("a",), failures=("a",), rules="", score=0.0, error_types={HOSTILE: 1}
    )
    yield AnalysisFinished(
        id="a", **place, number=0, temperature=0.7, analysis=HOSTILE, proposals=(proposal,)
    )
    yield AnalysisFinished(id="a2", **place, number=1, temperature=0.7, analysis="", problem=HOSTILE)
    dropped = DroppedProposal(proposal=proposal, reason=HOSTILE)
    yield ConsensusReached(id="c", **place, passes=3, kept=(proposal,), dropped=(dropped,))
    for action in ("add", "remove", "merge"):
        yield ValidationFinished(
            id=action,
            **place,
            action=action,
            rule=rule,
            verdict="needs_review",
            reason=HOSTILE,
            evidence=evidence,
        )
    yield EpochFinished(
        id="e", epoch=1, validation=interval, rules="", n_rules=1, best=0.5, outcome="rolled_back"
    )
    yield Notice(id="n", level="warning", text=HOSTILE)
    yield RunPaused(id="p", reason=HOSTILE)


@pytest.mark.parametrize("in_full", [False, True])
@pytest.mark.parametrize("columns", [40, 80, 100])
def test_hostile_text_neither_acts_nor_breaks_lines(columns, in_full):
    told = EventLines(terminal(columns=columns), in_full=in_full)
    for event in hostile_events():
        for line in told.lines(event):
            assert cell_len(line) <= columns, event.kind
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line), event.kind


def test_a_verdict_tells_gain_interval_reason_and_rule():
    rule = Rule(text="Gift cards go to loyalty.")
    evidence = Evidence(delta=0.2, low=0.05, high=0.35, n=15)
    event = ValidationFinished(
        id="v", epoch=1, batch=1, action="add", rule=rule, verdict="accepted", reason="why", evidence=evidence
    )
    head, text = EventLines(terminal()).lines(event)
    assert head == "  accepted     +0.200 [+0.050, +0.350] on 15 examples: why"
    assert text == "               Gift cards go to loyalty."


def test_progress_never_says_that_all_is_done_while_work_remains():
    progress = Progress()
    progress.apply(started(time=0.0))
    progress.apply(ProgressEstimated(id="p", done=0, expected=5, time=0.0))
    for number in range(20):
        progress.apply(rollout(number))
        assert progress.fraction <= 0.99
    summary = RunSummary(run="r", status="improved", reason="", model=MODEL)
    progress.apply(RunFinished(id="f", summary=summary))
    assert progress.fraction == 1.0


def test_the_time_left_follows_the_measured_rate():
    progress = Progress()
    progress.apply(started(time=100.0))
    progress.apply(ProgressEstimated(id="p", done=0, expected=100, time=100.0))
    assert progress.seconds_left(now=101.0) is None, "nothing was measured yet"
    for number in range(20):
        progress.apply(rollout(number))
    assert progress.seconds_left(now=110.0) == pytest.approx(80 * 10 / 20)
    assert progress.seconds_left(now=120.0) == pytest.approx(80 * 20 / 20), "a stall makes it longer"


def test_what_a_resumed_run_did_before_says_nothing_of_its_rate():
    progress = Progress()
    progress.apply(started(time=0.0))
    for number in range(50):
        progress.apply(rollout(number))
    progress.apply(RunPaused(id="p", reason=""))
    assert progress.seconds_left(now=100.0) is None
    progress.apply(started(time=1000.0))
    progress.apply(ProgressEstimated(id="q", done=50, expected=100, time=1000.0))
    for number in range(10):
        progress.apply(rollout(number))
    assert progress.seconds_left(now=1010.0) == pytest.approx(40)


def searching(progress, *, begins, ends, epoch=1):
    progress.apply(PhaseStarted(id=f"s{begins}", phase="proposals", epoch=epoch, batch=1, time=begins))
    test = {"layer": "rules", "action": "add", "source": "topics", "title": "", "before": "", "after": ""}
    place = {"epoch": epoch, "batch": 1}
    progress.apply(
        LayerTestStarted(
            id=f"t{ends}", n=10, rules=(Rule(text="a"), Rule(text="b")), time=ends, **place, **test
        )
    )


def test_a_new_prompt_that_is_read_for_a_minute_makes_no_call_slower():
    progress = Progress()
    progress.apply(started(time=0.0, config={"epochs": 1, "batches_per_epoch": 1}))
    progress.apply(ProgressEstimated(id="p", done=0, expected=100, time=0.0))
    for number in range(20):
        progress.apply(rollout(number))
    searching(progress, begins=20.0, ends=20.0)
    assert progress.seconds_left(now=80.0) == pytest.approx(80)
    progress.apply(rollout(20).model_copy(update={"time": 80.0}))
    assert progress.seconds_left(now=81.0) == pytest.approx(79)


def test_the_time_for_screening_is_no_time_of_calls():
    progress = Progress()
    config = {"epochs": 3, "batches_per_epoch": 2}
    progress.apply(started(time=0.0, config=config))
    progress.apply(ProgressEstimated(id="p", done=0, expected=100, time=0.0))
    for number in range(20):
        progress.apply(rollout(number))
    progress.apply(PhaseStarted(id="s", phase="proposals", epoch=1, batch=1, time=20.0))
    assert progress.seconds_left(now=320.0) == pytest.approx(80), "a second a call, however long it screens"
    assert progress.time_left_text(320.0) == "at least 1 min left"
    searching(progress, begins=20.0, ends=320.0)
    assert progress.phase == "epoch 1, batch 1: testing 2 rules"
    progress.apply(PhaseStarted(id="r", phase="rollouts", epoch=1, batch=2, time=330.0))
    # The searches of two more epochs are known by the first, with 10 s in which the test read its prompt.
    assert progress.seconds_left(now=330.0) == pytest.approx(80 + 2 * 310)
    assert progress.time_left_text(330.0) == "about 12 min left"


def test_questions_of_a_search_are_no_measure_of_the_rate():
    progress = Progress()
    progress.apply(started(time=0.0))
    progress.apply(ProgressEstimated(id="p", done=0, expected=100, time=0.0))
    for number in range(20):
        progress.apply(rollout(number))
    progress.apply(PhaseStarted(id="s", phase="proposals", epoch=1, batch=1, time=20.0))
    for number in range(10):
        progress.apply(
            QuestionAnswered(
                id=f"q{number}",
                epoch=1,
                batch=1,
                source="topics",
                about="",
                number=0,
                temperature=0.0,
                answer="",
                completions=("k",),
                time=20.0 + number,
            )
        )
    assert progress.done == 30
    assert progress.seconds_left(now=30.0) == pytest.approx(70)


def test_longer_prompts_are_measured_from_the_beginning():
    progress = Progress()
    progress.apply(started(time=0.0))
    progress.apply(ProgressEstimated(id="p", done=0, expected=100, time=0.0))
    for number in range(20):
        progress.apply(rollout(number))
    place = {"epoch": 1, "batch": 1}
    progress.apply(RulesChanged(id="c", reason="demonstrated", digest="d", rules=(), time=20.0, **place))
    assert progress.seconds_left(now=30.0) is None
    for number in range(10):
        progress.apply(rollout(number))
    assert progress.seconds_left(now=60.0) == pytest.approx(70 * 4)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_on_a_terminal_one_line_is_rewritten():
    screen, clock = terminal(interactive=True), Clock()
    display = PlainDisplay(screen, clock=clock)
    display.show(ProgressEstimated(id="p", done=0, expected=10, time=0.0))
    display.show(PhaseStarted(id="s", phase="baseline"))
    for number in range(5):
        clock.now += 1.0
        display.show(rollout(number))
        display.tick()
    display.close()
    told = screen.stream.getvalue()
    assert "\n" not in told
    assert told.count("\r\x1b[K") == 6
    assert "5 of 10 calls" in told
    assert "scoring the baseline" in told


def test_scorings_are_told_until_the_next_event():
    screen, clock = terminal(interactive=True, columns=120), Clock()
    display = PlainDisplay(screen, clock=clock)
    display.show(ProgressEstimated(id="p", done=0, expected=10, time=0.0))
    display.show(PhaseStarted(id="s", phase="proposals", epoch=1, batch=1))
    display.scored(84)
    assert display.progress_text(1.0).endswith("epoch 1, batch 1: finding rules  84 prompts scored")
    display.show(rollout(1))
    assert "scored" not in display.progress_text(1.0)


def test_without_a_terminal_progress_is_told_now_and_then():
    screen, clock = terminal(), Clock()
    display = PlainDisplay(screen, clock=clock)
    display.show(ProgressEstimated(id="p", done=0, expected=1000, time=0.0))
    for number in range(100):
        clock.now += 1.0
        display.show(rollout(number))
        display.tick()
    lines = screen.stream.getvalue().splitlines()
    assert len(lines) == 3
    assert all("calls" in line and "\x1b" not in line for line in lines)


def test_quiet_shows_nothing():
    screen, clock = terminal(interactive=True), Clock()
    display = PlainDisplay(screen, is_quiet=True, clock=clock)
    for event in hostile_events():
        clock.now += 60.0
        display.show(event)
        display.tick()
    display.close()
    assert screen.stream.getvalue() == ""


def test_the_plot_puts_score_and_interval_on_one_scale():
    def epoch(number, score, low, high):
        return EpochFinished(
            id=str(number),
            epoch=number,
            validation=Interval(score=score, n=10, low=low, high=high),
            rules="",
            n_rules=number,
            best=score,
            outcome="improved",
        )

    first, second = score_plot([epoch(0, 0.0, 0.0, 0.5), epoch(1, 1.0, 0.5, 1.0)])
    assert first.startswith("  baseline  0.000  o---")
    assert re.search(r"\.\|-+o  1 rule$", second)
    assert len(first.rstrip()) <= 80


def test_a_resumed_run_is_no_longer_finished():
    progress = Progress()
    progress.apply(started(time=0.0))
    summary = RunSummary(run="r", status="stopped", reason="", model=MODEL)
    progress.apply(RunFinished(id="f", summary=summary))
    progress.apply(RunResumed(id="resumed/2", attempt=2, time=50.0))
    assert not progress.is_finished
    assert progress.fraction < 1


def test_a_review_is_a_wait_and_no_measure_of_the_rate():
    progress = Progress()
    progress.apply(started(time=0.0))
    progress.apply(ProgressEstimated(id="p", done=0, expected=100, time=0.0))
    for number in range(20):
        progress.apply(rollout(number))
    progress.apply(ReviewAwaited(id="w", epoch=1, batch=1, rules=("a",), time=10.0))
    assert progress.is_waiting
    assert progress.seconds_left(now=1000.0) is None
    progress.apply(RunResumed(id="resumed/2", attempt=2, time=1500.0))
    assert progress.is_waiting, "the decision is still missing"
    changed = {"epoch": 1, "batch": 1, "digest": "d", "rules": ()}
    progress.apply(RulesChanged(id="r", reason="reviewed", time=2000.0, **changed))
    assert not progress.is_waiting
    for number in range(10):
        progress.apply(rollout(number))
    assert progress.seconds_left(now=2010.0) == pytest.approx(70)


def test_a_rule_that_names_no_predictor_is_shown_in_the_only_prompt_as_it_is_run():
    shown = prompts_of(RunStory.of([started()]), [Rule(text="Refunds go to returns.")])
    [(base, learned)] = shown.values()
    assert (base, learned.splitlines()[-1]) == ("Route.", "- Refunds go to returns.")
