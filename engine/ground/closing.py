"""What is closed at the end of a `with` block."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, Self


class Closing(Protocol):
    """Something that holds memory, a file or connections until it is closed."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held; calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
