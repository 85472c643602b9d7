from __future__ import annotations

import json
from dataclasses import replace

from models import ModelRevision

WEIGHTS = "sha256:" + "ab" * 32
MANIFEST = "sha256:" + "cd" * 32
TEMPLATE = "sha256:" + "ef" * 32

IN_PROCESS = ModelRevision("gguf", WEIGHTS, TEMPLATE, name="Qwen3 4B", weights_digest=WEIGHTS)
IN_OLLAMA = ModelRevision("ollama", MANIFEST, TEMPLATE, name="qwen3:4b", weights_digest=WEIGHTS)


def test_a_revision_is_its_content_and_not_its_name() -> None:
    assert replace(IN_PROCESS, name="other", engine="llama-cpp-python 9") == IN_PROCESS
    assert replace(IN_PROCESS, digest=MANIFEST) != IN_PROCESS
    assert len({IN_PROCESS, replace(IN_PROCESS, name="other")}) == 1


def test_another_template_is_another_revision() -> None:
    assert replace(IN_PROCESS, template_digest=None) != IN_PROCESS


def test_the_same_weights_behind_ollama_are_another_revision_that_is_recognised() -> None:
    assert IN_OLLAMA != IN_PROCESS
    assert IN_OLLAMA.same_weights(IN_PROCESS)
    assert not IN_OLLAMA.same_weights(replace(IN_PROCESS, weights_digest=MANIFEST))
    unknown = replace(IN_OLLAMA, weights_digest=None)
    assert not unknown.same_weights(unknown)


def test_it_survives_json_also_with_what_later_versions_add() -> None:
    data = json.loads(json.dumps(IN_OLLAMA.as_dict())) | {"added_later": 1}
    again = ModelRevision.from_dict(data)
    assert again.as_dict() == IN_OLLAMA.as_dict()
    assert data["verified"] is True


def test_short_is_twelve_hex_digits_and_unverified_says_so() -> None:
    assert IN_PROCESS.short == "abababababab"
    unverified = ModelRevision.unverified("openai", "name", "what it says")
    assert not unverified.verified
    assert len(unverified.short) == 12
    assert int(unverified.short, 16)
    assert unverified == ModelRevision.unverified("openai", "another name", "what it says")
