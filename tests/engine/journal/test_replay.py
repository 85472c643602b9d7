from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import dspy
import pytest
from dspy.lm15 import ServerError
from dspy.utils import DummyLM
from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import (
    BudgetExhaustedError,
    ContextOverflowError,
    JournalError,
    MetricError,
    ModelUnavailableError,
    RunStoppedError,
)
from engine.journal.completions import Completion, CompletionStore, MemoryCompletions
from engine.journal.events import Tokens
from engine.journal.journal import Journal, journal_path
from engine.journal.replay import Replay, cause_of, recording
from engine.testing import ScriptedModel, scripted_model
from tests.patience import PATIENCE_SECONDS

RUN, LATER_RUN = "20261121-040420-d213", "20261121-050000-beef"


def echo(messages: list[dict[str, str]]) -> str:
    question = messages[-1]["content"].split("\n")[1]
    return f'{{"answer": "{question}!"}}'


def ask(lm: dspy.LM, question: str, **options: Any) -> str:
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        return str(dspy.Predict("question -> answer")(question=question, config=options).answer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path)


@pytest.fixture(params=["journal", "memory"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[CompletionStore]:
    if request.param == "memory":
        yield MemoryCompletions()
        return
    with Journal.open(path) as journal:
        yield journal


def test_a_completion_is_paid_for_once(store: CompletionStore) -> None:
    model = scripted_model(echo)
    first = Replay(store, RUN)
    lm = first.lm(model)
    assert [ask(lm, "a"), ask(lm, "b"), ask(lm, "a")] == ["a!", "b!", "a!"]
    assert len(model.requests) == 2
    assert (first.usage().calls, first.usage().remembered) == (2, 1)
    prompt, completion = model.count_prompt_tokens([]), 2
    assert first.usage().tokens.completion == 2 * completion
    assert first.usage().tokens.prompt > prompt


def test_a_resumed_run_asks_nothing_again_and_reports_the_same(path: Path) -> None:
    model = scripted_model(echo)

    def run() -> tuple[list[str], Any, list[Any]]:
        with Journal.open(path) as journal:
            replay = Replay(journal, RUN)
            lm = replay.lm(model)
            with recording() as used:
                answers = [ask(lm, question) for question in "abca"]
            return answers, replay.usage(), [used.keys, used.tokens, used.seconds]

    before = run()
    assert run() == before
    assert len(model.requests) == 3
    assert before[1].calls == 3


def test_what_another_run_paid_for_is_remembered_and_costs_nothing(store: CompletionStore) -> None:
    model = scripted_model(echo)
    ask(Replay(store, RUN).lm(model), "a")
    later = Replay(store, LATER_RUN, max_calls=0)
    assert ask(later.lm(model), "a") == "a!"
    assert (later.usage().calls, later.usage().remembered, later.usage().tokens) == (0, 1, Tokens())


@pytest.mark.parametrize(
    "changed",
    [
        lambda lm: lm.copy(seed=2),
        lambda lm: lm.copy(temperature=0.7),
        lambda lm: lm.copy(max_tokens=5),
        lambda lm: lm.copy(stop=["x"]),
    ],
)
def test_other_sampling_parameters_are_another_completion(
    store: CompletionStore, changed: Callable[[dspy.LM], dspy.LM]
) -> None:
    model = scripted_model(echo)
    lm = Replay(store, RUN).lm(model).copy(seed=1)
    ask(lm, "a")
    ask(changed(lm), "a")
    ask(lm, "a")
    assert len(model.requests) == 2


def test_other_weights_templates_and_settings_are_other_completions(store: CompletionStore) -> None:
    replay = Replay(store, RUN)
    model = scripted_model(echo)
    others = [scripted_model(echo, name="other"), scripted_model(echo)]
    others[1].revision = replace(model.revision, template_digest="sha256:77")  # type: ignore[type-var]
    for top_k in (1, 2):
        others.append(scripted_model(echo))
        others[-1].sampling = {"top_k": top_k}
    for each in (model, *others):
        ask(replay.lm(each), "a")
    assert replay.usage().calls == 5
    ask(replay.lm(scripted_model(echo)), "a")
    assert replay.usage().remembered == 1, "the same revision opened again is the same model"


def test_the_answers_schema_and_its_order_are_part_of_the_request(store: CompletionStore) -> None:
    class Sorted(dspy.Signature):
        """Answer."""

        question: str = dspy.InputField()
        answer: Literal["a", "b"] = dspy.OutputField()

    model = scripted_model(lambda messages: '{"answer": "a", "why": "b"}')
    with dspy.context(lm=Replay(store, RUN).lm(model), adapter=dspy.JSONAdapter()):
        for signature in (Sorted, Sorted.append("why", dspy.OutputField()), "question -> why, answer"):
            dspy.Predict(signature)(question="a")
    assert len(model.requests) == 3


def test_equal_requests_under_way_are_run_once(store: CompletionStore) -> None:
    inside, release = threading.Event(), threading.Event()

    def slow(messages: list[dict[str, str]]) -> str:
        inside.set()
        assert release.wait(PATIENCE_SECONDS)
        return echo(messages)

    model = scripted_model(slow)
    replay = Replay(store, RUN, max_calls=1)
    lm = replay.lm(model)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(lm, "a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert inside.wait(PATIENCE_SECONDS)
    release.set()
    for thread in threads:
        thread.join()
    assert answers == ["a!"] * 8
    assert len(model.requests) == 1
    assert (replay.usage().calls, replay.usage().remembered) == (1, 7)


def test_an_error_is_shared_by_those_who_wait_and_then_forgotten(store: CompletionStore) -> None:
    failures = iter([ServerError("out of memory")])

    def flaky(messages: list[dict[str, str]]) -> str:
        for failure in failures:
            raise failure
        return echo(messages)

    model = scripted_model(flaky)
    replay = Replay(store, RUN, max_calls=1)
    lm = replay.lm(model)
    with pytest.raises(Exception, match="out of memory") as caught:
        ask(lm, "a")
    assert isinstance(cause_of(caught.value), ModelUnavailableError)
    assert replay.usage().calls == 0
    assert ask(lm, "a") == "a!", "a failed call is neither remembered nor paid for"


def test_retries_of_the_lm_still_work(store: CompletionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    failures = iter([ServerError("busy"), ServerError("busy")])

    def flaky(messages: list[dict[str, str]]) -> str:
        for failure in failures:
            raise failure
        return echo(messages)

    model = scripted_model(flaky)
    model.lm = model.lm.copy(num_retries=3)
    assert ask(Replay(store, RUN).lm(model), "a") == "a!"
    assert len(model.requests) == 3


def test_the_budget_bounds_what_all_processes_of_a_run_pay_for(path: Path) -> None:
    model = scripted_model(echo)
    with Journal.open(path) as journal:
        lm = Replay(journal, RUN, max_calls=2).lm(model)
        ask(lm, "a")
        ask(lm, "b")
    with Journal.open(path) as journal:
        replay = Replay(journal, RUN, max_calls=2)
        lm = replay.lm(model)
        with pytest.raises(Exception, match="budget of 2 calls is used up") as caught:
            ask(lm, "c")
        assert isinstance(cause_of(caught.value), BudgetExhaustedError)
        assert ask(lm, "b") == "b!", "what is paid for can still be used"
        replay.max_calls = 3
        assert ask(lm, "c") == "c!"
    assert len(model.requests) == 3


def test_threads_never_overspend_together(store: CompletionStore) -> None:
    model = scripted_model(echo)
    lm = Replay(store, RUN, max_calls=5).lm(model)

    causes = []

    def spend(thread: int) -> None:
        for n in range(10):
            try:
                ask(lm, f"{thread}-{n}")
            except Exception as error:
                causes.append(cause_of(error))

    threads = [threading.Thread(target=spend, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(model.requests) == 5
    assert [type(cause) for cause in causes] == [BudgetExhaustedError] * 55


def test_a_stop_ends_requests_under_way_and_answers_no_more(store: CompletionStore) -> None:
    stopped = threading.Event()

    def checkpoint() -> None:
        if stopped.is_set():
            raise RunStoppedError("The run was stopped.")

    def stop_meanwhile(messages: list[dict[str, str]]) -> str:
        stopped.set()
        model.cancel()
        return echo(messages)

    model = scripted_model(stop_meanwhile)
    lm = Replay(store, RUN, checkpoint=checkpoint).lm(model)
    for _ in range(2):
        with pytest.raises(Exception, match="stopped") as caught:
            ask(lm, "a")
        assert isinstance(cause_of(caught.value), RunStoppedError)
    assert len(model.requests) == 1
    assert store.completions_paid(RUN) == 0


class FasterRun(MemoryCompletions):
    """A store in which another run always keeps its completion first."""

    def remember_completion(self, completion: Completion) -> bool:
        theirs = completion.response.replace("a!", "theirs")
        super().remember_completion(replace(completion, run=LATER_RUN, response=theirs))
        return super().remember_completion(completion)


def test_where_another_run_was_faster_its_answer_counts() -> None:
    replay = Replay(FasterRun(), RUN)
    lm = replay.lm(scripted_model(echo))
    assert ask(lm, "a") == "theirs"
    assert ask(lm, "a") == "theirs"
    assert (replay.usage().calls, replay.usage().remembered) == (0, 2)


def test_a_completion_that_cannot_be_kept_is_not_used(path: Path) -> None:
    model = scripted_model(echo)
    with Journal.open(path):
        pass
    with Journal.open(path, read_only=True) as journal:
        lm = Replay(journal, RUN).lm(model)
        with pytest.raises(Exception, match="read-only") as caught:
            ask(lm, "a")
    assert isinstance(cause_of(caught.value), JournalError)


def test_recording_tells_which_completions_a_piece_of_work_used(store: CompletionStore) -> None:
    lm = Replay(store, RUN).lm(scripted_model(echo))
    ask(lm, "outside")
    with recording() as one:
        ask(lm, "a")
        ask(lm, "b")
    with recording() as two:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(ask, lm, "b"))
        thread.start()
        thread.join()
    assert len(one.keys) == 2
    assert two.keys == one.keys[1:]
    first, second = (store.completion(key) for key in one.keys)
    assert first is not None
    assert second is not None
    assert first.answer == '{"answer": "a!"}'
    assert one.tokens == first.tokens + second.tokens
    assert one.seconds == first.seconds + second.seconds


def test_capabilities_are_those_of_the_model(store: CompletionStore) -> None:
    model = scripted_model(echo)
    lm = Replay(store, RUN).lm(model)
    assert lm.supports_response_schema
    assert "response_format" in lm.supported_params
    ask(lm, "a")
    assert model.requests[0].config.response_format is not None
    model.engine.supports_response_schema = False
    assert not Replay(store, RUN).lm(model).supports_response_schema


def test_programs_that_await_are_recorded_too(store: CompletionStore) -> None:
    model = scripted_model(echo)
    lm = Replay(store, RUN).lm(model)

    async def ask_async() -> str:
        with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
            return str((await dspy.Predict("question -> answer").acall(question="a")).answer)

    with recording() as used:
        assert asyncio.run(ask_async()) == "a!"
    assert ask(lm, "a") == "a!"
    assert len(model.requests) == 1
    assert len(used.keys) == 1


def test_an_lm_that_dspy_connects_by_itself_is_recorded_whole(store: CompletionStore) -> None:
    model = scripted_model(echo)
    model.lm = DummyLM([{"answer": "x"}, {"answer": "y"}], adapter=dspy.JSONAdapter())
    lm = Replay(store, RUN).lm(model)
    assert [ask(lm, "a"), ask(lm, "a"), ask(lm, "b")] == ["x", "x", "y"]


def failing(error: Exception) -> ScriptedModel:
    def fail(messages: list[dict[str, str]]) -> str:
        raise error

    return scripted_model(fail)


def caught_from(program: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        program()
    return caught.value


@pytest.mark.parametrize(
    "error", [ServerError("down"), OSError("no route"), ValueError("a bug in the engine")]
)
def test_whatever_a_model_raises_is_a_model_that_is_unavailable(error: Exception) -> None:
    lm = Replay(MemoryCompletions(), RUN).lm(failing(error))
    cause = cause_of(caught_from(lambda: ask(lm, "a")))
    assert isinstance(cause, ModelUnavailableError)
    assert str(error) in cause.message
    assert "resume" in cause.hint


def test_a_prompt_that_is_too_long_is_told_apart() -> None:
    lm = Replay(MemoryCompletions(), RUN).lm(scripted_model(echo, context_length=20))
    cause = cause_of(caught_from(lambda: ask(lm, "a " * 50)))
    assert isinstance(cause, ContextOverflowError)
    assert "context of 20" in cause.message


def test_an_answer_that_cannot_be_parsed_is_nobodys_outage() -> None:
    lm = Replay(MemoryCompletions(), RUN).lm(scripted_model(lambda messages: "no JSON at all"))
    error = caught_from(lambda: ask(lm, "a"))
    assert isinstance(error, AdapterParseError)
    assert cause_of(error) is None


def test_an_error_of_the_program_is_left_to_the_program() -> None:
    assert cause_of(ZeroDivisionError()) is None
    assert cause_of(ExceptionGroup("both", [ValueError(), ZeroDivisionError()])) is None


def test_an_error_made_for_people_is_found_wherever_it_hides() -> None:
    try:
        try:
            raise MetricError("the metric raised")
        except MetricError as inner:
            raise RuntimeError("wrapped") from inner
    except RuntimeError as wrapped:
        group = ExceptionGroup("several", [ValueError(), wrapped])
    found = cause_of(group)
    assert isinstance(found, MetricError)
