"""A smoke test as XML and Markdown that no name and no output of a model can break."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from expkit.reports.smoke.junit import junit_xml
from expkit.reports.smoke.outcome import GateOutcome, SmokeOutcome
from expkit.reports.smoke.page import closing_line, summary_page

NASTY = "a<b>&\"'\x1b[31m]]>\x00\uffff\ud800|`x`"

# the elements and attributes of the schema by which Jenkins and others read such files
ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "time", "disabled"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "skipped", "time", "disabled"),
        *("timestamp", "hostname", "id", "package", "file", "log", "group", "url", "version"),
    },
    "testcase": {
        *("name", "classname", "time", "assertions", "status", "class", "file", "line"),
        *("log", "group", "url"),
    },
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
}
WITHIN = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}}
OF_CASES = {"failure", "error", "skipped"}


def outcomes() -> list[SmokeOutcome]:
    """One that passed, one that failed its first gate, one that was killed between the two."""
    passed = (
        GateOutcome("overfit_1", "passed", "learnt", 0.25),
        GateOutcome("overfit_10", "passed", "learnt", 0.5),
    )
    failed = (GateOutcome("overfit_1", "failed", NASTY, 1.0), GateOutcome("overfit_10", "skipped"))
    killed = (passed[0], GateOutcome("overfit_10", "error", "killed: by signal 9"))
    return [
        SmokeOutcome("simple_conv", passed, 1.5, ""),
        SmokeOutcome(NASTY, failed, 2.0, NASTY),
        SmokeOutcome("large", killed, 3.0, ""),
    ]


def test_the_counts_are_those_of_the_gates() -> None:
    """Six gates: three passed, one failed, one was cut off, one was not begun."""
    root = ET.fromstring(junit_xml(outcomes(), 6.5))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "time")} == {
        "tests": "6",
        "failures": "1",
        "errors": "1",
        "time": "6.500",
    }
    suites = {suite.get("name"): suite for suite in root}
    cases = [[case.get("name"), *(each.tag for each in case)] for case in suites["large"]]
    assert cases == [["overfit_1"], ["overfit_10", "error"]]
    assert sum(int(suite.get("skipped") or 0) for suite in root) == 1


def test_it_is_well_formed_and_of_the_schema() -> None:
    """Whatever a model is called, and whatever it prints."""
    root = ET.fromstring(junit_xml(outcomes(), 6.5))
    for element in root.iter():
        assert element.attrib.keys() <= ALLOWED[element.tag]
        assert {child.tag for child in element} <= WITHIN.get(element.tag, OF_CASES)
    assert [each.get("message") for each in root.iter("failure")] == [
        "a<b>&\"'\\x1b[31m]]>\\x00\ufffd\\ud800|`x`"
    ]


def test_the_page_has_a_row_a_model_and_a_block_a_failure() -> None:
    """A pipe in a name ends no cell, a tag is text, and details stand in a fence."""
    page = summary_page(outcomes(), 6.5)
    lines = page.splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [5] * 5
    assert "<b>" not in page.partition("```")[0]
    assert page.count("### ") == 1, "of the killed one nothing more is known"
    assert closing_line(outcomes(), 6.5) in page


def test_the_closing_line_counts_models() -> None:
    """Not gates."""
    assert closing_line(outcomes(), 6.5) == "1 of 3 passed every gate, in 6.5 s"
