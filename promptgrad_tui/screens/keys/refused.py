"""A key that can't do its work now says why, where a person would wonder."""

from __future__ import annotations

from textual import events
from textual.screen import Screen


class TellsWhy(Screen[None]):
    """A screen whose disabled actions (`check_action` returns None) answer their key with a reason."""

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now, in a sentence; nothing where that is plain to see."""
        raise NotImplementedError

    def on_key(self, event: events.Key) -> None:
        """Tell the reason where the key is that of a disabled action."""
        pressed = self.active_bindings.get(event.key)
        if pressed is None or pressed.enabled:
            return
        if reason := self.why_not(pressed.binding.action):
            event.stop()
            self.notify(reason, severity="warning", markup=False, timeout=4)
