"""Results as they come: one line of JSON for each run of a method, never measured twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Records:
    """The file of results in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "results.jsonl"
        self._records: list[Record] = []
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                self._records.append(json.loads(line))

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def find(self, **keys: Any) -> list[Record]:
        """Return the records that have these values."""
        return [r for r in self._records if all(r.get(key) == value for key, value in keys.items())]

    def add(self, record: Record) -> None:
        """Append a record to the file."""
        self._records.append(record)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
