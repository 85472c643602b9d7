"""Comparisons of long texts: shown while they take their time, and remembered by content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.ground.files import replace_file
from engine.ground.model import Progress

Pair = tuple[int, int, float]
"""The places of two texts in their lists, and how alike they are (0..1)."""

_WORTH_KEEPING = 1_000_000
"""Characters: comparing fewer takes less than a second."""

_METHOD = 2
"""Part of every key: another way to compare finds other pairs."""

_KEPT = 12


def _unheard(sentence: str, fraction: float) -> None:
    del sentence, fraction


@dataclass(frozen=True)
class Comparing:
    """Where the pairs that were found are remembered (nowhere without a file), and who hears of the work."""

    file: Path | None = None
    report: Progress = _unheard

    @classmethod
    def of(cls, root: Path, report: Progress | None = None) -> Comparing:
        """Remember in a project's own folder."""
        return cls(root / ".promptgrad" / "compared.json", report or _unheard)

    def remembered(
        self, left: Sequence[str], right: Sequence[str], threshold: float, rows: Iterable[Iterable[Pair]]
    ) -> Iterator[Pair]:
        """Yield the pairs that these texts had before, or those of `rows`, one for each text of `left`."""
        if sum(map(len, left)) + sum(map(len, right)) < _WORTH_KEEPING:
            for row in rows:
                yield from row
            return
        key = sha256(json.dumps([_METHOD, threshold, left, right]).encode()).hexdigest()
        known = self._known()
        if key in known:
            yield from ((row, column, similarity) for row, column, similarity in known[key])
            return
        found: list[Pair] = []
        for number, row in enumerate(rows):
            self.report("Comparing examples with each other", number / max(len(left), 1))
            found += row
        self._remember({**known, key: found})
        yield from found

    def _known(self) -> dict[str, list[Pair]]:
        if self.file is None:
            return {}
        try:
            known = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _remember(self, known: dict[str, list[Pair]]) -> None:
        if self.file is None:
            return
        latest = dict(list(known.items())[-_KEPT:])
        with suppress(OSError):  # what can't be remembered costs time, never an answer
            self.file.parent.mkdir(exist_ok=True)
            replace_file(self.file, json.dumps(latest).encode(), is_durable=False)


ALONE = Comparing()
"""Nothing is remembered, and nobody hears of it."""
