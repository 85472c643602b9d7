"""The command palette: every action that is valid where a person is, found by its name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from promptgrad_tui.app.actions import ACTIONS, Action

_BY_ID = {action.id: action for action in ACTIONS}


def valid_actions(screen: Screen[object]) -> Iterator[Action]:
    """Yield the actions that are valid on a screen now, each once, in the registry's order."""
    bound = {binding.binding.id for binding in screen.active_bindings.values() if binding.enabled}
    yield from (action for action in ACTIONS if action.id in bound)


class ActionsProvider(Provider):
    """Offers the valid actions to the palette."""

    async def discover(self) -> Hits:
        """Offer everything before a person has typed."""
        for action in valid_actions(self.screen):
            yield DiscoveryHit(_title(action), partial(self._run, action), help=action.help)

    async def search(self, query: str) -> Hits:
        """Offer what fits the text typed."""
        matcher = self.matcher(query)
        for action in valid_actions(self.screen):
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


def _title(action: Action) -> str:
    return f"{action.label}  ({action.shown})"
