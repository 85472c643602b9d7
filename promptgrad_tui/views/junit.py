"""Gates as JUnit XML, which every CI system shows."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from engine.journal.events import GateResult
from engine.project.gates import failure_text
from promptgrad_tui.views.sanitize import visible

_CLASS = "promptgrad.gates"


def junit_xml(suite: str, gates: Sequence[GateResult], *, seconds: float = 0.0) -> str:
    """Return a test suite with a test case for each gate."""
    failures = sum(not gate.passed for gate in gates)
    root = _suite(suite, tests=len(gates), failures=failures, skipped=0, seconds=seconds)
    for gate in gates:
        case = SubElement(root, "testcase", classname=_CLASS, name=visible(gate.gate))
        if not gate.passed:
            failure = SubElement(case, "failure", message=visible(failure_text(gate)), type="gate")
            failure.text = visible(gate.detail)
    return _text(root)


def skipped_junit_xml(suite: str, name: str, reason: str) -> str:
    """Return a test suite whose one test case was skipped."""
    root = _suite(suite, tests=1, failures=0, skipped=1, seconds=0.0)
    case = SubElement(root, "testcase", classname=_CLASS, name=name)
    SubElement(case, "skipped", message=visible(reason))
    return _text(root)


def _suite(name: str, *, tests: int, failures: int, skipped: int, seconds: float) -> Element:
    return Element(
        "testsuite",
        name=visible(name),
        tests=str(tests),
        failures=str(failures),
        errors="0",
        skipped=str(skipped),
        time=f"{seconds:.3f}",
    )


def _text(suite: Element) -> str:
    suites = Element("testsuites")
    suites.append(suite)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'
