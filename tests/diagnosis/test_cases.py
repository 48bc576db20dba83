"""The words of a rule's cases: in its YAML, each used by its code, with nothing left to fill in."""

from __future__ import annotations

import inspect
import re
import string
import sys
from pathlib import Path

import pytest

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import SEVERITIES, Finding
from expkit.diagnosis.rule import TEXTS, Rule

RULES = load_rules()


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.cases])
def test_every_case_is_whole_and_used(name: str) -> None:
    """A case has a severity, a sentence and a cause, and the rule's module names it."""
    rule = RULES[name]
    source = inspect.getsource(sys.modules[type(rule).__module__])
    for case, texts in rule.cases.items():
        assert set(texts) <= {"severity", "sentence", "cause", "command", "remedies"}
        assert texts["severity"] in SEVERITIES
        assert texts["sentence"]
        assert texts["cause"]
        assert f'"{case}"' in source, f"{name} has a case that its code never comes to"
        words = [word for group in texts.get("remedies", ()) for word in group]
        for text in [texts["sentence"], texts["cause"], texts.get("command", ""), *words]:
            list(string.Formatter().parse(text))  # raises where a brace is left open


def test_numbers_are_filled_in_by_the_one_percentage_and_counted() -> None:
    """A fraction a hair below one is no 100 %, and one sample is no samples."""
    text = "{a:.0%} and {a:.1%} of {n:# sample}, {m:# class/classes}, lr {lr:.3g}"
    filled = TEXTS.vformat(text, (), {"a": 0.99999, "n": 1, "m": 2, "lr": 0.00012345})
    assert filled == "99.999 % and 99.999 % of 1 sample, 2 classes, lr 0.000123"


class Few(Rule):
    def find(self, evidence: Evidence) -> list[Finding]:
        return []


def test_a_finding_of_a_case() -> None:
    """Its texts are the YAML's with the numbers of the evidence; what the code says comes first."""
    rule = Few(
        cases={
            "few": {
                "severity": "info",
                "sentence": "{count:# sample} in {stage}",
                "cause": "the {what}",
                "remedies": [["procedure.{stage}.batch_size={size}"]],
            }
        }
    )
    found = rule.finding("few", {"count": 1}, stage="train", what="data", size=8)
    assert (found.severity, found.sentence, found.cause) == (
        "info",
        "1 sample in train",
        "the data",
    )
    assert found.remedies == [["procedure.train.batch_size=8"]]
    assert found.command == ""
    given = rule.finding("few", {"count": 2}, severity="fatal", remedies=[], what="", size=0)
    assert (given.severity, given.remedies) == ("fatal", [])


def test_words_are_kept_where_a_yaml_of_ones_own_changes_a_threshold_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conf/diagnosis/NAME.yaml with our class and another number still says what it found."""
    own = tmp_path / "conf" / "diagnosis"
    own.mkdir(parents=True)
    target = "expkit.diagnosis.rules.model.activations.SaturatedUnits"
    (own / "saturated_units.yaml").write_text(f"# mine\n_target_: {target}\nsaturated: 0.5\n")
    monkeypatch.chdir(tmp_path)
    rule = load_rules()["saturated_units"]
    assert vars(rule)["saturated"] == 0.5
    assert set(rule.cases) == set(RULES["saturated_units"].cases)


def test_no_text_of_a_rule_is_longer_than_a_screen() -> None:
    """A sentence is read at a glance: numbers filled in, it stays under 400 characters."""
    texts = [case["sentence"] for rule in RULES.values() for case in rule.cases.values()]
    assert all(len(re.sub(r"{.*?}", "1234", text)) < 400 for text in texts)
