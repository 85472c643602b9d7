"""Work that may have to wait, done in a thread: the screen goes on, and takes the result in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.app import App
from textual.screen import Screen
from textual.worker import Worker

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.widgets.dialogs import show_error

T = TypeVar("T")


def in_thread(
    node: App[Any] | Screen[Any],
    do: Callable[[], T],
    then: Callable[[T], object] = lambda _result: None,
    failed: Callable[[PromptGradError], object] | None = None,
) -> Worker[None]:
    """Do something in a thread, then go on with its result, unless `node` has gone meanwhile.

    An error is shown to a person, unless `failed` takes it.
    """
    app = node.app

    def go_on(result: T) -> None:
        if node.is_attached:
            then(result)

    def tell(error: PromptGradError) -> None:
        if failed is not None and node.is_attached:
            failed(error)
        elif app.is_running:
            show_error(app, error)

    def work() -> None:
        try:
            result = do()
        except PromptGradError as error:
            app.call_from_thread(tell, error)
        else:
            app.call_from_thread(go_on, result)

    return node.run_worker(work, thread=True, group="journal")
