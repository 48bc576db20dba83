"""Findings name the keys that have an effect on their stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from synthetic_evidence import CONFIG, make_evidence, make_history

from expkit.diagnosis.curves import all_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import ask
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.next_command import with_remedy
from expkit.diagnosis.remedies import lower_lr
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import is_adaptive, optimizer_name
from expkit.diagnosis.stage_keys import with_keys_of_stage

TRAIN = CONFIG["procedure"]["train"]
SGD = {"_target_": "torch.optim.SGD", "lr": 0.5, "momentum": 0.9}
SAM = {"_target_": "expkit.optim.sam.sam", "lr": 0.2, "rho": 0.05, "base": SGD}


def evidence_of(**stages: dict[str, Any]) -> Evidence:
    procedure = {name: {**TRAIN, **own} for name, own in stages.items()}
    history = [line for name in stages for line in make_history(name, train__loss=[1.0, 0.9])]
    return make_evidence(history=history, procedure=procedure)


@dataclass(frozen=True, kw_only=True)
class LowerRate(Rule):
    """Advises a lower learning rate for every stage."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings:
            advice = [f"optimizer.lr={lower_lr(evidence):g}"]
            told = {"lr": evidence.config["optimizer"]["lr"]}
            yield Finding("info", "the loss. It rises", told, "a cause", [advice], stage=stage)


def test_a_rule_is_asked_by_the_values_of_each_stage() -> None:
    """Of the run's Adam at 0.001, and of a stage's SGD at 0.5 by its own key."""
    evidence = evidence_of(warmup={}, sgd={"optimizer": SGD})
    found = {each.stage: each for each in ask("lower", LowerRate(), evidence)}
    assert found["warmup"].remedies == [["optimizer.lr=0.0001"]]
    assert found["sgd"].remedies == [["procedure.sgd.optimizer.lr=0.05"]]
    assert found["sgd"].evidence == {"lr": 0.5}
    assert found["sgd"].command == "expkit train procedure.sgd.optimizer.lr=0.05"
    assert found["sgd"].sentence == "the loss. It rises"


def test_curves_are_read_beside_the_stages_own_config() -> None:
    evidence = evidence_of(warmup={}, sgd={"optimizer": SGD, "schedule": {"warmup_epochs": 3}})
    first, second = all_curves(evidence)
    assert is_adaptive(first.evidence.config)
    assert not is_adaptive(second.evidence.config)
    assert (first.warmup_epochs, second.warmup_epochs) == (0, 3)


def test_the_base_of_sam_is_what_rules_judge_and_advise() -> None:
    """Momentum is the base's, the learning rate SAM's."""
    evidence = evidence_of(sam={"optimizer": SAM})
    assert optimizer_name(evidence.of_stage("sam").config) == "SGD"
    words = [["optimizer.momentum=0.9", "optimizer.lr=0.1"], ["schedule=cosine"]]
    finding = Finding("info", "optimizer.momentum=0.999", {"a": 1}, "a cause", words, stage="sam")
    told = with_keys_of_stage(finding, evidence)
    assert told.sentence == "procedure.sam.optimizer.base.momentum=0.999"
    assert told.remedies == [
        ["procedure.sam.optimizer.base.momentum=0.9", "procedure.sam.optimizer.lr=0.1"],
        ["schedule=cosine"],
    ]


def test_another_choice_takes_the_place_of_what_was_said_of_the_one_before() -> None:
    """Of a stage's as of the run's: adam has no momentum."""
    typed = ["procedure.sgd.optimizer=sgd", "procedure.sgd.optimizer.momentum=0.5", "seed=1"]
    assert with_remedy(typed, ["procedure.sgd.optimizer=adam"]) == [
        "seed=1",
        "procedure.sgd.optimizer=adam",
    ]
