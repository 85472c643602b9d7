"""The results as rows: one for each task, model and method, over all its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from benchmarks.real.intervals import paired_difference, wilson
from benchmarks.real.records import Record

ORDER = (
    "base",
    "labeled",
    "bootstrap_rs",
    "mipro_v2",
    "gepa",
    "simba",
    "infer_rules",
    "promptgrad-rules",
    "promptgrad",
)
TITLES = {
    "base": "base instructions",
    "labeled": "LabeledFewShot",
    "bootstrap_rs": "BootstrapFewShotWithRandomSearch",
    "mipro_v2": "MIPROv2",
    "gepa": "GEPA",
    "simba": "SIMBA",
    "infer_rules": "InferRules",
    "promptgrad-rules": "PromptGrad, rules only",
    "promptgrad": "PromptGrad",
}


@dataclass(frozen=True)
class Row:
    """One method on one task: scores in 0..1, and what a run used on average."""

    task: str
    model: str
    method: str
    n: int
    scores: tuple[float, ...]
    seeds: tuple[int, ...]
    score: float = 0.0
    low: float = 0.0
    high: float = 0.0
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    runs: float = 0.0
    scored_prompts: float = 0.0
    reflection_calls: float = 0.0
    reflection_tokens: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0
    test_seconds: float = 0.0
    learned: str = ""
    problem: str = ""


def rows(records: Iterable[Record]) -> list[Row]:
    """Return the table's rows, in the order in which they are shown."""
    latest = {(r["task"], r["model"], r["method"], r["seed"]): r for r in records}
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in latest.values():
        groups.setdefault((record["task"], record["model"], record["method"]), []).append(record)
    keys = sorted(groups, key=lambda key: (key[1], key[0], _place(key[2])))
    return [_row(key, groups[key], groups.get((key[0], key[1], "base"), [])) for key in keys]


def title(method: str) -> str:
    """Return what a method is called in the table and in the plot."""
    name, _, demonstrations = method.partition("-")
    return f"{TITLES[name]}({demonstrations})" if demonstrations.isdecimal() else TITLES[method]


def _place(method: str) -> tuple[int, int]:
    name, _, demonstrations = method.partition("-")
    if demonstrations.isdecimal():
        return ORDER.index(name), int(demonstrations)
    return ORDER.index(method), 0


def _row(key: tuple[str, str, str], group: Sequence[Record], base: Sequence[Record]) -> Row:
    task, model, method = key
    good = [record for record in group if record["status"] == "ok"]
    if not good:
        return Row(task, model, method, 0, (), (), problem=group[-1]["problem"])
    problems = [f"seed {r['seed']}: {r['problem']}" for r in group if r["status"] != "ok"]
    after = _mean_by_example([record["scores"] for record in good])
    score = fmean(after)
    low, high = wilson(score, len(after))
    before = [record["base_scores"] for record in good if record.get("base_scores")] or [
        record["scores"] for record in base if record["status"] == "ok"
    ]
    gain = gain_low = gain_high = None
    if method != "base" and before and len(before[0]) == len(after):
        gain, gain_low, gain_high = paired_difference(_mean_by_example(before), after)
    usage = [record["usage"] for record in good]
    return Row(
        task,
        model,
        method,
        n=len(after),
        scores=tuple(fmean(record["scores"]) for record in good),
        seeds=tuple(record["seed"] for record in good),
        score=score,
        low=low,
        high=high,
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
        runs=fmean(u["task"]["calls"] for u in usage),
        scored_prompts=fmean(record.get("scored_prompts", 0) for record in good),
        reflection_calls=fmean(u["reflection"]["calls"] for u in usage),
        reflection_tokens=fmean(_tokens(u["reflection"]) for u in usage),
        tokens=fmean(_tokens(u["task"]) + _tokens(u["reflection"]) for u in usage),
        seconds=fmean(record["seconds"] for record in good),
        test_seconds=fmean(record["test_seconds"] for record in good),
        learned="; ".join(dict.fromkeys(map(_learned, good))),
        problem="; ".join(problems),
    )


def _learned(record: Record) -> str:
    """Return what a method put into the prompt, in a few words."""
    if "rules" in record:  # PromptGrad's
        rules, demonstrations = len(record["rules"]), record["demonstrations"]
        return f"{rules} rules, {demonstrations} demonstrations"
    shown = sum(predictor["demonstrations"] for predictor in record.get("prompt", ()))
    return f"{shown} demonstrations" if shown else ""


def _tokens(usage: dict[str, int]) -> int:
    return usage["prompt_tokens"] + usage["answer_tokens"]


def _mean_by_example(scores: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(column) for column in zip(*scores, strict=True)]


def as_json(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain objects."""
    return [asdict(row) for row in table]


def markdown(table: Sequence[Row]) -> str:
    """Return the rows as Markdown, a table for each task and model."""
    parts = []
    for model, task in dict.fromkeys((row.model, row.task) for row in table):
        own = [row for row in table if (row.model, row.task) == (model, task)]
        n = max(row.n for row in own)
        parts += [f"### {task}, {model} (test n = {n})", "", *_HEAD, *map(_line, own), ""]
    return "\n".join(parts)


_HEAD = (
    "| method | test score | 95 % interval | gain over base, paired 95 % | by seed | program runs "
    "| prompts scored | reflection calls, tokens | all tokens | minutes | learned |",
    "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---|",
)


def _line(row: Row) -> str:
    name = title(row.method)
    if not row.scores:
        return f"| {name} | failed | | | {_cell(row.problem)} | | | | | | |"
    gain = "" if row.gain is None else f"{row.gain:+.3f} [{row.gain_low:+.3f}, {row.gain_high:+.3f}]"
    by_seed = ", ".join(f"{score:.3f}" for score in row.scores) if len(row.scores) > 1 else ""
    if row.problem:
        by_seed = f"{by_seed} ({_cell(row.problem)})".strip()
    scored = f"{row.scored_prompts:,.0f}" if row.scored_prompts else ""
    reflection = f"{row.reflection_calls:,.0f}, {row.reflection_tokens:,.0f}" if row.reflection_calls else ""
    return (
        f"| {name} | {row.score:.3f} | [{row.low:.3f}, {row.high:.3f}] | {gain} | {by_seed} "
        f"| {row.runs:,.0f} | {scored} | {reflection} | {row.tokens:,.0f} "
        f"| {row.seconds / 60:.1f} | {row.learned} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:160]
