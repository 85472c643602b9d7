from __future__ import annotations

import json
import time

import pytest
from dspy.lm15 import (
    Config,
    Message,
    Request,
    StreamDeltaEvent,
    StreamEndEvent,
    StreamStartEvent,
    TextDelta,
)

from engine.journal.events import AnalysisFinished
from engine.journal.journal import Journal, journal_path
from engine.journal.listening import ask, listening
from engine.journal.live_text import LiveText, live_file, read_live_text
from engine.release.run import execute
from engine.testing import ScriptedEngine, ScriptedModel
from tests.engine.desk import Desk
from tests.engine.release.test_run import outcome, plan


class PiecewiseEngine(ScriptedEngine):
    """Streams its answers in three pieces; `between` is called after each."""

    def __init__(self, script, between=lambda: None):
        super().__init__(script)
        self.between = between
        self.streamed = 0

    def stream(self, request):
        self.streamed += 1
        response = self.complete(request)
        text = response.message.text
        third = len(text) // 3
        yield StreamStartEvent(model=request.model)
        for piece in (text[:third], text[third : 2 * third], text[2 * third :]):
            yield StreamDeltaEvent(TextDelta(piece, part_index=0))
            self.between()
        yield StreamEndEvent(finish_reason=response.finish_reason, usage=response.usage)


class SilentEngine(ScriptedEngine):
    """Has no stream at all, as a program's own LM may have none."""

    def __getattribute__(self, name):
        if name == "stream":
            raise AttributeError(name)
        return super().__getattribute__(name)


@pytest.fixture
def journal(tmp_path):
    with Journal.open(journal_path(tmp_path)) as journal:
        yield journal


def run_with(engine, tmp_path, journal):
    wanted = plan(tmp_path, journal, model=ScriptedModel(engine), config={"epochs": 1})
    return wanted.run, execute(wanted, journal)


def written(journal, run):
    """All that a run leaves in the journal, without times and in an order that no thread decides."""
    events = sorted((event for _, event in journal.events(run)), key=lambda event: event.id)
    analyses = [event for event in events if isinstance(event, AnalysisFinished)]
    answers = [journal.completion(key).response for event in analyses for key in event.completions]
    return [event.id for event in events], analyses, answers


def test_passes_are_told_while_they_are_written_and_forgotten_after(tmp_path, journal):
    seen = []
    engine = PiecewiseEngine(Desk().answer)
    wanted = plan(tmp_path, journal, model=ScriptedModel(engine), config={"epochs": 1})
    file = live_file(journal.path, wanted.run)
    engine.between = lambda: seen.append(read_live_text(file))
    execute(wanted, journal)
    assert engine.streamed == sum(
        isinstance(event, AnalysisFinished) for _, event in journal.events(wanted.run)
    )
    first = next(passes for passes in seen if passes)[0]
    assert first.place[:2] == (1, 1)
    assert first.text.startswith('{"analysis"')
    with pytest.raises(ValueError, match="char"):
        json.loads(first.text)
    assert read_live_text(file) == ()
    assert not file.exists()


def test_a_run_that_is_heard_comes_to_the_same_as_one_that_is_not(tmp_path):
    outcomes = []
    for name, engine in (("heard", PiecewiseEngine), ("unheard", SilentEngine)):
        with Journal.open(journal_path(tmp_path / name)) as journal:
            run, summary = run_with(engine(Desk().answer), tmp_path / name, journal)
            ids, analyses, answers = written(journal, run)
            plain = [event.model_dump(exclude={"time"}) for event in analyses]
            outcomes.append((outcome(summary), ids, plain, answers))
    assert outcomes[0] == outcomes[1]


def test_a_text_that_cannot_be_written_never_hurts_a_run(tmp_path, journal):
    journal.path.parent.mkdir(exist_ok=True)
    (journal.path.parent / "live").write_text("a file where a folder should be")
    _, summary = run_with(PiecewiseEngine(Desk().answer), tmp_path, journal)
    assert summary.status == "improved"


def test_half_a_character_is_no_reason_to_fail(tmp_path):
    file = tmp_path / "live" / "run.json"
    with LiveText(file).writing(1, 2, 0) as hear:
        hear("half \ud83d")
        (live,) = read_live_text(file)
    assert live.text == "half ?"
    assert live.place == (1, 2, 0)


def test_what_a_killed_process_left_is_gone_when_the_run_goes_on(tmp_path):
    file = tmp_path / "live" / "run.json"
    writing = LiveText(file).writing(1, 1, 0)
    writing.__enter__()("the last words")
    assert read_live_text(file)
    LiveText(file)
    assert read_live_text(file) == ()


def test_several_passes_are_told_side_by_side_and_leave_one_by_one(tmp_path):
    file = tmp_path / "live" / "run.json"
    live = LiveText(file)
    with live.writing(1, 1, 1) as second:
        second("b")
        with live.writing(1, 1, 0) as first:
            first("a")
            time.sleep(0.3)  # texts are written a few times a second
            second("bb")
            assert [(p.number, p.text) for p in read_live_text(file)] == [(0, "a"), (1, "bb")]
        assert [p.number for p in read_live_text(file)] == [1]
    assert read_live_text(file) == ()


@pytest.mark.parametrize("content", [b"", b"{nonsense", b'[{"epoch": 1}]', b"\xff\xfe"])
def test_a_damaged_text_is_no_text(tmp_path, content):
    file = tmp_path / "run.json"
    file.write_bytes(content)
    assert read_live_text(file) == ()


def test_an_answer_is_heard_as_it_grows():
    engine = PiecewiseEngine(["one two three"])
    request = Request(model="m", messages=(Message.user("?"),), config=Config())
    heard = []
    with listening(heard.append):
        response = ask(engine, request)
    assert heard == ["one ", "one two ", "one two three"]
    assert response.message.text == "one two three"
    assert ask(PiecewiseEngine(["alone"]), request).message.text == "alone"
