from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import ask
from conftest import Open
from dspy import lm15
from llama_cpp import Llama
from tiny_model import write_tiny_model

from engine.ground.revision import ModelRevision
from models.errors import ChatTemplateError, ModelFileError, ModelNotFoundError, RevisionMovedError
from models.gguf import native_log
from models.gguf.context import NativeContext
from models.gguf.model import GGUFModel
from models.settings import ModelSettings

MESSAGES = [{"role": "system", "content": "Route it."}, {"role": "user", "content": "My parcel is late."}]


def test_the_prompt_is_what_the_template_says(tiny: GGUFModel) -> None:
    assert tiny.render(MESSAGES) == (
        "<|im_start|>system\nRoute it.<|im_end|>\n<|im_start|>user\nMy parcel is late.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_special_tokens_count_as_one(tiny: GGUFModel) -> None:
    assert tiny.count_tokens("<|im_start|>") == 1
    assert tiny.count_tokens("the") == 1
    assert tiny.count_tokens("") == 0
    assert tiny.count_prompt_tokens(MESSAGES) == tiny.count_tokens(tiny.render(MESSAGES))


def test_scores_are_the_log_probabilities_of_llama_cpp_itself(tiny_path: Path, tiny: GGUFModel) -> None:
    continuations = ["billing", "b", "late parcels", "billing team", "zzz"]
    kinds = {"flash_attn": True, "type_k": 1, "type_v": 1}  # as the model's own context has them
    reference = Llama(str(tiny_path), n_ctx=1024, verbose=False, logits_all=True, n_threads=1, **kinds)
    prompt = tiny.render(MESSAGES)
    start = len(reference.tokenize(prompt.encode(), add_bos=False, special=True))
    expected = []
    for continuation in continuations:
        tokens = reference.tokenize((prompt + continuation).encode(), add_bos=False, special=True)
        reference.reset()
        reference.eval(tokens)
        rows = np.array(reference.scores[start - 1 : len(tokens) - 1], np.float64)
        rows -= np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True)) + rows.max(
            1, keepdims=True
        )
        expected.append(sum(rows[i, token] for i, token in enumerate(tokens[start:])))

    scores = tiny.score(MESSAGES, continuations)

    assert scores == pytest.approx(expected, abs=0.05)
    assert tiny.score(prompt, continuations) == pytest.approx(scores, abs=0.05)


def test_scoring_evaluates_the_prompt_once_and_decodes_nothing(tiny: GGUFModel) -> None:
    continuations = [f"queue number {i}" for i in range(10)]

    tiny.score(MESSAGES, continuations)

    counts = tiny.statistics()
    tokens = [tiny._tokenize(text).tolist() for text in continuations]
    shared_once = {tuple(each[:end]) for each in tokens for end in range(1, len(each))}
    assert counts.prompt_tokens_evaluated == tiny.count_prompt_tokens(MESSAGES) + len(shared_once)
    assert counts.tokens_decoded == 0
    assert counts.cells_used == tiny.count_prompt_tokens(MESSAGES) - 1  # the last belongs to the answers


def test_scores_of_nothing(tiny: GGUFModel) -> None:
    assert tiny.score(MESSAGES, []) == []
    assert tiny.score(MESSAGES, [""]) == [0.0]


def test_nothing_is_scored_without_a_prompt(tiny: GGUFModel) -> None:
    with pytest.raises(lm15.InvalidRequestError, match="without a prompt"):
        tiny.score("", ["a", "b"])


def test_a_likelier_text_scores_higher(tiny: GGUFModel) -> None:
    answer = ask(tiny, "My parcel is late.", max_tokens=1).text or ""
    user = MESSAGES[1:]

    best, other = tiny.score(user, [answer, "q" if answer != "q" else "z"])

    assert best > other


def test_context_length_is_the_models_own_at_most(open_tiny: Open) -> None:
    assert open_tiny().context_length == 2048
    assert open_tiny(context_length=512).context_length == 512
    assert open_tiny(context_length=100_000).context_length == 2048


def test_a_template_can_be_given_as_text_or_as_a_file(tmp_path: Path, open_tiny: Open) -> None:
    template = "{{ messages[-1].content }}{{ ' ' + mood if mood }}->"
    file = tmp_path / "chat.jinja"
    file.write_text(template)

    assert open_tiny(chat_template=template).render(MESSAGES) == "My parcel is late.->"
    with_switch = open_tiny(chat_template=str(file), template_switches={"mood": "gently"})
    assert with_switch.render(MESSAGES) == "My parcel is late. gently->"


def test_thinking_is_off_unless_wanted(open_tiny: Open) -> None:
    assert not open_tiny().render(MESSAGES).endswith("<think>\n")
    assert open_tiny(think=True).render(MESSAGES).endswith("<think>\n")


def test_a_model_without_a_template_says_how_to_give_one(tmp_path: Path, open_tiny: Open) -> None:
    path = write_tiny_model(tmp_path / "bare.gguf", template=None)

    with pytest.raises(ChatTemplateError, match="no chat template") as caught:
        open_tiny(path)
    assert "chat_template" in caught.value.hint
    assert open_tiny(path, chat_template="{{ messages[0].content }}").render(MESSAGES) == "Route it."


def test_files_that_are_no_models(tmp_path: Path, open_tiny: Open) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + b"\0" * 100)

    with pytest.raises(ModelNotFoundError):
        open_tiny(tmp_path / "missing.gguf")
    with pytest.raises(ModelFileError, match=r"damaged\.gguf"):
        open_tiny(damaged)


def test_native_messages_go_to_the_log_and_nowhere_else(
    tmp_path: Path, open_tiny: Open, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "run.log"

    model = open_tiny(log_file=log)
    ask(model, "Hello")
    model.close()

    assert "llama_model_loader" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_a_model_that_cannot_be_loaded_leaves_no_log_open(tmp_path: Path, open_tiny: Open) -> None:
    bare = write_tiny_model(tmp_path / "bare.gguf", template=None)
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + b"\0" * 100)
    before = list(native_log.LOGGER.handlers)

    for path, problem in ((bare, ChatTemplateError), (damaged, ModelFileError)):
        with pytest.raises(problem):
            open_tiny(path, log_file=tmp_path / "run.log")

    assert [one for one in native_log.LOGGER.handlers if one not in before] == []


@pytest.mark.parametrize("step", ["numerics_of", "Scheduler"])
def test_a_model_that_fails_late_frees_its_contexts(
    open_tiny: Open, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    contexts: list[NativeContext] = []

    class Recorded(NativeContext):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            contexts.append(self)

    def fail(*_arguments: Any, **_named: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("models.gguf.model.NativeContext", Recorded)
    monkeypatch.setattr(f"models.gguf.model.{step}", fail)
    with pytest.raises(MemoryError):
        open_tiny()

    assert contexts
    assert not any(context.handle for context in contexts)


def test_progress_is_told_while_loading(tiny_path: Path) -> None:
    heard: list[tuple[str, float]] = []

    GGUFModel(
        tiny_path,
        revision=ModelRevision("gguf", "sha256:0"),
        settings=ModelSettings(threads=1),
        on_progress=lambda text, done: heard.append((text, done)),
    ).close()

    assert heard[0][0] == "Loading tiny.gguf"
    assert heard[-1][1] == 1.0


def test_a_file_that_changes_while_it_is_in_use_is_noticed(tmp_path: Path, open_tiny: Open) -> None:
    path = write_tiny_model(tmp_path / "moving.gguf")
    model = open_tiny(path)
    model.verify_revision()

    os.utime(path, ns=(0, 0))

    with pytest.raises(RevisionMovedError):
        model.verify_revision()


def test_a_file_that_was_deleted_while_it_is_in_use_is_missed(tmp_path: Path, open_tiny: Open) -> None:
    path = write_tiny_model(tmp_path / "gone.gguf")
    model = open_tiny(path)

    path.unlink()

    with pytest.raises(RevisionMovedError, match=r"gone\.gguf is gone") as caught:
        model.verify_revision()
    assert caught.value.hint.startswith("Put it back")


def test_every_setting_is_described() -> None:
    assert all(field.description for field in ModelSettings.model_fields.values())


def test_scores_among_answers_are_those_of_choosing_one_of_them(tiny: GGUFModel) -> None:
    letters = ["b", "q", "z"]
    alone = tiny.score(MESSAGES, letters)

    among = tiny.score(MESSAGES, letters, among=True)

    total = math.log(sum(map(math.exp, alone)))
    assert among == pytest.approx([value - total for value in alone], abs=1e-4)
    many = tiny.score(MESSAGES, ["billing team", "billing desk", "late", "late parcels"], among=True)
    assert sum(map(math.exp, many)) == pytest.approx(1.0)


def test_scoring_among_evaluates_nothing_behind_the_last_choice(tiny: GGUFModel) -> None:
    prompt = tiny.count_prompt_tokens(MESSAGES)

    assert tiny.score(MESSAGES, ["only one answer"], among=True) == [0.0]
    assert tiny.statistics().prompt_tokens_evaluated == 0
    tiny.score(MESSAGES, ["billing and much more", "parcels and much more"], among=True)
    assert tiny.statistics().prompt_tokens_evaluated == prompt
    assert tiny.statistics().steps == 1  # the last token is read with the others
