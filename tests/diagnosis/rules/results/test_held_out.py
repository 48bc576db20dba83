"""Figures on held-out data that are better than those on the training data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from evaluated_runs import TRAINED
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_evidence, make_history, make_metadata

from expkit.diagnosis.evidence import Evidence
from expkit.metrics.predictions import ClassPredictions


def recorded(split: str, right: int, total: int) -> ClassPredictions:
    ranks = np.array([0] * right + [1] * (total - right))
    zeros = np.zeros(total, np.int64)
    names = [f"{split}_{i}" for i in range(total)]
    return ClassPredictions(split, names, zeros, ranks, ranks, np.zeros((total, 2)), ("a", "b"))


class TestHeldOutBetterThanTrain:
    facts = make_metadata(train=(500, 500), val=(200, 200))

    def evidence(self, train: float, val: float, **config: Any) -> Evidence:
        history = make_history(train__accuracy=[train] * 8, val__accuracy=[val] * 8)
        return make_evidence(metadata=self.facts, history=history, stages=[TRAINED], **config)

    def test_augmentation_explains_it(self) -> None:
        """80 against 90 %, 4.5 standard errors: measured on images made harder."""
        augment = {**CONFIG["augment"], "transforms": {"flip": {}}}
        finding = found_by("held_out_better_than_train", self.evidence(0.8, 0.9, augment=augment))
        assert finding is not None
        assert finding.severity == "info"
        assert "augmentation" in finding.cause
        share = (0.8 * 1000 + 0.9 * 400) / 1400
        error = math.sqrt(share * (1 - share) * (1 / 1000 + 1 / 400))
        assert finding.evidence["standard errors apart"] == pytest.approx(0.1 / error)

    def test_standing_still_there_is_no_such_excuse(self) -> None:
        """Recorded answers of a net that does not train: easier samples, or leaked ones."""
        augment = {**CONFIG["augment"], "transforms": {"flip": {}}}
        answers = {"train": recorded("train", 800, 1000), "val": recorded("val", 360, 400)}
        evidence = make_evidence(
            metadata=self.facts, stages=[TRAINED], predictions=answers, augment=augment
        )
        finding = found_by("held_out_better_than_train", evidence)
        assert finding is not None
        assert "easier" in finding.cause

    def test_a_difference_of_chance_or_the_other_way_is_none(self) -> None:
        """2 points of 400; and train better than val, as it should be."""
        assert found_by("held_out_better_than_train", self.evidence(0.88, 0.9)) is None
        assert found_by("held_out_better_than_train", self.evidence(0.95, 0.9)) is None

    def test_the_lag_of_a_training_figure_is_allowed_for(self) -> None:
        """It is the mean over an epoch: while both rise by 6 points an epoch, val seems ahead."""
        val = [0.3 + 0.06 * e for e in range(8)]
        history = make_history(train__accuracy=[v - 0.03 for v in val], val__accuracy=val)
        evidence = make_evidence(metadata=self.facts, history=history, stages=[TRAINED])
        assert found_by("held_out_better_than_train", evidence) is None
