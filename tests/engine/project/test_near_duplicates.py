from __future__ import annotations

import random
from pathlib import Path

import pytest
from rapidfuzz.distance import Indel

from engine.ground.errors import DataError
from engine.project.comparing import Comparing
from engine.project.data import LoadedExample
from engine.project.near_duplicates import near_duplicates, normalized
from engine.project.settings import load_project
from engine.project.splits import load_splits
from tests.engine.project_folders import TOML, tickets, write_lines, write_project

LONG = (
    "My parcel from the spring sale was due on Tuesday and the carrier's page says that it was never scanned"
)


def examples(file: str, *texts: str) -> list[tuple[LoadedExample, str]]:
    return [
        (LoadedExample({"ticket": text}, Path(file), line, text), text) for line, text in enumerate(texts, 1)
    ]


def test_case_punctuation_and_character_forms_do_not_count() -> None:
    assert normalized("  Grüße,\tWORLD!!  ﬁne ") == normalized("grüsse world fine")
    [pair] = near_duplicates({"train": examples("a", "Hello, World."), "test": examples("b", "hello world")})
    assert pair.similarity == 1.0
    assert str(pair) == "b, line 1 is 100.0% like a, line 1"


def test_no_pair_is_missed_and_none_is_made_up() -> None:
    rng = random.Random(5)
    words = [f"w{number}" for number in range(30)]
    left = [" ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(80)]
    right = []
    for text in left:
        letters = list(text)
        for _ in range(rng.randint(0, 6)):
            letters[rng.randrange(len(letters))] = rng.choice("abcé ")
        right.append("".join(letters))
    for threshold in (0.7, 0.9, 0.98):
        found = near_duplicates({"a": examples("a", *left), "b": examples("b", *right)}, threshold)
        pairs = {(pair.first.line, pair.second.line) for pair in found}
        expected = {
            (i, j)
            for i, one in enumerate(left, 1)
            for j, other in enumerate(right, 1)
            if Indel.normalized_similarity(normalized(one), normalized(other)) >= threshold
        }
        assert pairs == expected
        assert found == sorted(found, key=lambda pair: -pair.similarity)


def test_examples_of_one_split_and_empty_texts_are_left_alone() -> None:
    assert near_duplicates({"train": examples("a", "same text", "same text"), "test": []}) == []
    assert len(near_duplicates({"train": examples("a", "", "x"), "test": examples("b", "", "yy")})) == 1


def project(root: Path, extra: str, toml: str = TOML) -> Path:
    write_project(root, toml)
    write_lines(root / "train.jsonl", [*tickets("train"), {"ticket": LONG, "queue": "shipping"}])
    write_lines(root / "test.jsonl", [*tickets("test"), {"ticket": extra, "queue": "shipping"}])
    return root


def test_a_near_duplicate_across_splits_is_refused_with_both_lines(tmp_path: Path) -> None:
    root = project(tmp_path, LONG.upper() + "!")
    with pytest.raises(DataError, match=r"nearly the same \(1 in all\)") as caught:
        load_splits(load_project(root), ["ticket"], ["queue"])
    assert "test.jsonl, line 13 is 100.0% like" in caught.value.message
    assert "train.jsonl, line 13" in caught.value.message
    assert "near_duplicate_threshold" in caught.value.hint


def test_the_project_sets_the_threshold_and_sees_what_is_below_it(tmp_path: Path) -> None:
    root = project(tmp_path, LONG.replace("Tuesday", "Thursday"))
    splits = load_splits(load_project(root), ["ticket"], ["queue"])
    [warning] = [each.text for each in splits.warnings if "resemble" in each.text]
    assert "test.jsonl, line 13 is 98.6% like" in warning
    strict = TOML.replace("[metric]", "near_duplicate_threshold = 0.97\n\n[metric]")
    with pytest.raises(DataError, match=r"98\.6% like"):
        load_splits(
            load_project(project(tmp_path, LONG.replace("Tuesday", "Thursday"), strict)), ["ticket"], []
        )
    lenient = TOML.replace("[metric]", "near_duplicate_threshold = 1.0\n\n[metric]")
    load_splits(load_project(project(tmp_path, LONG.upper(), lenient)), ["ticket"], ["queue"])


def log(rng: random.Random, characters: int = 20_000) -> str:
    """A log of few words, as machines write them."""
    lines: list[str] = []
    while sum(map(len, lines)) < characters:
        said = " ".join(rng.choices(("error", "warn", "node", "disk", "retry", "ok", "user", "heap"), k=3))
        lines.append(
            f"2026-11-{rng.randrange(1, 30):02} 12:{rng.randrange(60):02} {said} id={rng.random():.9f}"
        )
    return "\n".join(lines)


def test_long_texts_are_compared_once_and_shown_meanwhile(tmp_path: Path) -> None:
    rng = random.Random(3)
    texts = [log(rng) for _ in range(60)]
    changed = list(texts[7])
    for _ in range(600):
        changed[rng.randrange(len(changed))] = rng.choice("xyz")
    splits = {"a": examples("a", *texts[:30]), "b": examples("b", *texts[30:], "".join(changed))}
    said: list[float] = []
    comparing = Comparing(tmp_path / "own" / "compared.json", lambda _text, done: said.append(done))
    [pair] = near_duplicates(splits, 0.9, comparing)
    assert (pair.first.line, pair.second.line) == (8, 31)
    exact = Indel.normalized_similarity(normalized(texts[7]), normalized("".join(changed)))
    assert pair.similarity == pytest.approx(exact, abs=1e-6)
    assert said == sorted(said)
    assert len(said) == 30
    assert near_duplicates(splits, 0.9, comparing) == [pair]
    assert len(said) == 30, "the same texts aren't compared again"
    near_duplicates({**splits, "a": splits["a"][1:]}, 0.9, comparing)
    assert len(said) > 30
    (tmp_path / "own" / "compared.json").write_text("{")
    assert near_duplicates(splits, 0.9, comparing) == [pair]
