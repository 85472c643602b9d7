from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gguf.prefix_tree import Node, PrefixTree, Tokens, Trim


@dataclass
class Prompt:
    evaluated: int = 0


def tokens(text: str) -> Tokens:
    return np.array([ord(letter) for letter in text], np.int32)


def add(tree: PrefixTree, text: str, sequence: int) -> Node:
    owner = Prompt(len(text))
    node = tree.insert(tokens(text), tree.match(tokens(text)), sequence, owner)
    tree.use(node)
    tree.settle(node)
    tree.release(node)
    return node


def test_an_empty_tree_matches_nothing() -> None:
    match = PrefixTree().match(tokens("abc"))

    assert (match.length, match.ready) == (0, 0)


@pytest.mark.parametrize(
    ("prompt", "length"), [("abcdef", 6), ("abcxyz", 3), ("abc", 3), ("xyz", 0), ("abcdefgh", 6), ("a", 1)]
)
def test_a_match_is_the_longest_shared_beginning(prompt: str, length: int) -> None:
    tree = PrefixTree()
    add(tree, "abcdef", 0)

    match = tree.match(tokens(prompt))

    assert (match.length, match.ready) == (length, length)


def test_shared_tokens_are_counted_once() -> None:
    tree = PrefixTree()
    for sequence, text in enumerate(["abcdef", "abcxyz", "abq", "zz"]):
        add(tree, text, sequence)

    assert tree.size == len("abcdef") + len("xyz") + len("q") + len("zz")


def test_what_is_under_evaluation_is_known_but_not_ready() -> None:
    tree = PrefixTree()
    owner = Prompt(evaluated=2)
    tree.insert(tokens("abcdef"), tree.match(tokens("abcdef")), 0, owner)

    match = tree.match(tokens("abcdxy"))

    assert (match.length, match.ready) == (4, 2)
    owner.evaluated = 5
    assert tree.match(tokens("abcdxy")).ready == 4


def test_the_holder_covers_the_match() -> None:
    tree = PrefixTree()
    add(tree, "abcdef", 3)
    add(tree, "abcxyz", 4)

    assert tree.holder(tree.match(tokens("abc")).node) in (3, 4)
    assert tree.holder(tree.match(tokens("abcx")).node) == 4


def test_eviction_takes_the_least_recently_used_leaf() -> None:
    tree = PrefixTree()
    for time, (sequence, text) in enumerate([(0, "abc"), (1, "xyz"), (2, "qrs")]):
        tree.clock = time
        add(tree, text, sequence)
    tree.clock = 9
    first = tree.match(tokens("abc")).node
    tree.use(first)
    tree.release(first)

    assert tree.evict() == Trim(1, 0)
    assert tree.match(tokens("xyz")).length == 0
    assert tree.match(tokens("abc")).length == 3


def test_a_beginning_that_prompts_shared_outlives_newer_prompts_that_share_nothing() -> None:
    tree = PrefixTree()
    for sequence, text in enumerate(["instructions: a", "instructions: b"]):
        add(tree, text, sequence)
    for sequence, text in enumerate(["x", "seldom", "y"], start=2):
        tree.clock += 10
        add(tree, text, sequence)

    dropped = [tree.evict() for _ in range(4)]
    kept = {0, 1, 2, 3, 4} - {trim.sequence for trim in dropped if trim}
    assert kept < {0, 1}, "one of the two holds the shared beginning now"
    for number in range(20):
        tree.clock += 1000
        add(tree, f"{number}!", 9)
        gone = tree.evict()
        assert gone is not None
        if gone.sequence in kept:
            break
    assert 5 < number < 19, "kept longer than others, and not for ever"


def test_the_last_branch_leaves_its_sequence_to_the_trunk() -> None:
    tree = PrefixTree()
    add(tree, "abcdef", 0)
    tree.clock = 1
    add(tree, "abcxyz", 1)

    assert tree.evict() == Trim(0, 0)
    assert tree.evict() == Trim(1, 3)
    assert tree.match(tokens("abcdef")).ready == 3
    assert tree.evict() == Trim(1, 0)
    assert tree.size == 0


def test_what_is_in_use_stays() -> None:
    tree = PrefixTree()
    tree.use(add(tree, "abc", 0))

    assert tree.evict() is None


def test_a_trunk_outlives_its_branches() -> None:
    tree = PrefixTree()
    for sequence in range(8):
        tree.clock = sequence
        add(tree, f"trunk{sequence}", sequence)

    for _ in range(8):
        tree.evict()

    assert tree.match(tokens("trunk9")).ready == 5


def test_an_evaluation_that_ends_early_leaves_what_it_has_done() -> None:
    tree = PrefixTree()
    owner = Prompt(evaluated=4)
    node = tree.insert(tokens("abcdef"), tree.match(tokens("abcdef")), 0, owner)

    assert tree.abandon(node, 4) == Trim(0, 4)
    assert tree.match(tokens("abcdef")).ready == 4
    assert tree.size == 4


def test_an_evaluation_that_never_began_leaves_nothing() -> None:
    tree = PrefixTree()
    add(tree, "abc", 0)
    owner = Prompt(evaluated=3)
    node = tree.insert(tokens("abcdef"), tree.match(tokens("abcdef")), 1, owner)

    assert tree.abandon(node, 3) == Trim(1, 0)
    assert tree.match(tokens("abcdef")).length == 3


def test_a_sequence_whose_cells_a_longer_prompt_holds_can_be_taken() -> None:
    tree = PrefixTree()
    short = add(tree, "abc", 0)
    assert tree.yield_sequence(short) is None

    add(tree, "abcdef", 1)

    assert tree.yield_sequence(short) == 0
    assert tree.holder(short) == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=8), st.booleans()), max_size=30))
def test_the_tree_agrees_with_a_list_of_prompts(steps: list[tuple[str, bool]]) -> None:
    """Every leaf is held by a sequence that covers it, and the size is the number of distinct beginnings."""
    tree, free, held = PrefixTree(), list(range(100)), dict[int, str]()

    def apply(trim: Trim) -> None:
        held[trim.sequence] = held[trim.sequence][: trim.length]
        if not trim.length:
            del held[trim.sequence]
            free.append(trim.sequence)

    for text, evicts in steps:
        tree.clock += 1
        match = tree.match(tokens(text))
        assert match.ready == max((shared(text, other) for other in held.values()), default=0)
        if match.length < len(text):
            sequence = free.pop()
            node = tree.insert(tokens(text), match, sequence, Prompt(len(text)))
            tree.settle(node)
            held[sequence] = text
            parent = node.parent
            assert parent is not None
            if (taken := tree.yield_sequence(parent)) is not None:
                apply(Trim(taken, 0))
        if evicts and (trim := tree.evict()) is not None:
            apply(trim)
        beginnings = {text[:end] for text in held.values() for end in range(1, len(text) + 1)}
        assert tree.size == len(beginnings)


def shared(left: str, right: str) -> int:
    same = [a == b for a, b in zip(left, right, strict=False)]
    return same.index(False) if False in same else len(same)
