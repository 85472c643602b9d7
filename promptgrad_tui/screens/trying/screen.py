"""The Try screen: an input, answered with the base instructions and with the rules, side by side."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Input

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.keys.actions import bindings
from promptgrad_tui.screens.live.project_runs import read_runs
from promptgrad_tui.screens.trying.history import TryHistory
from promptgrad_tui.screens.trying.inputs import FieldBox, boxes_in, field_box, set_text, text_of
from promptgrad_tui.screens.trying.lines import answer_lines, learned_text, problem_lines, title_lines
from promptgrad_tui.screens.trying.process import Gone, TryProcess
from promptgrad_tui.screens.trying.save_screen import TrySaveScreen
from promptgrad_tui.screens.trying.state import TryState
from promptgrad_tui.screens.widgets.fitted_screen import FittedScreen
from promptgrad_tui.screens.widgets.key_bar import KeyBar
from promptgrad_tui.screens.widgets.toned import LinesView, TextView
from promptgrad_tui.views.figures import count_text
from promptgrad_tui.views.text_blocks import heading
from promptgrad_tui.views.toned_lines import Line
from promptgrad_tui.work.trying.messages import (
    Cancel,
    Cancelled,
    Described,
    Failed,
    Predict,
    Ready,
    Reply,
    Save,
    Saved,
    TryField,
    TrySource,
)

_SIDE_BY_SIDE_FROM = 70
_DRAWINGS_PER_SECOND = 20
_BASE = "Base instructions"
_FIRST = "Input"
_SECONDS_ESCAPE_IS_HELD = 1.0
_UNDER_WAY = "The run in progress doesn't use this example; the next run will."


class TryScreen(FittedScreen):
    """Answers what a person types with both programs; a separate worker holds the model."""

    BINDINGS = bindings("try")

    class Said(Message):
        """The worker with that number has said something."""

        def __init__(self, worker: int, reply: Reply | Gone) -> None:
            super().__init__()
            self.worker = worker
            self.reply = reply

    def __init__(self, source: TrySource) -> None:
        super().__init__()
        self._source = source
        self._state = TryState()
        self._history = TryHistory()
        self._process: TryProcess | None = None
        self._workers = 0
        self._asked: dict[str, str] = {}
        self._is_escape_held = False
        self._has_news = False
        self._possible: object = None
        self._form: TrySaveScreen | None = None

    def compose(self) -> ComposeResult:
        """Make the title, room for the inputs, and both answers."""
        yield LinesView(lambda *_: self._title(), classes="title two-lines")
        with VerticalScroll(id="try-inputs", can_focus=False):
            # The fields aren't known until the program is built, but a person can already type.
            yield field_box(TryField(name=_FIRST, is_long=True))
        yield TextView(id="try-problem", classes="pane")
        with Horizontal(id="try-answers"):
            yield TextView(id="base", classes="pane answer")
            yield TextView(id="optimized", classes="pane answer")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#base").border_title = _BASE
        self.query_one("#try-problem").border_title = "That didn't work"
        self._boxes[0].focus()
        self.set_interval(1 / _DRAWINGS_PER_SECOND, self._draw_news)
        self._start()

    def on_unmount(self) -> None:
        if self._process is not None:
            self._process.close()

    def fit(self, size: Size) -> None:
        """Put the answers side by side, or both into one text where the terminal is narrow."""
        self.set_class(size.width < _SIDE_BY_SIDE_FROM, "narrow")
        self.set_class(size.height < 16, "low")
        self._draw()

    @property
    def process(self) -> TryProcess | None:
        """The worker, once it was started."""
        return self._process

    def _start(self) -> None:
        self._state.restart()
        self._workers += 1
        number = self._workers
        try:
            self._process = TryProcess(
                self._source, lambda reply: self.post_message(self.Said(number, reply))
            )
        except PromptGradError as error:
            self._state.apply(Failed(place="open", message=error.message, hint=error.hint))
        self._draw()

    async def on_try_screen_said(self, message: Said) -> None:
        if message.worker != self._workers:
            return
        reply = message.reply
        self._state.apply(reply)
        self._has_news = True
        match reply:
            case Described():
                await self._show_fields(reply)
            case Ready() if self._state.is_wanted:
                self._ask()
            case Saved():
                self._tell_saved(reply)
            case Failed(place="save"):
                self._tell_unsaved(reply)
            case Gone() if (form := self._open_form) is not None and self._state.problem is not None:
                form.show_problem(*self._state.problem)
            case Cancelled() if reply.id == self._state.request:
                self._hold_escape()
            case _:
                pass

    async def _show_fields(self, described: Described) -> None:
        if [box.name for box in self._boxes] == [field.name for field in described.inputs]:
            return
        place, typed = self.query_one("#try-inputs"), self._inputs
        for box in self._boxes:
            # Hidden, not removed: between the two a text area can't be drawn.
            box.remove_class("field")
            box.display = False
        texts = [typed.get(field.name, "") for field in described.inputs]
        texts[:1] = [typed.get(_FIRST, texts[0])] if texts else []
        boxes = [field_box(field, text) for field, text in zip(described.inputs, texts, strict=True)]
        await place.mount(*boxes)
        for box, text in zip(boxes, texts, strict=True):
            set_text(box, text)
        if self.is_current and self._boxes:
            self._boxes[0].focus()

    @property
    def _boxes(self) -> list[FieldBox]:
        return boxes_in(self)

    @property
    def _inputs(self) -> dict[str, str]:
        return {box.name or "": text_of(box) for box in self._boxes}

    def _draw_news(self) -> None:
        if self._has_news:
            self._draw()

    def _draw(self) -> None:
        self._has_news = False
        state = self._state
        self.query_one(LinesView).repaint()
        self.set_class(state.problem is not None, "has-problem")
        self.set_class("optimized" not in state.sides, "only-base")
        self.query_one("#try-problem", TextView).show(self._problem_lines, keep_place=True)
        self.query_one("#base", TextView).show(
            lambda columns: answer_lines(state, "base", columns), keep_place=True
        )
        optimized = self.query_one("#optimized", TextView)
        optimized.border_title = self._optimized_title()
        optimized.show(self._optimized_lines, keep_place=True)
        possible = (state.phase, state.is_running, state.described is None)
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()

    def _title(self) -> list[Line]:
        lines = title_lines(self._state, self._source.project.name, self._source.title)
        return lines[1:] if self.has_class("low") else lines

    def _problem_lines(self, columns: int) -> list[Line]:
        return problem_lines(self._state.problem, columns) if self._state.problem else []

    def _optimized_title(self) -> str:
        described = self._state.described
        return f"With {learned_text(described)}" if described else "With the rules"

    def _optimized_lines(self, columns: int) -> list[Line]:
        lines = answer_lines(self._state, "optimized", columns)
        if self.has_class("narrow") and self._state.answers:
            lines += [*heading(f" {_BASE}"), *answer_lines(self._state, "base", columns)]
        return lines

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer, as enter does in a box of several lines."""
        event.stop()
        self.action_run()

    def action_run(self) -> None:
        """Answer the input; a worker that is gone is started again for it."""
        if self._state.phase == "ready" or not self._has_input:
            self._ask()
            return
        self._state.is_wanted = True
        if self._state.phase in ("failed", "gone"):
            self._restart()
        self._draw()

    def _restart(self) -> None:
        if self._process is not None:
            self._process.close()
        self._start()

    def _ask(self) -> None:
        self._state.is_wanted = False
        self._asked = self._inputs
        if self._process is None or not self._has_input:
            self.notify("Type an input first.", severity="warning", timeout=2)
            return
        if self._state.is_running:
            self._process.send(Cancel(id=self._state.request))
        self._history.add(self._asked)
        self._process.send(Predict(id=self._state.begin(), inputs=self._asked))
        for view in self.query(".answer").results(TextView):
            view.action_first()
        self._draw()

    @property
    def _has_input(self) -> bool:
        return any(text.strip() for text in self._inputs.values())

    def action_cancel(self) -> None:
        if self._process is not None and self._state.is_running:
            self._process.send(Cancel(id=self._state.request))
            self._state.is_cancelling = True
            self._draw()

    def _hold_escape(self) -> None:
        """Keep escape from leaving for a moment: who presses it twice wants the answers cancelled."""
        self._is_escape_held = True
        self.set_timer(_SECONDS_ESCAPE_IS_HELD, self._let_escape_go)

    def _let_escape_go(self) -> None:
        self._is_escape_held = False
        self.refresh_bindings()

    def action_older(self) -> None:
        self._show_inputs(self._history.older(self._inputs))

    def action_newer(self) -> None:
        self._show_inputs(self._history.newer(self._inputs))

    def _show_inputs(self, inputs: dict[str, str]) -> None:
        for box in self._boxes:
            set_text(box, inputs.get(box.name or "", ""))

    def action_save(self) -> None:
        """Ask for the right answer, then keep the input as a training example."""
        described, inputs = self._state.described, self._inputs
        if described is None or not all(text.strip() for text in inputs.values()):
            self.notify("Type an input first.", severity="warning", timeout=2)
            return
        self._form = TrySaveScreen(
            inputs,
            described.expected,
            self._state.answer_to(inputs, self._asked),
            _UNDER_WAY if self._has_run_under_way() else "",
            lambda expected: self._save(inputs, expected),
        )
        self.app.push_screen(self._form)

    def _has_run_under_way(self) -> bool:
        try:
            return any(run.status == "running" for run in read_runs(self._source.project))
        except PromptGradError:
            return False

    def _save(self, inputs: dict[str, str], expected: dict[str, str]) -> None:
        state, form = self._state, self._open_form
        if self._process is None or form is None:
            return
        if state.phase == "gone" and state.problem is not None:
            form.show_problem(*state.problem)
            return
        self._process.send(Save(inputs=inputs, expected=expected))
        if state.is_running:
            form.show_saving("Saving, after the answer in progress \u2026")
        elif state.phase == "starting":
            form.show_saving("Saving, as soon as the model is open \u2026")
        else:
            form.show_saving("Saving \u2026")

    @property
    def _open_form(self) -> TrySaveScreen | None:
        """The form in which an example is saved, while it is open."""
        return self._form if self._form in self.app.screen_stack else None

    def _tell_unsaved(self, failed: Failed) -> None:
        if (form := self._open_form) is not None and form.is_saving:
            form.show_problem(failed.message, failed.hint)
        else:
            self.notify(f"Not saved: {failed.message} {failed.hint}", severity="error", markup=False)

    def _tell_saved(self, saved: Saved) -> None:
        if (form := self._open_form) is not None and form.is_saving:
            form.finish()
        text = f"Saved as {saved.where}; {count_text(saved.n, 'training example')} now."
        self.notify(text, markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        state = self._state
        match action:
            case "cancel":
                return state.is_running or self._is_escape_held
            case "save":
                return state.described is not None and state.phase != "gone"
            case _:
                return True
