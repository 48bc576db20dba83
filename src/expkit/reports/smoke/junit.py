"""A smoke test as JUnit XML, which CI services show: a test suite a model, a test case a gate."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from expkit.reports.smoke.outcome import GateOutcome, SmokeOutcome
from expkit.sanitize import clean

SUITE = "expkit smoke"
TAGS = {"failed": "failure", "error": "error", "skipped": "skipped"}
# what XML 1.0 cannot hold at all, escaped or not, and `clean` lets through
NOT_XML = re.compile("[\ufffe\uffff]")


def junit_xml(outcomes: Sequence[SmokeOutcome], seconds: float) -> bytes:
    """The whole document."""
    gates = [gate for outcome in outcomes for gate in outcome.gates]
    root = ET.Element("testsuites", {"name": SUITE, **_counts(gates), "time": f"{seconds:.3f}"})
    for outcome in outcomes:
        root.append(_suite(outcome))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(outcome: SmokeOutcome) -> ET.Element:
    name = _text(outcome.name)
    skipped = sum(gate.status == "skipped" for gate in outcome.gates)
    suite = ET.Element(
        "testsuite",
        {
            "name": name,
            **_counts(outcome.gates),
            "skipped": str(skipped),
            "time": f"{outcome.seconds:.3f}",
        },
    )
    for gate in outcome.gates:
        case = ET.SubElement(
            suite,
            "testcase",
            {"name": _text(gate.name), "classname": name, "time": f"{gate.seconds:.3f}"},
        )
        if gate.status == "passed":
            continue
        result = ET.SubElement(case, TAGS[gate.status])
        if gate.status == "skipped":
            result.set("message", "an earlier gate was not passed")
            continue
        result.set("message", _text(gate.reason))
        result.set("type", gate.status)
        result.text = _text(outcome.details)
    return suite


def _counts(gates: Sequence[GateOutcome]) -> Mapping[str, str]:
    statuses = [gate.status for gate in gates]
    return {
        "tests": str(len(gates)),
        "failures": str(statuses.count("failed")),
        "errors": str(statuses.count("error")),
    }


def _text(text: str) -> str:
    return NOT_XML.sub("\ufffd", clean(text))
