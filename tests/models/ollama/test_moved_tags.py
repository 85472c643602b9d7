"""A tag that moves during a run: no answer of other weights counts, and the run goes on once it is back."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from dspy import lm15
from dspy.utils.exceptions import LMError, LMUnexpectedError

from engine.ground.errors import ModelUnavailableError
from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay, cause_of
from models import open_model
from models.errors import RevisionMovedError
from tests.models.ollama.ollama_server import OllamaServer
from tests.patience import PATIENCE_SECONDS

RIGHT, OTHER = "weights", "other weights"
TICKETS = [f"ticket {number}" for number in range(10)]


class Remembered(MemoryCompletions):
    """A journal's answers, which a test can look at."""

    @property
    def answers(self) -> dict[str, str]:
        """The answers by the prompt that they are for."""
        return {found.messages[-1][1]: found.answer for found in self._known.values()}


def ask_all(ollama: OllamaServer, store: Remembered) -> None:
    """Ask about all tickets at once, as a run does; a stop ends it, and another call is its resume."""
    with open_model("ollama:qwen3:4b") as model:
        model.lm.num_retries = 0
        lm = Replay(store, "run").lm(model)
        with ThreadPoolExecutor(4) as threads:
            running = [threads.submit(lm, ticket) for ticket in TICKETS]
            for answer in running:
                answer.result()


@pytest.fixture
def desk(ollama: OllamaServer) -> OllamaServer:
    """A server that answers with the weights that its tag means at the moment."""
    ollama.default_answer = lambda body: str(body["weights"])
    return ollama


@pytest.mark.parametrize("number", range(1, len(TICKETS) + 1))
def test_a_tag_that_moves_at_any_request_stops_the_run_which_goes_on_once_it_is_back(
    desk: OllamaServer, number: int
) -> None:
    store = Remembered()
    desk.before_chat = lambda chat: desk.move_tag("qwen3:4b", weights=OTHER) if chat == number else None
    with pytest.raises(LMUnexpectedError) as stopped:
        ask_all(desk, store)
    assert isinstance(cause_of(stopped.value), RevisionMovedError)
    assert set(store.answers.values()) <= {RIGHT}
    assert len(store.answers) < number  # what was under way when it moved doesn't count either

    desk.move_tag("qwen3:4b", weights=RIGHT)
    ask_all(desk, store)
    assert store.answers == dict.fromkeys(TICKETS, RIGHT)


@pytest.mark.parametrize("number", range(1, len(TICKETS) + 1))
def test_a_tag_that_moves_for_one_request_alone_is_noticed(desk: OllamaServer, number: int) -> None:
    store = Remembered()

    def move(chat: int) -> None:
        if chat in (number, number + 1):  # there and back, before anybody looks
            desk.move_tag("qwen3:4b", weights=OTHER if chat == number else RIGHT)

    desk.before_chat = move
    for _ in range(3):
        with suppress(LMError):
            ask_all(desk, store)
        desk.move_tag("qwen3:4b", weights=RIGHT)
    assert store.answers == dict.fromkeys(TICKETS, RIGHT)


def test_a_tag_that_moves_at_every_request_leaves_no_evidence(desk: OllamaServer) -> None:
    store = Remembered()
    desk.before_chat = lambda chat: desk.move_tag("qwen3:4b", weights=(OTHER, RIGHT)[chat % 2])
    for _ in range(5):
        with suppress(LMError):
            ask_all(desk, store)
    assert store.answers == {}
    assert len(desk.chats) >= 5


def test_an_answer_that_is_asked_again_is_the_right_models(desk: OllamaServer) -> None:
    desk.before_chat = lambda chat: desk.move_tag("qwen3:4b", weights=RIGHT) if chat == 1 else None
    with open_model("ollama:qwen3:4b") as model:
        assert model.lm("hello") == [RIGHT]  # written again, with the same digest: DSPy asks once more
    assert len(desk.chats) == 2


def test_a_tag_that_is_written_all_the_time_says_so(desk: OllamaServer) -> None:
    desk.before_chat = lambda _chat: desk.move_tag("qwen3:4b", weights=RIGHT)
    with open_model("ollama:qwen3:4b") as model:
        model.lm.num_retries = 0
        with pytest.raises(LMError) as error:
            model.lm("hello")
    cause = cause_of(error.value)
    assert isinstance(cause, ModelUnavailableError)
    assert "ollama:qwen3:4b was written again during an answer" in cause.message


def test_a_tag_that_moves_ends_long_answers_within_seconds(
    desk: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.server.vouching.WATCH_SECONDS", 0.2)
    desk.default_answer, desk.faults.seconds_per_piece = "word " * 100_000, 0.05
    with open_model("ollama:qwen3:4b") as model, ThreadPoolExecutor(4) as threads:
        running = [threads.submit(model.lm, ticket) for ticket in TICKETS[:4]]
        while len(desk.chats) < 4:
            time.sleep(0.01)
        desk.move_tag("qwen3:4b", weights=OTHER)
        moved = time.monotonic()
        for answer in running:
            with pytest.raises(LMUnexpectedError, match="is now"):
                answer.result(PATIENCE_SECONDS)
        assert time.monotonic() - moved < 10
    assert desk.hung_up.wait(PATIENCE_SECONDS)


def test_a_stream_has_no_end_before_it_is_vouched_for(desk: OllamaServer) -> None:
    desk.before_chat = lambda _chat: desk.move_tag("qwen3:4b", weights=OTHER)
    request = lm15.Request(model="ollama", messages=(lm15.Message.user("hello"),))
    with open_model("ollama:qwen3:4b") as model:
        events = model.lm.engine.stream(request)
        came = [next(events).type for _ in range(3)]
        with pytest.raises(RevisionMovedError):
            next(events)
    assert came == ["start", "delta", "delta"]


def test_answers_at_the_same_time_share_a_look(ollama: OllamaServer) -> None:
    with open_model("ollama:qwen3:4b") as model, ThreadPoolExecutor(16) as threads:
        ollama.free = threading.Semaphore(16)
        ollama.paths.clear()
        ollama.faults.seconds_per_look = 0.2
        list(threads.map(model.lm, map(str, range(64))))
    assert ollama.paths.count("/api/chat") == 64
    assert 1 <= ollama.paths.count("/api/tags") < 32
