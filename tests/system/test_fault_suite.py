"""The published suite of faults: what it holds, how it judges, and a few of its cases run."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from expkit.config.paths import builtin_conf, list_choices

FAULTS = Path(__file__).parents[2] / "benchmarks" / "faults"
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a module of the suite, which is a folder of scripts."""
    import importlib

    monkeypatch.syspath_prepend(str(FAULTS))
    return importlib.import_module


def test_the_suite_is_as_large_as_it_claims(load: Load) -> None:
    """At least 60 faults of 40 kinds and 60 controls, in two halves of which neither is small."""
    suite = load("suite")
    assert len(suite.FAULTS) >= 60
    assert len({each.kind for each in suite.FAULTS}) >= 40
    assert len(suite.CONTROLS) >= 60
    for cases in (suite.FAULTS, suite.CONTROLS):
        tuning = sum(each.part == "tuning" for each in cases)
        assert 0.4 < tuning / len(cases) < 0.6


def test_every_cause_is_a_rule(load: Load) -> None:
    """A cause that no rule is called by could never be named."""
    rules = set(list_choices("diagnosis", [builtin_conf()]))
    faults = load("suite").FAULTS
    assert {name for each in faults for name in each.expected} <= rules
    assert all(bool(each.expected) != bool(each.refusal) for each in faults)


def test_the_half_follows_from_the_name_alone(load: Load) -> None:
    """sha256("a") ends in the byte 0xbb, odd; that of "c" in 0xc6, even."""
    case = load("case")
    parts = [case.fault(name, "kind", (), "rule").part for name in "ac"]
    assert parts == ["reported", "tuning"]


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([], "MISSED"),
        ([("overfitting", "info")], "MISSED"),
        ([("overfitting", "warning")], "named"),
        ([("underfitting", "fatal"), ("overfitting", "warning")], "detected"),
    ],
)
def test_only_the_first_grave_finding_names_a_cause(
    load: Load, tmp_path: Path, rules: list[tuple[str, str]], verdict: str
) -> None:
    """The right name in the second place is not the right name; a remark is no finding."""
    findings = [
        {"rule": rule, "severity": severity, "sentence": "", "epoch": 3} for rule, severity in rules
    ]
    run = tmp_path / "outputs" / "20260101_000000_x"
    run.mkdir(parents=True)
    (run / "summary.json").write_text(json.dumps({"findings": findings}))
    (run / "history.jsonl").write_text('{"stage": "train", "train/accuracy": 0.5}\n')
    fault = load("case").fault("x", "kind", (), "overfitting")
    row = load("judging").judge(fault, tmp_path, 0, "", 1.0)
    assert load("table").verdict(row) == verdict


@pytest.mark.slow
def test_a_control_that_does_not_learn_is_none(load: Load, tmp_path: Path) -> None:
    """Silence over a run that fails would prove the opposite of what it seems to."""
    run = tmp_path / "outputs" / "20260101_000000_x"
    run.mkdir(parents=True)
    (run / "summary.json").write_text('{"findings": []}')
    (run / "history.jsonl").write_text(
        '{"stage": "train", "train/accuracy": 0.9, "val/accuracy": 0.5}\n'
    )
    row = load("judging").judge(load("case").control("x", (), least=0.6), tmp_path, 0, "", 1.0)
    assert load("table").verdict(row) == "NOT SOUND"
    assert load("table").aims_missed([row]) == ["controls that do not learn: x"]


@pytest.mark.slow
def test_a_few_cases_come_out_right(tmp_path: Path) -> None:
    """A fault of each sort is named, a sound run is left alone, and the table says so."""
    names = ["softmax_conv", "adam_at_1e-7", "one_class_too_many", "two_digits"]
    command = [sys.executable, str(FAULTS / "run.py"), "--jobs", "1", "--to", str(tmp_path)]
    only = ["--only", *(f"={name}=" for name in names)]
    done = subprocess.run([*command, *only], capture_output=True, text=True, check=False)
    with (tmp_path / "faults.csv").open() as file:
        verdicts = {row["case"]: row["outcome"] for row in csv.DictReader(file)}
    assert verdicts == dict.fromkeys(names[:3], "named") | dict.fromkeys(names[3:], "silent")
    assert done.returncode == 0, done.stdout + done.stderr
