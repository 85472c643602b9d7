"""A run's report as one HTML file: no network, no scripts from elsewhere, readable without any script."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from promptgrad_tui.report import sections
from promptgrad_tui.report.elements import Markup, element
from promptgrad_tui.report.view import RunReport

_HERE = Path(__file__).parent


def html_report(report: RunReport) -> str:
    """Return the whole file."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    shown = list(_sections(report))
    links = [element("a", title, href=f"#{name}") for name, title, _ in shown]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("title", f"PromptGrad: {report.name}, run {report.record.id}"),
        element("style", Markup(style)),
    )
    body = element(
        "body",
        element("a", "Skip to the result", href="#result", class_="skip"),
        _header(report, links),
        element("main", *(_section(*section) for section in shown)),
        element("script", Markup(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    """Forbid the browser to load or to run anything but what is in the file."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"


def _sections(report: RunReport) -> Iterator[tuple[str, str, Iterable[Markup]]]:
    """Yield name, title and content of each section that the run has something for."""
    yield "result", "Result", sections.result(report)
    if report.story.epochs:
        yield "epochs", "Score by epoch", sections.epochs(report)
    yield "rules", "Rules", sections.rules(report)
    if report.slices:
        yield "slices", "Slices", sections.slices(report)
    if report.changes:
        yield "examples", "Examples", sections.examples(report)
    if report.prompts:
        yield "prompt", "Prompt", sections.prompt(report)
    yield "cost", "Cost", sections.cost(report)
    if report.story.started:
        yield "origin", "Origin", sections.origin(report)


def _section(name: str, title: str, content: Iterable[Markup]) -> Markup:
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def _header(report: RunReport, links: Iterable[Markup]) -> Markup:
    return element(
        "header",
        element("p", "PromptGrad report", class_="kind"),
        element("h1", f"{report.name}: {report.headline[0].lower()}{report.headline[1:]}"),
        element("p", report.reason, class_="lead"),
        element("nav", *links, aria_label="Sections"),
    )
