"""The program's state for `module.load` of plain DSPy."""

from __future__ import annotations

import json

from engine.release.exports.source import ExportSource, difference_line


def dspy_state(source: ExportSource) -> str:
    """Return the state's JSON, byte for byte as it was saved where nothing differs."""
    differs = difference_line(source.differences)
    if not differs:
        return source.state
    saved = json.loads(source.state)
    metadata = {"differs": differs, **saved.get("metadata", {})}
    state = json.loads(json.dumps(source.module.dump_state()))
    lines = [f"{json.dumps(key)}: {json.dumps(state[key], ensure_ascii=False, indent=2)}" for key in state]
    first = f'{{"metadata": {json.dumps(metadata, ensure_ascii=False)}'
    return ",\n".join([first, *lines]) + "\n}\n"
