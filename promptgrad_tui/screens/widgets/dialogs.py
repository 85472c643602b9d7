"""Small questions and messages that stand before a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Input, Static

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.widgets.line_input import LineInput
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.sanitize import wrap
from promptgrad_tui.views.text_blocks import error_lines
from promptgrad_tui.views.toned_lines import Line, Tone, line

_DISCARDS = "esc again discards it     ctrl+s  Save"
_TINY_BELOW_ROWS = 16
_WIDEST, _WIDE, _BESIDE_LINES = 84, 76, 7
"""A large box and a usual one in cells, and what of them is border, padding and scrollbar."""
_ROWS_BESIDE_TEXT = 8
"""Border, padding, title, margins, and the line that cancels."""


@dataclass(frozen=True)
class Choice:
    """One answer to a question: the key that gives it, what it says, and its value."""

    key: str
    label: str
    value: str


class BoxScreen(ModalScreen[ScreenResultType]):
    """A box before a screen; in a tiny terminal it has no air, so that what it asks stays in sight."""

    def on_resize(self, event: events.Resize) -> None:
        """Leave out what only gives air where there are few rows."""
        self.set_class(event.size.height < _TINY_BELOW_ROWS, "tiny")


class TypedScreen(ModalScreen[ScreenResultType]):
    """A box in which a text is typed: escape discards it only when it is pressed again."""

    FOOT: ClassVar[str] = "ctrl+s  Save     esc  Cancel"

    def __init__(self) -> None:
        super().__init__()
        self._has_warned = False

    @property
    def is_changed(self) -> bool:
        """Whether anything was typed that would be lost."""
        raise NotImplementedError

    def discard(self) -> None:
        """Close without a result."""
        self.dismiss(None)

    def warn(self) -> None:
        """Say how what was typed is discarded."""
        self._show_foot(has_warned=True)

    def action_cancel(self) -> None:
        if self.is_changed and not self._has_warned:
            self.warn()
        else:
            self.discard()

    def on_input_changed(self) -> None:
        self._show_foot(has_warned=False)

    def on_text_area_changed(self) -> None:
        self._show_foot(has_warned=False)

    def _show_foot(self, *, has_warned: bool) -> None:
        if has_warned != self._has_warned:
            self._has_warned = has_warned
            self.query_one(".box-foot", Static).update(_DISCARDS if has_warned else self.FOOT)


class QuestionScreen(BoxScreen[str]):
    """Asks a question that one key answers; escape answers nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Cancel")]

    def __init__(self, title: str, text: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._title, markup=False, classes="box-title")
            if self._text:
                yield TextView(classes="box-text")
            for choice in (*self._choices, Choice("esc", "Cancel", "")):
                yield Static(f" {choice.key:>5}  {choice.label}", markup=False, classes="choice")

    def on_mount(self) -> None:
        """Show the text; where it is longer than the box, it can be scrolled."""
        self.tell(self._text)

    def tell(self, text: str) -> None:
        """Show another text instead."""
        self._text = text
        for view in self.query(TextView):
            view.show(lambda width: [line(row) for row in wrap(self._text, width)])
        self._give_room(self.app.size)

    def on_resize(self, event: events.Resize) -> None:
        """Give the text as much room as it needs, if there is that much."""
        self._give_room(event.size)

    def _give_room(self, size: Size) -> None:
        columns = min(_WIDE, size.width * 95 // 100) - _BESIDE_LINES
        room = size.height * 9 // 10 - len(self._choices) - _ROWS_BESIDE_TEXT
        for view in self.query(TextView):
            view.styles.height = max(min(len(wrap(self._text, columns)), room), 2)

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if event.key == choice.key or event.character == choice.key:
                event.stop()
                self.dismiss(choice.value)

    def on_click(self, event: events.Click) -> None:
        labels = list(self.query(".choice"))
        if event.widget in labels:
            number = labels.index(event.widget)
            self.dismiss(self._choices[number].value if number < len(self._choices) else "")


class PanelScreen(BoxScreen[None]):
    """Shows lines in a box: an error with what to do, or the keys that are valid now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "dismiss(None)", "Close"),
    ]
    FOOT: ClassVar[str] = "esc  Close"

    def __init__(self, title: str, make: Callable[[int], list[Line]], *, tone: Tone = "") -> None:
        super().__init__()
        self._title = title
        self._make = make
        self._tone = tone

    def compose(self) -> ComposeResult:
        with Vertical(classes=f"box box-large {self._tone}"):
            yield Static(self._title, markup=False, classes="box-title")
            yield TextView()
            yield Static(self.FOOT, markup=False, classes="box-foot")

    def on_mount(self) -> None:
        view = self.query_one(TextView)
        view.show(self._make)
        view.focus()

    def on_resize(self, event: events.Resize) -> None:
        columns = min(_WIDEST, event.size.width * 95 // 100) - _BESIDE_LINES
        self.query_one(".box").styles.height = len(self._make(columns)) + 8


def error_panel(error: PromptGradError) -> PanelScreen:
    """Return the panel that shows an error and what to do about it."""
    return PanelScreen("That didn't work", lambda columns: error_lines(error, columns), tone="bad")


def show_error(app: App[Any], error: PromptGradError) -> None:
    """Show an error with what to do about it."""
    app.push_screen(error_panel(error))


class InputScreen(BoxScreen[str]):
    """Asks for one line of text, which may be empty; escape gives None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self,
        title: str,
        value: str = "",
        placeholder: str = "",
        *,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._placeholder = placeholder
        self._on_change = on_change

    def compose(self) -> ComposeResult:
        with Vertical(classes="box box-low"):
            yield Static(self._title, markup=False, classes="box-title")
            yield LineInput(self._value, placeholder=self._placeholder)

    def on_mount(self) -> None:
        """Leave what is behind the box in sight where it follows what is typed."""
        self.query_one(".box").border_subtitle = "enter  OK   esc  Cancel"
        self.set_class(self._on_change is not None, "at-the-foot")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._on_change is not None and event.value != self._value:
            self._value = event.value
            self._on_change(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)
