"""Rules on classes: missing, rare, or of too few samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from damaged_data import digits, evidence_of
from rule_findings import findings
from sure_predictions import answers
from synthetic_evidence import CONFIG, make_evidence, make_history, make_metadata

from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import StageResult

FOLDS = {"fold": None, "num_folds": 5}


def test_missing_classes_are_named_either_way() -> None:
    """One that train lacks, and one that val lacks, in one finding."""
    metadata = make_metadata(train=(50, 50, 0), val=(10, 0, 10))
    (found,) = findings("missing_classes", make_evidence(metadata=metadata))
    assert found.severity == "warning"
    assert found.evidence["missing_in_train"] == ["class_2"]
    assert found.evidence["missing_in_val"] == ["class_1"]


def test_classes_missing_on_purpose_are_not_told() -> None:
    """Those that the config allows."""
    metadata = make_metadata(train=(50, 50), val=(10, 0))
    allowed = {**CONFIG["dataset"], "allow_missing": ["class_1"]}
    assert findings("missing_classes", make_evidence(metadata=metadata, dataset=allowed)) == []
    assert len(findings("missing_classes", make_evidence(metadata=metadata))) == 1


def test_a_class_that_a_stage_makes_of_mistakes_is_missing_nowhere() -> None:
    """The rules on data are asked of the data as it came."""
    evidence = make_evidence(metadata=make_metadata(train=(50, 50), val=(10, 10)))
    relabelled = make_metadata(train=(45, 45, 10), val=(10, 10, 0))
    assert findings("missing_classes", replace(evidence, relabelled=relabelled)) == []


def test_a_split_smaller_than_the_classes_is_no_fault() -> None:
    """Five held-out samples of ten classes; and none held out at all says nothing."""
    small = make_metadata(val=(1,) * 5 + (0,) * 5)
    (found,) = findings("missing_classes", make_evidence(metadata=small))
    assert found.severity == "info"
    assert findings("missing_classes", make_evidence(metadata=make_metadata(val=None))) == []
    assert findings("missing_classes", evidence_of(digits())) == []


def imbalanced(**config: Any) -> Evidence:
    return make_evidence(metadata=make_metadata(train=(900, 60), val=(90, 6)), **config)


def test_untreated_imbalance_is_told() -> None:
    """15 to 1, with plain cross-entropy, plain sampling and no criterion."""
    loss = {"_target_": "expkit.losses.cross_entropy.CrossEntropy", "class_weights": None}
    (found,) = findings("class_imbalance", imbalanced(loss=loss))
    assert found.evidence["rare_classes"] == ["class_1"]
    assert found.remedies[0] == ["loss.class_weights=balanced"]
    assert found.remedies[1] == ["procedure.train.balanced_sampling=true"]


@pytest.mark.parametrize(
    "config",
    [
        {"loss": {"class_weights": "balanced"}},
        {"loss": {"_target_": "expkit.losses.focal.Focal", "gamma": 2.0}},
        {"criteria": {"macro_f1": "> 0.8"}},
        {"criteria": {"recall[class_1]": "> 0.8"}},
        {
            "procedure": {
                "train": {**CONFIG["procedure"]["train"], "balanced_sampling": True},
            }
        },
    ],
)
def test_treated_imbalance_is_left_alone(config: dict[str, Any]) -> None:
    """By weights, a focal loss, a criterion that counts rare classes, or the sampling."""
    assert findings("class_imbalance", imbalanced(**config)) == []


def test_imbalance_that_did_no_harm_is_left_alone() -> None:
    """Where the rare class is answered after all; and where it is given up, it is told."""
    targets = np.array([0] * 90 + [1] * 6)
    sure = np.full(96, 0.9)
    good = {"val": answers("val", targets, targets, sure)}
    assert findings("class_imbalance", imbalanced(predictions=good)) == []
    given_up = {"val": answers("val", targets, np.zeros(96, int), sure)}
    assert len(findings("class_imbalance", imbalanced(predictions=given_up))) == 1


def test_shares_of_log_3_are_no_severe_imbalance() -> None:
    """Five to one; and a puzzle of one sample a class is even."""
    log_3 = make_metadata(train=(105, 522, 201, 362), val=(22, 112, 43, 78))
    assert findings("class_imbalance", make_evidence(metadata=log_3)) == []
    puzzle = make_metadata(train=(1,) * 950, val=None)
    assert findings("class_imbalance", make_evidence(metadata=puzzle)) == []


def test_too_few_samples_are_told_with_what_they_can_prove() -> None:
    """Eight a class, and 80 held out: 1.96 / (2 sqrt(80 + 1.96^2)) is 11 points either way."""
    metadata = make_metadata(train=(8,) * 10, val=(8,) * 10)
    (found,) = findings("too_few_samples", make_evidence(metadata=metadata))
    assert found.severity == "info"
    assert found.evidence["half_interval"] == pytest.approx(0.10703, abs=1e-4)
    assert found.evidence["num_small_classes"] == 10


@pytest.mark.parametrize(
    ("smallest", "dataset", "evaluates", "command"),
    [
        # six and six in train and val: each of five folds has one
        (6, FOLDS, None, "expkit train -m seed=3 dataset.fold=0,1,2,3,4"),
        # one and one: two folds, as more are refused
        (1, FOLDS, None, "expkit train -m seed=3 dataset.fold=0,1 dataset.num_folds=2"),
        (6, {"fold": 1, "num_folds": 5}, None, "judge all folds together"),
        (6, {}, None, "gather more samples"),
        (6, FOLDS, "/runs/other", "evaluate on more samples"),
    ],
)
def test_the_way_to_more_samples_is_one_that_can_be_taken(
    smallest: int, dataset: Mapping[str, Any], evaluates: str | None, command: str
) -> None:
    """No folds of a puzzle, of a fold, or of an evaluation, which trains on nothing."""
    metadata = make_metadata(train=(smallest, 40), val=(smallest, 6))
    own: dict[str, Any] = {"dataset": {**CONFIG["dataset"], **dataset}, "evaluates": evaluates}
    evidence = make_evidence(metadata=metadata, overrides=["seed=3"], **own)
    (found,) = findings("too_few_samples", evidence)
    assert command in found.command
    assert ("to train on" in found.sentence) == (evaluates is None)


def test_one_is_said_in_the_singular() -> None:
    """Of one class with few samples, and one sample held out."""
    (found,) = findings("too_few_samples", make_evidence(metadata=make_metadata((3, 40), (0, 1))))
    assert found.sentence == (
        "1 class has fewer than 10 samples to train on; an accuracy on 1 held-out sample is "
        "uncertain by up to 45 points either way"
    )


def test_enough_samples_are_left_alone() -> None:
    """Digits; and a puzzle, which holds nothing out."""
    assert findings("too_few_samples", evidence_of(digits())) == []
    puzzle = make_metadata(train=(1,) * 950, val=None)
    assert findings("too_few_samples", make_evidence(metadata=puzzle)) == []


@pytest.mark.parametrize(
    ("val", "is_over", "severity"),
    [(0.3, True, "warning"), (0.95, True, "info"), (0.3, False, "info")],
)
def test_a_handful_of_each_class_is_a_fault_where_it_went_badly(
    val: float, is_over: bool, severity: str
) -> None:
    """Three a class: a warning where train is known and val is not, once training ended."""
    ended = [StageResult("train", True, "", "Training")] if is_over else []
    evidence = make_evidence(
        metadata=make_metadata(train=(3,) * 10),
        history=make_history(train__accuracy=[0.5, 1.0], val__accuracy=[0.2, val]),
        stages=ended,
    )
    (found,) = findings("too_few_samples", evidence)
    assert found.severity == severity


def test_a_class_that_train_alone_lacks_is_named_alone() -> None:
    """Val asks for a class that nobody can learn."""
    metadata = make_metadata(train=(50, 0), val=(10, 10))
    (found,) = findings("missing_classes", make_evidence(metadata=metadata))
    assert found.sentence == "train has no sample of class_1, which val asks for"


@pytest.mark.parametrize(
    ("train", "val", "sentence"),
    [
        ((6, 40), (90, 90), "1 class has fewer than 10 samples to train on"),
        ((40, 40), (6, 6), "an accuracy on 12 held-out samples is uncertain by up to 25 points"),
        ((6, 40), (6, 6), "to train on; an accuracy on 12 held-out samples"),
    ],
)
@pytest.mark.parametrize(
    ("dataset", "command"),
    [
        (FOLDS, "judge each sample once, by folds: expkit train -m dataset.fold="),
        ({"fold": 1, "num_folds": 5}, "judge all folds together"),
        ({}, "gather more samples, or train over several seeds: expkit train -m seed=0,1,2"),
    ],
)
def test_what_is_too_few_and_the_way_to_more(
    train: Any, val: Any, sentence: str, dataset: Any, command: str
) -> None:
    """Each way goes with each lack."""
    own = {**CONFIG["dataset"], **dataset}
    evidence = make_evidence(metadata=make_metadata(train, val), dataset=own)
    (found,) = findings("too_few_samples", evidence)
    assert sentence in found.sentence
    assert found.command.startswith(command)
