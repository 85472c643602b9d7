"""All about one model: what the list knows, then what its file or its server says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.ground.errors import PromptGradError
from promptgrad_tui.screens.live.command_process import CommandProcess
from promptgrad_tui.screens.models.lines import description_lines, fact_lines
from promptgrad_tui.screens.models.state import Inventory, ModelRow
from promptgrad_tui.screens.widgets.details import DetailScreen
from promptgrad_tui.screens.widgets.toned import TextView
from promptgrad_tui.views.text_blocks import paragraph
from promptgrad_tui.views.toned_lines import Line, line


class ModelDetails(DetailScreen):
    """The facts at once; metadata and chat template as soon as a child process has read them."""

    def __init__(self, row: ModelRow, inventory: Inventory, folder: Path) -> None:
        super().__init__(f"Model {row.model.name}", self._lines)
        self._row = row
        self._inventory = inventory
        self._folder = folder
        self._told: Mapping[str, Any] | None = None
        self._problem: PromptGradError | None = None

    def on_mount(self) -> None:
        self.run_worker(self._read(), exit_on_error=False)

    async def _read(self) -> None:
        try:
            self._told = await CommandProcess(
                ["models", "show", self._row.model.uri, "--json", "--json-progress"], self._folder
            ).run()
        except PromptGradError as error:
            self._problem = error
        self.query_one(TextView).show(self._lines, keep_place=True)

    def _lines(self, columns: int) -> list[Line]:
        lines = fact_lines(self._row, self._inventory, columns)
        if self._problem is not None:
            lines += [(), *paragraph(self._problem.message, columns, "bad")]
            return lines + paragraph(self._problem.hint, columns, "accent")
        if self._told is None:
            return [*lines, (), line("  Reading its metadata ...", "dim")]
        return [*lines, *description_lines(self._told, columns)]
