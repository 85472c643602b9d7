from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import dspy
import numpy as np
import pytest
from asking import ask, request
from conftest import Open
from demo_work import demo_prompts
from dspy import lm15
from dspy.utils.exceptions import ContextWindowExceededError

from models.cancelled import RequestCancelledError
from models.gguf.model import GGUFModel

LONG = 60_000
"""Tokens that take a model of any size some time."""

SCHEMA = {
    "type": "object",
    "properties": {"why": {"type": "string", "maxLength": 40}, "queue": {"enum": ["billing", "loyalty"]}},
    "required": ["why", "queue"],
}
JSON_SCHEMA = {"type": "json_schema", "schema": SCHEMA}


def test_dspy_predicts_through_the_json_adapter(tiny: GGUFModel) -> None:
    class Route(dspy.Signature):
        """Route the ticket."""

        ticket: str = dspy.InputField()
        queue: Literal["billing", "loyalty"] = dspy.OutputField()
        urgent: bool = dspy.OutputField()

    with dspy.context(lm=tiny.lm, adapter=dspy.JSONAdapter()):
        prediction = dspy.Predict(Route)(ticket="My gift card does not work.")

    assert prediction.queue in ("billing", "loyalty")
    assert isinstance(prediction.urgent, bool)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_schema_holds_even_a_model_that_talks_nonsense(tiny: GGUFModel, temperature: float) -> None:
    for seed in range(10):
        response = ask(
            tiny, "Which?", response_format=JSON_SCHEMA, max_tokens=200, temperature=temperature, seed=seed
        )

        answer = json.loads(response.text or "")
        assert list(answer) == ["why", "queue"]
        assert answer["queue"] in ("billing", "loyalty")
        assert response.finish_reason == "stop"


def test_any_json_object(tiny: GGUFModel) -> None:
    response = ask(tiny, "Which?", response_format={"type": "json_object"}, max_tokens=400)

    assert (response.text or "").startswith("{")


def test_usage_counts_tokens(tiny: GGUFModel) -> None:
    response = ask(tiny, "Hello", max_tokens=7)

    assert response.finish_reason == "length"
    assert response.usage.input_tokens == tiny.count_prompt_tokens([{"role": "user", "content": "Hello"}])
    assert response.usage.output_tokens == 7
    assert response.usage.cache_read_tokens == 0


def test_the_same_seed_draws_the_same_answer(tiny: GGUFModel) -> None:
    def draw(seed: int) -> str | None:
        return ask(tiny, "Tell me.", temperature=1.5, seed=seed).text

    first = [draw(seed) for seed in range(8)]

    assert first == [draw(seed) for seed in range(8)]
    assert len(set(first)) > 4


def test_a_seed_draws_the_same_among_others(open_tiny: Open) -> None:
    model = open_tiny(temperature=1.0)
    alone = [ask(model, f"Ticket {i}", temperature=1.0, seed=i).text for i in range(40)]

    with ThreadPoolExecutor(16) as pool:
        among = list(pool.map(lambda i: ask(model, f"Ticket {i}", temperature=1.0, seed=i).text, range(40)))

    assert sum(a == b for a, b in zip(alone, among, strict=True)) >= 38


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}])
def test_narrow_sampling_is_greedy(tiny: GGUFModel, narrow: dict[str, float]) -> None:
    assert ask(tiny, "Tell me.", temperature=2.0, seed=1, **narrow).text == ask(tiny, "Tell me.").text


def test_min_p_of_the_settings_narrows_too(open_tiny: Open) -> None:
    model = open_tiny(min_p=0.999)

    assert ask(model, "Tell me.", temperature=2.0, seed=1).text == ask(model, "Tell me.").text


def test_a_presence_penalty_ends_repetition(tiny: GGUFModel) -> None:
    def repeats(**config: float) -> int:
        chosen = [c.token_id for c in ask(tiny, "Again", max_tokens=60, logprobs=0, **config).logprobs or ()]
        return len(chosen) - len(set(chosen))

    assert repeats(presence_penalty=2.0, frequency_penalty=2.0) < repeats()


def test_a_stop_string_that_spans_tokens_ends_the_text_before_it(tiny: GGUFModel) -> None:
    whole = ask(tiny, "Go on", max_tokens=40).text or ""
    usable = [
        i for i in range(4, 30) if "\ufffd" not in whole[i : i + 3] and whole.find(whole[i : i + 3]) == i
    ]
    at = usable[0]

    response = ask(tiny, "Go on", max_tokens=40, stop=(whole[at : at + 3],))

    assert response.text == whole[:at]
    assert response.finish_reason == "stop"


def test_a_stop_string_never_shows_in_a_stream(tiny: GGUFModel) -> None:
    whole = ask(tiny, "Go on", max_tokens=40).text or ""
    usable = [
        i for i in range(4, 30) if "\ufffd" not in whole[i : i + 3] and whole.find(whole[i : i + 3]) == i
    ]
    stop = whole[usable[0] : usable[0] + 3]

    events = list(tiny.lm.engine.stream(request(tiny, "Go on", max_tokens=40, stop=(stop,))))

    assert streamed(events) == whole[: usable[0]]


def streamed(events: list[lm15.StreamEvent]) -> str:
    return "".join(event.delta.text for event in events if isinstance(event, lm15.StreamDeltaEvent))


def test_a_stream_says_what_complete_says(tiny: GGUFModel) -> None:
    expected = ask(tiny, "Tell me")
    events = list(tiny.lm.engine.stream(request(tiny, "Tell me")))

    assert events[0].type == "start"
    assert streamed(events) == expected.text
    assert isinstance(events[-1], lm15.StreamEndEvent)
    assert events[-1].finish_reason == expected.finish_reason
    assert len(events) > 4


def test_asyncio(demo: GGUFModel) -> None:
    prompts = demo_prompts(20, seed=3)

    async def main() -> list[lm15.Response]:
        engine = demo.lm._async_engine_spec
        asked = (engine.complete(request(demo, text, system=system)) for system, text in prompts)
        return await asyncio.gather(*asked)

    responses = asyncio.run(main())

    alone = [ask(demo, text, system=system).text for system, text in prompts]
    assert sum(a.text == b for a, b in zip(responses, alone, strict=True)) >= len(prompts) - 1  # Ties
    assert len({r.text for r in responses}) > 10


def test_a_cancelled_task_frees_its_place(endless: GGUFModel) -> None:
    async def main() -> None:
        engine = endless.lm._async_engine_spec
        task = asyncio.create_task(engine.complete(request(endless, "Go on", max_tokens=LONG)))
        while not endless.statistics().tokens_decoded:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    while endless.statistics().active:  # Else the test's own time limit ends it
        time.sleep(0.001)
    assert endless.statistics().tokens_decoded < LONG


def test_a_cancelled_async_stream_frees_its_place(endless: GGUFModel) -> None:
    async def main() -> None:
        async def read() -> None:
            async for _ in endless.lm._async_engine_spec.stream(request(endless, "Go on", max_tokens=LONG)):
                pass

        task = asyncio.create_task(read())
        while not endless.statistics().tokens_decoded:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    while endless.statistics().active:  # Else the test's own time limit ends it
        time.sleep(0.001)
    assert endless.statistics().tokens_decoded < LONG


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_task_that_is_cancelled_while_its_prompt_is_rendered_leaves_no_request(
    endless: GGUFModel, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    begun, may_end, generations = threading.Event(), threading.Event(), []
    engine = endless.lm.engine
    start = engine.start

    def slow_start(*arguments: Any) -> Any:
        begun.set()
        may_end.wait()
        generations.append(start(*arguments))
        return generations[-1]

    monkeypatch.setattr(engine, "start", slow_start)

    async def main() -> None:
        async_engine = endless.lm._async_engine_spec
        asked = request(endless, "Go on", max_tokens=LONG)
        reading = anext(async_engine.stream(asked)) if way == "stream" else async_engine.complete(asked)
        task = asyncio.ensure_future(reading)
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_end.set()

    asyncio.run(main())  # it waits for its threads
    ((generation, _),) = generations
    with pytest.raises(RequestCancelledError):
        generation.future.result(timeout=0)


def test_an_async_stream(tiny: GGUFModel) -> None:
    async def main() -> list[lm15.StreamEvent]:
        return [event async for event in tiny.lm._async_engine_spec.stream(request(tiny, "Tell me"))]

    assert streamed(asyncio.run(main())) == ask(tiny, "Tell me").text


def test_log_probabilities_are_those_of_the_chosen_tokens(tiny: GGUFModel) -> None:
    response = ask(tiny, "Hello", logprobs=3)
    logprobs = response.logprobs or ()

    assert len(logprobs) == response.usage.output_tokens
    for choice in logprobs:
        assert choice.logprob == choice.top[0].logprob <= 0
        assert [t.logprob for t in choice.top] == sorted((t.logprob for t in choice.top), reverse=True)
        assert np.exp([t.logprob for t in choice.top]).sum() <= 1.0001


def test_a_prompt_that_does_not_fit_is_refused_before_any_work(open_tiny: Open) -> None:
    model = open_tiny(context_length=128)

    with pytest.raises(lm15.ContextLengthError, match=r"prompt has [\d,]+ tokens and the context holds 128"):
        ask(model, "word " * 200)
    with pytest.raises(ContextWindowExceededError):
        model.lm("word " * 200)
    assert model.statistics().requests == 0


def test_an_empty_prompt_is_refused_and_the_model_goes_on(open_tiny: Open) -> None:
    model = open_tiny(chat_template="{{ messages[-1].content }}")

    with pytest.raises(lm15.InvalidRequestError, match="prompt is empty"):
        ask(model, "")
    assert ask(model, "Which?", max_tokens=3).usage.output_tokens == 3


def test_an_answer_ends_where_the_context_ends(open_tiny: Open) -> None:
    model = open_tiny(context_length=128)

    responses = [ask(model, f"Hello {i}", max_tokens=1000) for i in range(20)]

    full = [r for r in responses if r.usage.total_tokens == 128]
    assert full
    assert all(r.finish_reason == "length" for r in full)
    assert all(r.finish_reason == "stop" for r in responses if r not in full)


def test_dspy_sees_a_cancelled_request_as_such(endless: GGUFModel) -> None:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(endless.lm, "Go on", max_tokens=LONG)
        while not endless.statistics().tokens_decoded:
            time.sleep(0.001)
        endless.cancel()

        with pytest.raises(RequestCancelledError):
            future.result()


def test_images_and_tools_are_refused(tiny: GGUFModel) -> None:
    image = lm15.ImagePart(data="eA==", media_type="image/png")
    message = lm15.Message.user([lm15.TextPart("What is this?"), image])

    with pytest.raises(lm15.UnsupportedFeatureError, match="part of type image"):
        tiny.lm.engine.complete(lm15.Request(model=tiny.lm.model, messages=(message,)))


def test_a_schema_that_cannot_be_held_is_an_error(tiny: GGUFModel) -> None:
    with pytest.raises(lm15.InvalidRequestError, match="unknown type"):
        ask(tiny, "?", response_format={"type": "json_schema", "schema": {"type": "tuple"}})
