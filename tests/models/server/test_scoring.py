"""How probable answers are, from a server that tells the likeliest next tokens alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from dspy import lm15

from models import open_model
from models.errors import RevisionMovedError
from models.ollama.model import OllamaModel
from models.openai.model import OpenAIModel
from tests.models.ollama.ollama_server import FakeModel, OllamaServer
from tests.models.openai.openai_server import OpenAIServer

PROMPT = [{"role": "user", "content": "Which team?"}]


class Writer:
    """A model that writes whole answers with known probabilities, in tokens of a few letters."""

    def __init__(self, answers: dict[str, float], letters: int = 4) -> None:
        self.answers = answers
        self.letters = letters
        self.asked: list[str] = []

    def __call__(self, begun: str) -> dict[str, float]:
        self.asked.append(begun)
        possible = {text: p for text, p in self.answers.items() if text.startswith(begun)}
        tokens: dict[str, float] = {}
        for text, p in possible.items():
            token = text[len(begun) :][: self.letters] or "<end>"
            tokens[token] = tokens.get(token, 0.0) + p / sum(possible.values())
        return tokens


def teams(*names: str) -> list[str]:
    return [json.dumps({"team": name}) for name in names]


def scored(ollama: OllamaServer, likely: Any, continuations: Sequence[str]) -> list[float]:
    ollama.likely = likely
    with open_model("ollama:qwen3:4b") as model:
        assert isinstance(model, OllamaModel)
        assert model.can_score
        return model.score(PROMPT, continuations)


def test_answers_that_begin_apart_take_one_question(ollama: OllamaServer) -> None:
    wanted = teams("cards", "billing", "transfers")
    writer = Writer(dict(zip(wanted, (0.6, 0.3, 0.1), strict=True)))
    assert scored(ollama, writer, wanted) == pytest.approx([math.log(p) for p in (0.6, 0.3, 0.1)])
    assert writer.asked == ['{"team": "']
    body = ollama.chats[-1]
    assert body["messages"] == [*PROMPT, {"role": "assistant", "content": '{"team": "'}]
    assert body["options"]["num_predict"] == 1
    assert body["options"]["temperature"] == 0
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "format" not in body


def test_answers_that_begin_alike_are_asked_about_further(ollama: OllamaServer) -> None:
    wanted = teams("card fees", "card limits", "cards", "other")
    writer = Writer(dict(zip(wanted, (0.4, 0.2, 0.1, 0.3), strict=True)))
    assert scored(ollama, writer, wanted) == pytest.approx([math.log(p) for p in (0.4, 0.2, 0.1, 0.3)])
    assert writer.asked == ['{"team": "', '{"team": "card']


def test_a_word_that_answers_share_is_never_cut(ollama: OllamaServer) -> None:
    writer = Writer(dict.fromkeys(teams("refund", "refusal"), 0.5), letters=6)
    scored(ollama, writer, teams("refund", "refusal"))
    assert writer.asked == ['{"team": "']  # and not '{"team": "refu', which no token would continue


def test_an_answer_that_is_the_beginning_of_another_has_what_the_other_leaves(ollama: OllamaServer) -> None:
    writer = Writer({"no": 0.75, "no idea": 0.25}, letters=2)
    found = scored(ollama, writer, ["no", "no idea"])
    assert found == pytest.approx([math.log(0.75), math.log(0.25)])


def test_an_answer_that_no_token_begins_is_the_least_probable(ollama: OllamaServer) -> None:
    likely = {"car": 0.5, **{f"x{number}": 0.4 / 18 for number in range(18)}, "tra": 0.01}
    found = scored(ollama, lambda _begun: likely, teams("cards", "travel", "loans"))
    assert found == pytest.approx([math.log(0.5), math.log(0.01), math.log(0.01)])


def test_letters_outside_ascii_are_compared_by_their_bytes(ollama: OllamaServer) -> None:
    ollama.likely = lambda _begun: {"\u00e4": 0.7, "z": 0.3}
    with open_model("ollama:qwen3:4b") as model:
        found = model.score(PROMPT, ['{"team": "\u00e4pfel"}', '{"team": "zug"}'])  # type: ignore[attr-defined]
    assert found == pytest.approx([math.log(0.7), math.log(0.3)])


def test_a_score_of_other_weights_never_counts(ollama: OllamaServer) -> None:
    ollama.before_chat = lambda _number: ollama.move_tag("qwen3:4b")
    ollama.likely = Writer(dict.fromkeys(teams("a", "b"), 0.5))
    with open_model("ollama:qwen3:4b") as model, pytest.raises(RevisionMovedError):
        model.score(PROMPT, teams("a", "b"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(("version", "can"), [("0.12.10", False), ("0.12.11", True), ("0.0.0", True)])
def test_only_servers_that_tell_probabilities_are_asked(
    ollama: OllamaServer, version: str, can: bool
) -> None:
    ollama.version = version
    with open_model("ollama:qwen3:4b") as model:
        assert model.can_score is can  # type: ignore[attr-defined]


def test_a_template_that_ends_a_begun_answer_is_noticed(ollama: OllamaServer) -> None:
    ollama.continues_answers = False
    ollama.models = [FakeModel("qwen3:4b")]
    with open_model("ollama:qwen3:4b") as model:
        assert isinstance(model, OllamaModel)
        assert not model.can_score
        with pytest.raises(lm15.UnsupportedFeatureError, match="log-probabilities"):
            model.score(PROMPT, teams("a", "b"))


@pytest.mark.parametrize("owned_by", ["llamacpp", "vllm"])
def test_llama_server_and_vllm_tell_the_same(owned_by: str) -> None:
    wanted = teams("card fees", "card limits", "other")
    writer = Writer(dict(zip(wanted, (0.5, 0.2, 0.3), strict=True)))
    with (
        OpenAIServer(owned_by=owned_by, likely=writer) as server,
        open_model(f"openai:{server.endpoint}#qwen3") as model,
    ):
        assert isinstance(model, OpenAIModel)
        assert model.can_score
        found = model.score(PROMPT, wanted)
    assert found == pytest.approx([math.log(p) for p in (0.5, 0.2, 0.3)])
    body = server.chats[-1]
    assert (body["model"], body["max_tokens"], body["continue_final_message"]) == ("qwen3", 1, True)


def test_a_server_that_is_not_known_to_continue_answers_is_not_asked() -> None:
    with (
        OpenAIServer(owned_by="organization_owner") as server,
        open_model(f"openai:{server.endpoint}#qwen3") as model,
    ):
        assert not model.can_score  # type: ignore[attr-defined]
