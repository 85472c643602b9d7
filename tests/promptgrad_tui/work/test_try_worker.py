"""The worker of the Try screen through its own pipes: a real process, real models, real projects."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from engine.journal.journal import Journal, journal_path
from engine.programs.demonstrations import Demonstration
from engine.programs.rules import Rule
from models.demo.project import write_demo_project
from promptgrad_tui.screens.trying.process import Gone
from promptgrad_tui.screens.trying.state import TryState
from promptgrad_tui.work.run.job import apply_review_job
from promptgrad_tui.work.trying.messages import (
    Answered,
    Cancel,
    Cancelled,
    Described,
    Failed,
    Predict,
    Save,
    Saved,
    Streamed,
    TrySource,
)
from tests.patience import PATIENCE_SECONDS
from tests.promptgrad_tui.desk_project import promptgrad, result, write_project
from tests.promptgrad_tui.model_server import desk_server
from tests.promptgrad_tui.work.try_worker_talk import CAMERA, TICKET, WEDDING, talk

ALOUD = """
import dspy

class Aloud(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict("ticket -> queue")

    def forward(self, ticket):
        print("{not a reply}", input() if "ask" in ticket else "")
        if "loop" in ticket:
            while True:
                pass
        if "break" in ticket:
            raise KeyError("the key")
        return self.route(ticket=ticket)
"""


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    write_demo_project(tmp_path / "desk", 0)
    return tmp_path / "desk"


def test_examples_are_shown_on_the_side_of_what_was_learned(demo: Path) -> None:
    shown = tuple(
        Demonstration(
            inputs={"ticket": f"A {thing} is here."}, outputs={"queue": "events"}, predictor="predict"
        )
        for thing in ("wedding list", "party tent")
    )
    with talk(TrySource(project=demo, demonstrations=shown)) as worker:
        described = next(reply for reply in worker.heard if isinstance(reply, Described))
        assert (described.rules, described.demonstrations) == (0, 2)
        answers = worker.predict(1, ticket=TICKET)
        longer = answers["optimized"].tokens.prompt - answers["base"].tokens.prompt
        assert longer > 2 * len(["A", "wedding", "list", "is", "here."]), "both examples are in the prompt"


def test_both_answers_are_streamed_and_only_the_one_with_rules_follows_them(demo: Path) -> None:
    with talk(TrySource(project=demo, rules=(CAMERA, WEDDING))) as worker:
        described = next(reply for reply in worker.heard if isinstance(reply, Described))
        answers = worker.predict(1, ticket=TICKET)
        assert [field.name for field in described.inputs] == ["ticket"]
        assert [field.name for field in described.expected] == ["queue", "channel", "id"]
        assert described.rules == 2
        assert answers["base"].fields["queue"] == "sales"
        assert answers["optimized"].fields["queue"] == "events"
        for side, answer in answers.items():
            assert json.loads(worker.streamed(side)) == answer.fields
            assert len([r for r in worker.heard if isinstance(r, Streamed) and r.side == side]) > 5
        assert [rule.fires for rule in answers["optimized"].rules] == [False, True]
        assert all(rule.in_prompt for rule in answers["optimized"].rules)
        assert answers["base"].rules == ()
        assert answers["base"].tokens.prompt < answers["optimized"].tokens.prompt


def test_a_conditional_program_meets_only_the_rules_that_fire(demo: Path) -> None:
    config = {"conditional_rules": True, "rule_trigger_min_overlap": 0.5}
    with talk(TrySource(project=demo, rules=(CAMERA, WEDDING), config=config)) as worker:
        fired = worker.predict(1, ticket=TICKET)["optimized"]
        assert [(rule.in_prompt, rule.overlap) for rule in fired.rules] == [(False, 0.0), (True, 1.0)]
        assert fired.fields["queue"] == "events"
        nothing = worker.predict(2, ticket="The parcel is not what I expected.")
        assert nothing["base"].tokens.prompt == nothing["optimized"].tokens.prompt


def test_without_rules_the_base_answers_alone(demo: Path) -> None:
    with talk(TrySource(project=demo)) as worker:
        worker.process.send(Predict(id=1, inputs={"ticket": TICKET}))
        assert worker.until(Answered).side == "base"
        worker.process.send(Predict(id=2, inputs={"ticket": TICKET}))
        second = worker.until(Answered)
        assert (second.id, second.side) == (2, "base")


def test_a_wrong_input_is_told_and_the_worker_goes_on(demo: Path) -> None:
    with talk(TrySource(project=demo, rules=(WEDDING,))) as worker:
        worker.process.send(Predict(id=1, inputs={"tikcet": "?"}))
        failed = worker.next()
        assert isinstance(failed, Failed)
        assert (failed.place, failed.id) == ("predict", 1)
        assert "'tikcet' is not an input" in failed.message
        assert worker.predict(2, ticket=TICKET)["optimized"].fields["queue"] == "events"


def test_a_prediction_is_cancelled_and_the_next_one_is_answered(tmp_path: Path) -> None:
    with desk_server(seconds=3600) as server:
        write_project(tmp_path, server.uri)
        rule = Rule(text="Tickets that mention drone go to aviation.", trigger="drone")
        with talk(TrySource(project=tmp_path, rules=(rule,))) as worker:
            worker.process.send(Predict(id=1, inputs={"ticket": "my drone is late"}))
            worker.process.send(Cancel(id=1))
            assert {worker.until(Cancelled).side, worker.until(Cancelled).side} == {"base", "optimized"}
            server.seconds = 0
            answers = worker.predict(2, ticket="my drone is late")
            assert {side: answer.fields["queue"] for side, answer in answers.items()} == {
                "base": "general",
                "optimized": "aviation",
            }


def test_a_server_that_is_down_is_an_error_of_the_answer(tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri)
        with talk(TrySource(project=tmp_path)) as worker:
            server.is_down = True
            worker.process.send(Predict(id=1, inputs={"ticket": "x"}))
            while not isinstance(failed := worker.next(), Failed):
                pass
            assert (failed.place, failed.side) == ("predict", "base")
            assert "the model is down" in failed.message


def test_an_artifact_is_tried_as_it_was_proved_and_refused_once_it_was_changed(tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri, n=40)
        artifact = Path(result(promptgrad("run", tmp_path, "--json", "--quiet"))["artifact"])
        with talk(TrySource(project=tmp_path, artifact=artifact)) as worker:
            answers = worker.predict(1, ticket="Case 9: my drone is late.")
            assert answers["optimized"].fields == {"queue": "aviation"}
            assert answers["base"].fields == {"queue": "general"}
        manifest = artifact / "manifest.json"
        manifest.write_text(manifest.read_text().replace("aviation", "harbour"))
        with talk(TrySource(project=tmp_path, artifact=artifact), ready=False) as worker:
            while not isinstance(failed := worker.next(), Failed):
                pass
            assert failed.place == "open"
            assert "was changed after it was saved" in failed.message


def test_an_artifact_whose_rules_were_all_dropped_answers_on_both_sides(tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri, n=40)
        assert result(promptgrad("run", tmp_path, "--json", "--quiet"))["rules"]
        with Journal.open(journal_path(tmp_path)) as journal:
            (run,) = journal.runs()
            assert run.summary is not None
            learned = (*run.summary.rules, *run.summary.demonstrations)
            for one in learned:
                journal.decide(run.id, f"review/1/{one.id}", {"choice": "drop"})
            saved = apply_review_job(journal, run)
        assert (saved.rules, saved.demonstrations) == ((), ())
        assert saved.artifact is not None
        with talk(TrySource(project=tmp_path, artifact=Path(saved.artifact))) as worker:
            state = TryState()
            for reply in worker.heard:
                state.apply(reply)
            worker.predict(state.begin(), ticket="Case 9: my drone is late.")
            for reply in worker.heard:
                state.apply(reply)
            shown = {side: answer.answered for side, answer in state.answers.items()}
            assert set(shown) == {"base", "optimized"}
            assert all(shown.values())


def test_what_a_project_prints_is_no_reply_and_what_it_raises_is_told_with_its_line(tmp_path: Path) -> None:
    with desk_server() as server:
        write_project(tmp_path, server.uri)
        (tmp_path / "program.py").write_text(ALOUD)
        (tmp_path / "engine").mkdir()
        (tmp_path / "engine" / "__init__.py").write_text("")
        file = tmp_path / "promptgrad.toml"
        _, data, rest = file.read_text().partition("[data]")
        file.write_text(f'[program]\npython = "program.py:Aloud"\n{data}{rest}')
        with talk(TrySource(project=tmp_path)) as worker:
            worker.process.send(Predict(id=1, inputs={"ticket": "a voucher"}))
            assert worker.until(Answered).fields == {"queue": "general"}
            worker.process.send(Predict(id=2, inputs={"ticket": "break"}))
            failed = worker.next()
            assert isinstance(failed, Failed)
            assert "program.py, line 15: KeyError" in failed.message
            worker.process.send(Predict(id=3, inputs={"ticket": "ask"}))
            failed = worker.next()
            assert isinstance(failed, Failed)
            assert "EOFError" in failed.message
            worker.process.send(Predict(id=4, inputs={"ticket": "loop"}))
            process = psutil.Process(worker.process.pid)
            worker.process.close()
            process.wait(PATIENCE_SECONDS)


def test_a_model_that_is_gone_is_told_and_examples_can_still_be_saved(demo: Path) -> None:
    file = demo / "promptgrad.toml"
    file.write_text(file.read_text().replace('task = "demo"', 'task = "gguf:gone.gguf"'))
    with talk(TrySource(project=demo, rules=(WEDDING,)), ready=False) as worker:
        while not isinstance(failed := worker.next(), Failed):
            pass
        assert failed.place == "open"
        assert "gone.gguf" in failed.message
        assert failed.hint
        expected = {"queue": "events", "channel": "web", "id": "mine"}
        worker.process.send(Save(inputs={"ticket": TICKET}, expected=expected))
        saved = worker.until(Saved)
        assert saved.n == 61
        assert saved.where.endswith("train.jsonl, line 61")


def test_a_killed_worker_is_told_with_its_signal(demo: Path) -> None:
    with talk(TrySource(project=demo)) as worker:
        os.kill(worker.process.pid, signal.SIGKILL)
        gone = worker.next()
        assert isinstance(gone, Gone)
        assert "SIGKILL" in gone.how


def test_the_worker_ends_with_its_screen(demo: Path) -> None:
    with talk(TrySource(project=demo)) as worker:
        process = psutil.Process(worker.process.pid)
        worker.process.close()
        process.wait(PATIENCE_SECONDS)
    assert worker.heard[-1].kind == "ready"  # type: ignore[union-attr]
