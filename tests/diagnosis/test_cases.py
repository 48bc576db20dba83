"""The words of a rule's cases: in its YAML, each used by its code, with nothing left to fill in."""

from __future__ import annotations

import inspect
import re
import string
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from expkit.config.paths import builtin_conf
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import SEVERITIES, Finding
from expkit.diagnosis.rule import TEXTS, Rule

RULES = load_rules()
KEYS = {"severity", "sentence", "cause", "command", "otherwise", "remedies", "parts"}
FORMATTER = string.Formatter()


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.cases])
def test_every_case_is_whole_and_used(name: str) -> None:
    """A case has a severity, a sentence and a cause, and the rule's module names it."""
    rule = RULES[name]
    source = inspect.getsource(sys.modules[type(rule).__module__])
    for case, texts in rule.cases.items():
        assert set(texts) <= KEYS
        assert texts["severity"] in SEVERITIES
        assert texts["sentence"]
        assert texts["cause"]
        assert f'"{case}"' in source, f"{name} has a case that its code never comes to"
        parts = texts.get("parts", {})
        words = [word for group in texts.get("remedies", ()) for word in group]
        given = [texts.get(key, "") for key in ("sentence", "cause", "command", "otherwise")]
        # raises where a brace is left open
        fields = {field for text in [*given, *words] for _, field, *_ in FORMATTER.parse(text)}
        assert set(parts) <= fields, f"{name} has a part that stands in no text"
        for part, text in parts.items():
            assert f'"{part}"' in source, f"{name} has a part that its code never asks for"
            assert text
            list(FORMATTER.parse(text))


def test_numbers_are_filled_in_by_the_one_percentage_and_counted() -> None:
    """A fraction a hair below one is no 100 %, one sample is no samples, and two of them are."""
    text = (
        "{a:.0%} and {a:.1%} of {n:# sample} {n:is/are}, {m:# class/classes} {m:is/are}, {lr:.3g}"
    )
    filled = TEXTS.vformat(text, (), {"a": 0.99999, "n": 1, "m": 2, "lr": 0.00012345})
    assert filled == "99.999 % and 99.999 % of 1 sample is, 2 classes are, 0.000123"


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


def test_parts_and_what_to_do_otherwise() -> None:
    """A part stands where it holds, and a remedy only with its part.

    Without any remedy there is another command.
    """
    rule = Few(
        cases={
            "few": {
                "severity": "info",
                "sentence": "{count:# sample}{late}",
                "cause": "chance",
                "remedies": [["{more}"], ["seed=1", "{more}"]],
                "command": "try it",
                "otherwise": "gather {count} more",
                "parts": {"late": " in epoch {epoch}", "more": "dataset.count={count}"},
            }
        }
    )
    with_parts = rule.finding("few", {"count": 2}, epoch=3, parts={"late": True, "more": True})
    assert with_parts.sentence == "2 samples in epoch 3"
    assert with_parts.remedies == [["dataset.count=2"], ["seed=1", "dataset.count=2"]]
    assert with_parts.command == "try it"
    without = rule.finding("few", {"count": 2}, epoch=3, parts={"late": False})
    assert (without.sentence, without.remedies) == ("2 samples", [])
    assert without.command == "gather 2 more"


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


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.cases])
def test_every_threshold_is_shown_with_a_comment(name: str) -> None:
    """A reader of the YAML sees each number that the rule goes by, as its class has it."""
    text = (builtin_conf() / "diagnosis" / f"{name}.yaml").read_text("utf-8")
    shown = dict(re.findall(r"^(\w+): ([\d.e-]+)  # \S", text, re.M))
    defaults = {
        field.name: field.default
        for field in fields(RULES[name])
        if isinstance(field.default, int | float)
    }
    assert {key: float(value) for key, value in shown.items()} == defaults


@pytest.mark.parametrize(
    "case",
    [
        "{severity: dreadful, sentence: a, cause: b}",
        "{severity: info, sentence: [a], cause: b}",
        "{severity: info, sentence: a, cause: b, remedies: optimizer.lr=3}",
        "{severity: info, sentence: a, cause: b, remedies: [optimizer.lr=3]}",
        "{severity: info, sentnce: a, cause: b}",
        "null",
    ],
)
def test_a_case_that_is_not_whole_leaves_its_rule_out_and_ends_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule of one's own is refused where it is loaded, and not once it has found something."""
    own = tmp_path / "conf" / "diagnosis"
    own.mkdir(parents=True)
    target = "expkit.diagnosis.rules.model.activations.SaturatedUnits"
    (own / "mine.yaml").write_text(f"# mine\n_target_: {target}\ncases: {{x: {case}}}\n")
    monkeypatch.chdir(tmp_path)
    assert "mine" not in load_rules()
    assert "the rule 'mine' is left out: " in capsys.readouterr().err
