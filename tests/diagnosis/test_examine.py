"""How rules are asked, and which findings are left when one explains another."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from synthetic_evidence import make_evidence

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import _load, complete, examine, load_rules
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.next_command import with_remedy
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Always(Rule):
    """Finds something in every run."""

    severity: Severity = "warning"

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        yield Finding(self.severity, "so it is", {"number": 1}, "because")


def names(rules: dict[str, Rule], **config: object) -> list[str]:
    evidence = make_evidence(**config)  # type: ignore[arg-type]
    return [finding.rule for finding in examine(evidence, rules)]


def test_the_root_stands_for_its_symptoms() -> None:
    """A symptom that a root explains is not told beside it."""
    rules: dict[str, Rule] = {"symptom": Always(), "root": Always(explains=["symptom"])}
    assert names(rules) == ["root"]


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b", "c"])))
def test_a_chain_is_told_by_its_root(order: tuple[str, ...]) -> None:
    """What explains a symptom may itself be one, whatever the rules are called."""
    root, middle, last = order
    chain: dict[str, Rule] = {
        root: Always(explains=[middle]),
        middle: Always(explains=[last]),
        last: Always(severity="fatal"),
    }
    (found,) = examine(make_evidence(), {name: chain[name] for name in sorted(chain)})
    assert (found.rule, found.severity) == (root, "fatal")


def test_two_that_explain_each_other_leave_one() -> None:
    """A circle does not swallow both."""
    rules: dict[str, Rule] = {"a": Always(explains=["b"]), "b": Always(explains=["a"])}
    assert names(rules) == ["a"]


def test_a_root_is_as_severe_as_what_it_explains() -> None:
    """A warning that explains why nothing is learnt is no mere warning."""
    rules: dict[str, Rule] = {
        "dead": Always(severity="fatal"),
        "root": Always(severity="warning", explains=["dead"]),
    }
    (found,) = examine(make_evidence(), rules)
    assert (found.rule, found.severity) == ("root", "fatal")


def test_what_is_worth_knowing_explains_no_fault() -> None:
    """An info must not hide a warning."""
    rules: dict[str, Rule] = {
        "fault": Always(),
        "remark": Always(severity="info", explains=["fault"]),
    }
    assert names(rules) == ["fault", "remark"]


def test_the_worst_comes_first() -> None:
    """A reader who stops after one finding has read the one that matters."""
    rules: dict[str, Rule] = {
        "small": Always(severity="info"),
        "deadly": Always(severity="fatal"),
        "bad": Always(),
    }
    assert names(rules) == ["deadly", "bad", "small"]


def test_an_ignored_rule_is_not_asked() -> None:
    """`diagnosis.ignore` silences a rule by name."""
    rules: dict[str, Rule] = {"a": Always(), "b": Always()}
    assert names(rules, diagnosis={"ignore": ["a"]}) == ["b"]


def test_the_next_command_repeats_the_run_with_the_remedy() -> None:
    """What the user typed stays, the first remedy comes behind it."""
    finding = Finding("warning", "s", {"n": 1}, "c", remedies=[["optimizer.lr=1e-4"], ["x=1"]])
    evidence = make_evidence(overrides=["model=deep_head", "optimizer.lr=1", "name=a b"])
    command = complete(finding, "rule", evidence).command
    assert command == "expkit train model=deep_head 'name=a b' optimizer.lr=1e-4"


def test_another_part_takes_its_values_along() -> None:
    """`loss.gamma` belongs to the loss that the remedy puts another one in place of."""
    words = ["loss=focal", "+loss.gamma=30", "seed=1"]
    assert with_remedy(words, ["loss=cross_entropy"]) == ["seed=1", "loss=cross_entropy"]


def test_a_rule_that_raises_is_told_and_the_others_are_asked() -> None:
    """A fault of a rule must not end somebody's training."""

    class Broken(Rule):
        def find(self, evidence: Evidence) -> Iterable[Finding]:
            raise KeyError("loss")

    broken, sound = examine(make_evidence(), {"broken": Broken(), "sound": Always()})[::-1]
    assert (broken.rule, broken.severity, sound.rule) == ("rule_failed", "info", "sound")
    assert broken.evidence == {"rule": "broken", "error": "KeyError: 'loss'"}


def test_numbers_become_plain() -> None:
    """Evidence goes into JSON, which knows no numpy and no NaN."""
    given = {"a": np.float64(1.5), "b": [np.int64(2)], "c": float("nan")}
    finding = complete(Finding("info", "s", given, "c"), "rule", make_evidence())
    assert finding.evidence == {"a": 1.5, "b": [2], "c": "nan"}


def test_a_finding_needs_evidence() -> None:
    """Nothing is claimed without a number."""
    with pytest.raises(AssertionError):
        Finding("info", "s", {}, "c")


def test_every_rule_is_built_and_explains_rules_that_exist() -> None:
    """A misspelt name in `explains` would explain nothing."""
    rules = load_rules()
    assert rules
    assert {name for rule in rules.values() for name in rule.explains} <= rules.keys()


def test_every_rule_is_silent_without_signals() -> None:
    """A run of a time before signals were recorded is not accused of anything."""
    assert examine(make_evidence(), load_rules()) == []


def test_rules_need_no_torch() -> None:
    """They are asked on machines that have none."""
    code = (
        "import sys; from expkit.diagnosis.examine import load_rules; load_rules();"
        "assert not {'torch', 'hydra', 'scipy', 'sklearn'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("_target_: nowhere_at_all.Rule", "there is no module 'nowhere_at_all'"),
        (
            "_target_: expkit.diagnosis.rules.results.gates.GateFailed\nfoo: 1",
            "has no argument 'foo'",
        ),
        ("a: [", "is no YAML"),
        ("- 1", "holds no rule"),
    ],
)
def test_a_bad_rule_of_a_users_own_is_a_warning(
    content: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ended every training; the other rules are asked."""
    known = set(load_rules())
    (tmp_path / "conf" / "diagnosis").mkdir(parents=True)
    (tmp_path / "conf" / "diagnosis" / "own.yaml").write_text(content)
    monkeypatch.chdir(tmp_path)
    assert set(load_rules()) == known
    told = capsys.readouterr().err
    assert told.startswith("warning the rule 'own' is left out: ")
    assert said in told


def test_a_rule_that_explains_what_is_no_rule_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt name explained nothing, and nobody was told."""
    own = tmp_path / "conf" / "diagnosis"
    own.mkdir(parents=True)
    target = "expkit.diagnosis.rules.model.activations.SaturatedUnits"
    yaml = f"# mine\n_target_: {target}\nexplains: [deadunits]\n"
    (own / "saturated_units.yaml").write_text(yaml)
    monkeypatch.chdir(tmp_path)
    assert "saturated_units" not in load_rules()
    said = capsys.readouterr().err
    assert "it explains 'deadunits', which is no rule (nearest: dead_units)" in said
    (own / "saturated_units.yaml").write_text(yaml.replace("deadunits", "dead_units"))
    _load.cache_clear()
    assert "saturated_units" in load_rules()
    _load.cache_clear()
