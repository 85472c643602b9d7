"""What can be done where a person is: as the command palette, and as the help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from promptgrad_tui.screens.keys.actions import ACTIONS, SCOPES, Action
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.toned_lines import Line, line

_KEYS = max(len(action.shown) for action in ACTIONS)
_ALIGNED_FROM = 60


def valid_actions(screen: Screen[object]) -> Iterator[Action]:
    """Yield the actions that are valid on a screen now, each once: first what is special about the place."""
    bound = {binding.binding.id for binding in screen.active_bindings.values() if binding.enabled}
    in_order = sorted(ACTIONS, key=lambda action: action.scope == "app")
    yield from (action for action in in_order if action.id in bound)


def help_lines(actions: Iterable[Action], columns: int) -> list[Line]:
    """Return actions as lines of a help: each with its keys, under the names of their places."""
    lines: list[Line] = []
    for scope, some in groupby(actions, key=lambda action: action.scope):
        lines += [(), line(SCOPES[scope], "strong")]
        for action in some:
            lines += _help(action, columns)
    return lines[1:]


def _help(action: Action, columns: int) -> list[Line]:
    is_narrow = columns < _ALIGNED_FROM
    head = f"  {action.shown}  " if is_narrow else f"  {action.shown:<{_KEYS}}  "
    first, *rest = wrap(action.help, columns, "    " if is_narrow else " " * len(head), head)
    return [((head, "accent"), (first.removeprefix(head), "")), *map(line, rest)]


class ActionsProvider(Provider):
    """Offers the valid actions to the palette."""

    async def discover(self) -> Hits:
        """Offer everything before a person has typed."""
        for action in _offered(self.screen):
            yield DiscoveryHit(_title(action), partial(self._run, action), help=action.help)

    async def search(self, query: str) -> Hits:
        """Offer what fits the text typed."""
        matcher = self.matcher(query)
        for action in _offered(self.screen):
            score = max(matcher.match(action.label), matcher.match(action.help))
            if score > 0:
                yield Hit(
                    score, matcher.highlight(_title(action)), partial(self._run, action), help=action.help
                )

    async def _run(self, action: Action) -> None:
        active = self.screen.active_bindings.values()
        for binding in active:
            if binding.binding.id == action.id:
                await self.app.run_action(binding.binding.action, binding.node)
                return


def _offered(screen: Screen[object]) -> Iterator[Action]:
    return (action for action in valid_actions(screen) if action.name != "command_palette")


def _title(action: Action) -> str:
    return f"{action.label}  ({action.shown})"
