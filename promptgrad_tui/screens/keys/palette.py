"""What can be done where a person is: as the command palette, and as the help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from promptgrad_tui.screens.keys.actions import ACTIONS, SCOPES, Action
from promptgrad_tui.views.glossary import terms_of
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.toned_lines import Line, line

_KEYS = max(len(action.shown) for action in ACTIONS)
_ALIGNED_FROM = 60


def valid_actions(screen: Screen[object]) -> Iterator[Action]:
    """Yield the actions that are valid on a screen now, each once: first what is special about the place."""
    bound = {binding.binding.id for binding in screen.active_bindings.values() if binding.enabled}
    in_order = sorted(ACTIONS, key=lambda action: action.scope == "app")
    yield from (action for action in in_order if action.id in bound)


def help_lines(actions: Sequence[Action], columns: int, wanted: str = "") -> list[Line]:
    """Return the help: each action with its keys, by place, then the words that stand there.

    Only what holds `wanted` is in it, in any case: a key as it is shown, or words of the help.
    """
    lines: list[Line] = []
    words = wanted.casefold().split()
    terms = [
        term
        for term in terms_of({action.scope for action in actions})
        if _holds(f"{term.word} {term.meaning}", words)
    ]
    actions = [
        action
        for action in actions
        if wanted in action.shown.split() or _holds(f"{action.label} {action.help}", words)
    ]
    for scope, some in groupby(actions, key=lambda action: action.scope):
        lines += [(), line(SCOPES[scope], "strong")]
        for action in some:
            lines += _entry(action.shown, action.help, columns)
    lines += [(), line("Words", "strong")] if terms else []
    for term in terms:
        lines += _entry(term.word, term.meaning, columns)
    return lines[1:]


def _holds(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)


def _entry(name: str, text: str, columns: int) -> list[Line]:
    is_narrow = columns < _ALIGNED_FROM
    head = f"  {name}  " if is_narrow else f"  {name:<{_KEYS}}  "
    first, *rest = wrap(text, columns, "    " if is_narrow else " " * (_KEYS + 4), head)
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
