"""Examples of different splits that say nearly the same: a model that remembers one has seen the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cpdist

from engine.project.comparing import ALONE, Comparing, Pair
from engine.project.data import LoadedExample

LISTED_FROM = 0.9
"""Two examples are listed from this similarity (0..1) on."""

_BUCKETS = {1: 64, 2: 1021}
_LONG = 2000
"""From so many characters on a text's words are compared before its characters."""
_HASHES = 128
_RUN = 3
_LEAST_RESEMBLANCE = 0.15
"""Measured on 12,000 characters: texts that are 95.6 % alike, with letters changed all over, share 0.23 of
their runs of three words or more; those that are 94 % alike, with words changed, 0.58; unrelated logs that
are made of the same twenty words, up to 0.14."""
_IGNORED = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class NearDuplicate:
    """Two examples of different splits, with the similarity of their inputs (0..1)."""

    first: LoadedExample
    second: LoadedExample
    similarity: float

    def __str__(self) -> str:
        return f"{self.second.where} is {self.similarity:.1%} like {self.first.where}"


def alike(texts: Sequence[str], comparing: Comparing) -> Iterator[tuple[int, int, float]]:
    """Yield the indexes of two texts that say nearly the same, each pair once, with how alike they are."""
    known = [normalized(text) for text in texts]
    for row, column, similarity in _similar(known, known, LISTED_FROM, comparing):
        if row < column:
            yield row, column, similarity


def near_duplicates(
    splits: Mapping[str, Sequence[tuple[LoadedExample, str]]],
    threshold: float = LISTED_FROM,
    comparing: Comparing = ALONE,
) -> list[NearDuplicate]:
    """Return pairs across splits whose texts are at least `threshold` alike, the most similar first.

    Each example comes with the text of its inputs. Case, punctuation, spaces and forms of the same character
    are ignored. The similarity of two texts of a and b characters is 1 - d / (a + b), where d characters are
    inserted or deleted between the two (Indel). Of short texts no pair is missed: only pairs whose lengths or
    character counts rule out such a similarity are skipped. Of long texts, pairs that share few runs of words
    are skipped too (`_share_words`).
    """
    known = {
        name: ([example for example, _ in part], [normalized(text) for _, text in part])
        for name, part in splits.items()
    }
    pairs = [
        NearDuplicate(known[one][0][row], known[other][0][column], similarity)
        for one, other in combinations(known, 2)
        for row, column, similarity in _similar(known[one][1], known[other][1], threshold, comparing)
    ]
    return sorted(pairs, key=lambda pair: -pair.similarity)


def normalized(text: str) -> str:
    """Return a text without case, punctuation and repeated spaces, in one form of each character."""
    return _IGNORED.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _similar(left: list[str], right: list[str], threshold: float, comparing: Comparing) -> Iterator[Pair]:
    if not left or not right:
        return
    rows = (
        _compared(left, right, row, columns, threshold)
        for row, columns in enumerate(_candidates(left, right, threshold))
    )
    yield from comparing.remembered(left, right, threshold, rows)


def _compared(
    left: list[str], right: list[str], row: int, columns: npt.NDArray[np.int64], threshold: float
) -> list[Pair]:
    similarities = cpdist(
        [left[row]] * len(columns),
        [right[column] for column in columns],
        scorer=Indel.normalized_similarity,
        score_cutoff=threshold,
        workers=-1 if len(left[row]) >= _LONG else 1,
    )
    hits = np.flatnonzero(similarities >= threshold)
    return [(row, int(columns[hit]), float(similarities[hit])) for hit in hits]


def _candidates(left: list[str], right: list[str], threshold: float) -> Iterator[npt.NDArray[np.int64]]:
    """Yield for each text of `left` the indexes of those that may be so similar.

    One insertion or deletion changes one count of characters, and at most three counts of character pairs:
    texts whose counts differ by more are less similar (Ukkonen 1992, Approximate string matching with
    q-grams).
    """
    filters = [(_counts(left, q), _counts(right, q), changed) for q, changed in ((1, 1), (2, 3))]
    sizes, their_sizes = np.array([len(text) for text in left]), np.array([len(text) for text in right])
    by_size = np.argsort(their_sizes, kind="stable")
    sorted_sizes = their_sizes[by_size]
    signatures = (_signatures(left), _signatures(right))
    shortest = threshold / (2 - threshold)  # the ratio of lengths at which all of the shorter text is kept
    for row, size in enumerate(sizes):
        start = np.searchsorted(sorted_sizes, np.floor(size * shortest), "left")
        end = np.searchsorted(sorted_sizes, np.ceil(size / shortest), "right")
        columns = by_size[start:end]
        for ours, theirs, changed in filters:
            allowed = changed * ((1 - threshold) * (size + their_sizes[columns]) + 1e-9)
            differing = np.abs(theirs[columns] - ours[row]).sum(axis=1, dtype=np.int32)
            columns = columns[differing <= allowed]
        if size >= _LONG and len(columns):
            columns = columns[_share_words(signatures, row, columns, their_sizes)]
        yield columns


def _share_words(
    signatures: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]],
    row: int,
    columns: npt.NDArray[np.int64],
    their_sizes: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return which long texts may share as many runs of words with one as near-duplicates do.

    MinHash (Broder 1997, On the resemblance and containment of documents): the share of equal minima of
    hashes estimates the share of runs in common. It misses pairs in which small changes touch most words.
    """
    ours, theirs = signatures[0][row], signatures[1][columns]
    alike: npt.NDArray[np.bool_] = (theirs == ours).mean(axis=1) >= _LEAST_RESEMBLANCE
    short: npt.NDArray[np.bool_] = their_sizes[columns] < _LONG
    return np.logical_or(alike, short)


def _signatures(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the minima of many hashes of each long text's runs of words, a row for each text."""
    random = np.random.default_rng(0)
    factors = random.integers(1, 2**63, _HASHES, dtype=np.uint64) | np.uint64(1)
    offsets = random.integers(0, 2**63, _HASHES, dtype=np.uint64)
    found = np.zeros((len(texts), _HASHES), dtype=np.uint64)
    for row, text in enumerate(texts):
        if len(text) >= _LONG:
            runs = np.unique(np.array([crc32(run) for run in _runs_of_words(text)], dtype=np.uint64))
            mixed = runs[:, None] * factors + offsets
            found[row] = (mixed >> np.uint64(20)).min(axis=0)
    return found


def _runs_of_words(text: str) -> Iterator[bytes]:
    words = text.split()
    for index in range(max(len(words) - _RUN + 1, 1)):
        yield " ".join(words[index : index + _RUN]).encode()


def _counts(texts: Sequence[str], q: int) -> npt.NDArray[np.int16]:
    """Count the runs of `q` characters of each text in buckets, a row for each text."""
    counts = np.zeros((len(texts), _BUCKETS[q]), dtype=np.int16)
    for row, text in enumerate(texts):
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        runs = codes if q == 1 else codes[:-1] * 31 + codes[1:]
        counts[row] = np.bincount(runs % _BUCKETS[q], minlength=_BUCKETS[q])
    return counts
