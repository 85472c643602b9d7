"""The line that names the panes of a screen by their keys, and marks the one in front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from textual import events

from promptgrad_tui.screens.widgets.toned import LinesView
from promptgrad_tui.views.toned_lines import CURSOR, Line, Tone

_BESIDE_NAME = 4


class PaneTabs(LinesView):
    """Names panes, and goes to the one that is clicked; `front` says which is in front, from 0.

    `names` may be a function, for names that say how much there is in a pane.
    """

    def __init__(
        self,
        names: Sequence[str] | Callable[[], Sequence[str]],
        front: Callable[[], int],
        *,
        id: str,  # noqa: A002
    ) -> None:
        super().__init__(lambda width, _: [tabs_line(self._named(), front(), width)], id=id)
        self._names = names
        self._front = front

    def _named(self) -> Sequence[str]:
        return self._names() if callable(self._names) else self._names

    async def on_click(self, event: events.Click) -> None:
        shown = _shown(self._named(), self._front(), self.inner_size.width)
        ends = accumulate(_BESIDE_NAME - 1 + (len(name) + 1 if name else 0) for name in shown)
        number = next((number for number, end in enumerate(ends, 1) if event.x < end), None)
        if number is not None:
            await self.run_action(f"screen.pane({number})")


def tabs_line(names: Sequence[str], front: int, columns: int) -> Line:
    """Return the panes' numbers and names; in front is the one with index `front`, from 0, or none by -1.

    If there is no room for all of the names, only that of the pane in front is shown.
    """
    runs: list[tuple[str, Tone]] = []
    for number, name in enumerate(_shown(names, front, columns)):
        is_front = number == front
        runs.append((f"{CURSOR if is_front else ' '}{number + 1} ", "accent" if is_front else "dim"))
        if name:
            runs.append((f"{name} ", "strong" if is_front else "dim"))
    return tuple(runs)


def _shown(names: Sequence[str], front: int, columns: int) -> list[str]:
    has_room = sum(len(name) + _BESIDE_NAME for name in names) <= columns
    return [name if has_room or number == front else "" for number, name in enumerate(names)]
