"""A whole run of the demo evaluates hardly any token of its prompts twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.journal.journal import Journal, journal_path
from models import open_model
from models.demo import demo_model_path
from models.demo.project import write_demo_project
from tests.promptgrad_tui.desk_project import promptgrad, result

pytestmark = pytest.mark.skipif(not demo_model_path().is_file(), reason="make demo-model")


def trie_nodes(prompts: list[list[int]]) -> int:
    """Return how many nodes the trie of these token sequences has."""
    nodes, previous = 0, list[int]()
    for tokens in sorted(prompts):
        pairs = zip(previous, tokens, strict=False)
        shared = next((at for at, (left, right) in enumerate(pairs) if left != right), len(previous))
        nodes += len(tokens) - min(shared, len(tokens))
        previous = tokens
    return nodes


def test_prompt_tokens_are_evaluated_once(tmp_path: Path) -> None:
    write_demo_project(tmp_path, seed=0)
    summary = result(promptgrad("-C", tmp_path, "run", "--json", "--quiet"))

    path = journal_path(tmp_path)
    with sqlite3.connect(path) as table, Journal.open(path, read_only=True) as journal:
        keys = [
            key for (key,) in table.execute("SELECT key FROM completions WHERE run = ?", (summary["run"],))
        ]
        completions = [journal.completion(key) for key in keys]
    evaluated = sum(c.tokens.prompt - c.tokens.reused for c in completions if c)
    with open_model("demo") as model:
        prompts = [
            model._prompt_tokens([{"role": role, "content": text} for role, text in completion.messages])[0]
            for completion in completions
            if completion
        ]
    assert [len(tokens) for tokens in prompts] == [c.tokens.prompt for c in completions if c]
    assert evaluated <= 1.05 * trie_nodes([tokens.tolist() for tokens in prompts])
