"""Templates that print today's date: answers of another day don't count, or the date stays the same."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.journal.completions import MemoryCompletions
from engine.journal.replay import Replay
from models import ModelSettings, open_in_process, open_model
from models.gguf.model import GGUFModel
from models.gguf.template import ChatTemplate
from models.today import PrintedDate, printed_date
from tests.models.gguf.tiny_model import CHATML, write_tiny_model
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.models.openai.openai_server import OpenAIServer

MONDAY, TUESDAY = datetime.date(2026, 11, 30), datetime.date(2026, 12, 1)
LLAMA_3 = "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
GPT_OSS = "Current date: {{ strftime_now('%Y-%m-%d') }}"


@pytest.fixture
def wake_up_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime.date], None]:
    """Sets the day."""

    def set_day(day: datetime.date) -> None:
        class Day(datetime.date):
            @classmethod
            def today(cls) -> Any:
                return day

        monkeypatch.setattr("models.today.date", Day)

    return set_day


def ask(store: MemoryCompletions, uri: str, **settings: Any) -> Any:
    """Ask a question as a run does that is begun or resumed on this day; return the model, closed."""
    with open_model(uri, settings=ModelSettings(**settings)) as model:
        Replay(store, "run").lm(model)("Which queue?")
    return model


@pytest.mark.parametrize(
    ("template", "asked"), [("{{ .Prompt }}", 1), ("Today: {{ currentDate }}", 2), (GPT_OSS, 2)]
)
def test_an_answer_of_ollama_from_another_day_is_asked_for_again_if_the_prompt_shows_the_day(
    ollama: OllamaServer, wake_up_on: Callable[[datetime.date], None], template: str, asked: int
) -> None:
    ollama.models = [FakeModel("qwen3:4b", template=template)]
    store = MemoryCompletions()
    for day in (MONDAY, MONDAY, TUESDAY):
        wake_up_on(day)
        model = ask(store, "ollama:qwen3:4b")
    assert len(ollama.chats) == asked
    expected = PrintedDate("2026-12-01", is_pinned=False) if asked == 2 else None
    assert model.printed_date == expected


def shown(variables: dict[str, Any]) -> str:
    """The prompt of a llama-server that takes the date of a request."""
    return f"Today Date: {variables.get('date_string')}"


@pytest.mark.parametrize(
    ("template", "renders", "date"),
    [
        (LLAMA_3, shown, "01 Jan 2026"),
        (LLAMA_3, lambda _variables: "Today Date: 30 Nov 2026", None),  # an older one: always today's
        (LLAMA_3, None, None),  # one without /apply-template
        (GPT_OSS, shown, None),
    ],
)
def test_llama_server_gets_the_same_date_every_day_if_it_takes_one(
    wake_up_on: Callable[[datetime.date], None], template: str, renders: Any, date: str | None
) -> None:
    store = MemoryCompletions()
    with OpenAIServer(props={"chat_template": template}, renders=renders) as server:
        for day in (MONDAY, TUESDAY):
            wake_up_on(day)
            model = ask(store, f"openai:{server.endpoint}#qwen3")
    assert len(server.chats) == (1 if date else 2)
    assert server.chats[0]["chat_template_kwargs"].get("date_string") == date
    assert model.printed_date == PrintedDate("2026-01-01" if date else "2026-12-01", is_pinned=bool(date))


def test_the_switch_today_sets_llama_servers_date_and_its_own_variable_comes_first() -> None:
    with OpenAIServer(props={"chat_template": LLAMA_3}, renders=shown) as server:
        uri = f"openai:{server.endpoint}#qwen3"
        ask(MemoryCompletions(), uri, template_switches={"today": "2026-11-30"})
        ask(MemoryCompletions(), uri, template_switches={"date_string": "Monday"})
    first, second = (chat["chat_template_kwargs"]["date_string"] for chat in server.chats)
    assert (first, second) == ("30 Nov 2026", "Monday")


def test_a_likelihood_is_asked_for_with_the_same_date_as_an_answer() -> None:
    server = OpenAIServer(props={"chat_template": LLAMA_3}, renders=shown)
    server.likely = lambda _begun: {"yes": 0.5, "no": 0.5}
    with server, open_model(f"openai:{server.endpoint}#qwen3") as model:
        model.score([{"role": "user", "content": "?"}], ["yes", "no"])  # type: ignore[attr-defined]
    assert server.chats[0]["chat_template_kwargs"]["date_string"] == "01 Jan 2026"


def test_in_process_the_date_is_a_part_of_what_an_answer_depends_on(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "dated.gguf", template=GPT_OSS + CHATML)
    settings = ModelSettings(context_length=512, sequences=1, threads=1, gpu_layers=0)
    with open_model(f"gguf:{path}", settings=settings) as model:
        assert isinstance(model, GGUFModel)
        assert model.printed_date == PrintedDate("2026-01-01", is_pinned=True)
        assert model.sampling["today"] == "2026-01-01"


def test_a_search_in_process_shows_the_date_that_ollama_shows(
    ollama: OllamaServer, wake_up_on: Callable[[datetime.date], None], tmp_path: Path
) -> None:
    wake_up_on(MONDAY)
    template = ChatTemplate(GPT_OSS + CHATML, bos="", eos="", switches={"today": MONDAY.isoformat()})
    blob = write_tiny_model(tmp_path / f"sha256-{'ab' * 32}", template=template.text)
    ollama.models, ollama.renders = [FakeModel("qwen3:4b", template=GPT_OSS, blob=blob)], template.render
    settings = ModelSettings(context_length=512, sequences=1, threads=1, gpu_layers=0)
    with (
        open_model("ollama:qwen3:4b", settings=settings) as served,
        open_in_process(served, settings=settings) as model,
    ):
        assert isinstance(model, GGUFModel)
        assert "Current date: 2026-11-30" in model.render([{"role": "user", "content": "Hello"}])


@pytest.mark.parametrize("template", [None, "", CHATML, "{{ strftime_nowhere }}"])
def test_a_template_without_a_date_prints_none(template: str | None) -> None:
    assert printed_date(template, {}, pins=True) is None
