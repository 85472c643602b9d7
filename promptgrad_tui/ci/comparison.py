"""A new artifact compared with the previous one: scores, added and removed rules, the prompt as a diff."""

from __future__ import annotations

from collections.abc import Iterator

from engine.programs.rules import Rule
from engine.release.manifest import MANIFEST, ArtifactManifest
from promptgrad_tui.ci.standing import Standing
from promptgrad_tui.views.comparison.comparison import only_in
from promptgrad_tui.views.figures import effect_text
from promptgrad_tui.views.markdown import diff_block, escaped, interval_text, table
from promptgrad_tui.views.run.slices import MOST_SLICES
from promptgrad_tui.views.sanitize import shown_path


def comparison_blocks(before: Standing, now: ArtifactManifest) -> Iterator[str]:
    """Yield the comparison as Markdown."""
    kind = "current" if before.is_current else "last"
    yield f"## Compared with the {kind} artifact"
    changed = ", ".join(map(escaped, before.changed))
    yield f"`{shown_path(str(before.path))}`; changed since: {changed}."
    old = before.manifest
    yield table(
        ["", f"{kind} artifact", "this run"],
        [
            ["test", interval_text(old.optimized.test), interval_text(now.optimized.test)],
            ["validation", interval_text(old.optimized.validation), interval_text(now.optimized.validation)],
            ["rules", str(len(old.rules)), str(len(now.rules))],
        ],
    )
    yield from _slices(old, now, kind)
    if _digest(old) != _digest(now):
        yield "The test split has changed in between: the two test scores are of different examples."
    if old.model.digest != now.model.digest:
        yield "The two were proved on different models."
    yield from _rules(old, now)
    for name, text in now.instructions.items():
        if name in old.instructions and old.instructions[name] != text:
            of = f" of {escaped(name)}" if len(now.instructions) > 1 else ""
            yield f"### Change of the prompt{of}"
            yield diff_block(old.instructions[name], text)


def _slices(old: ArtifactManifest, now: ArtifactManifest, kind: str) -> Iterator[str]:
    names = sorted({*old.slices, *now.slices})
    fallen = sorted(names, key=lambda name: _change(old, now, name))[:MOST_SLICES]
    rows = [
        [escaped(name), *(_slice_cell(made, name) for made in (old, now))] for name in names if name in fallen
    ]
    if rows:
        yield table(["slice of the test split", f"{kind} artifact", "this run"], rows)
    if hidden := len(names) - len(rows):
        yield f"and {hidden} more that have fallen less or not at all; each artifact's `{MANIFEST}` has all."


def _change(old: ArtifactManifest, now: ArtifactManifest, name: str) -> float:
    """Return how much a slice's score has risen; 0 if only one of the two has the slice."""
    before, after = old.slices.get(name), now.slices.get(name)
    return after.optimized.score - before.optimized.score if before and after else 0.0


def _slice_cell(manifest: ArtifactManifest, name: str) -> str:
    scores = manifest.slices.get(name)
    return f"{interval_text(scores.optimized)}, {scores.failures} wrong" if scores else "-"


def _rules(old: ArtifactManifest, now: ArtifactManifest) -> Iterator[str]:
    rows = [["added", *_cells(rule)] for rule in only_in(now.rules, old.rules)]
    rows += [["removed", *_cells(rule)] for rule in only_in(old.rules, now.rules)]
    if rows:
        yield table(["", "rule", "effect when it was tested", "n"], rows)
    else:
        yield "The rules are the same."


def _cells(rule: Rule) -> list[str]:
    found = rule.evidence
    if found is None:
        return [escaped(rule.text), "not tested", ""]
    return [escaped(rule.text), escaped(effect_text(found)), str(found.n)]


def _digest(manifest: ArtifactManifest) -> str:
    return manifest.data["test"].digest if "test" in manifest.data else ""
