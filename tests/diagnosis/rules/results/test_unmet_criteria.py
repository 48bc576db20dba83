"""Criteria that were missed, and by how much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluated_runs import answers, evaluated, with_right
from rule_findings import found_by
from synthetic_evidence import make_metadata

from expkit.diagnosis.rules.results.unmet_criteria import Miss
from expkit.metrics.criteria import parse_criterion


class TestCriterionMissed:
    def test_log_4s_winner_missed_its_target(self) -> None:
        """1155 of 1226 is 94.21 %: 0.29 points and 4 images below 94.5 %."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(facts, with_right(1155, 1226), criteria={"accuracy": "> 0.945"})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        assert finding.severity == "warning"
        assert "94.21 % is not > 94.5 %: missed by 0.29 points, 4 of 1226 samples" in (
            finding.sentence
        )

    @pytest.mark.parametrize(
        ("right", "total", "condition", "text"),
        [
            # 94.50 % would be the bound, and 0.00 points no miss
            (
                9_449_999,
                10_000_000,
                ">= 0.945",
                "94.49999 % is not >= 94.5 %: missed by 0.00001 points",
            ),
            (190, 200, "> 0.95", "95.00 % is not > 95 %, but equal to it"),
        ],
    )
    def test_a_near_miss_reads_as_one(
        self, right: int, total: int, condition: str, text: str
    ) -> None:
        """Neither the figure nor the gap is rounded to what was not missed."""
        miss = Miss(parse_criterion("accuracy", condition), "val", right / total, total)
        assert str(miss).startswith(text)

    def test_log_loss_is_that_of_the_table(self) -> None:
        """One of two samples at probability 0: 36.04 / 2, as scikit-learn has it."""
        evidence = evaluated(make_metadata(), answers([0, 1], [0, 0]), criteria={"log_loss": "< 1"})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        (numbers,) = finding.evidence.values()
        assert numbers["reached"] == pytest.approx(18.0218, abs=1e-4)

    @pytest.mark.parametrize(
        ("criterion", "value"),
        [
            ("calibration_error", 0.5),
            ("auroc", 0.5),
            ("average_precision", (0.5 + 0.25 + 0.25) / 3),
        ],
    )
    def test_whatever_a_page_measures_is_judged(self, criterion: str, value: float) -> None:
        """Three classes, all answered 0 with certainty: half of the samples are of it."""
        val = answers([0, 0, 1, 2], [0, 0, 0, 0])
        val = replace(val, probabilities=np.eye(3)[[0] * 4], class_names=["a", "b", "c"])
        wanted = "< 0.1" if criterion == "calibration_error" else "> 0.9"
        evidence = evaluated(make_metadata(), val, criteria={criterion: wanted})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        (numbers,) = finding.evidence.values()
        assert numbers["reached"] == pytest.approx(value)

    def test_a_criterion_met_is_no_finding(self) -> None:
        """1159 of 1226 is 94.535 %."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(facts, with_right(1159, 1226), criteria={"accuracy": "> 0.945"})
        assert found_by("criterion_missed", evidence) is None

    def test_far_off_nobody_takes_it_for_met(self) -> None:
        """80 % of 1226 against 94.5 %: told, without alarm."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(facts, with_right(981, 1226), criteria={"accuracy": "> 0.945"})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        assert finding.severity == "info"

    def test_one_near_miss_makes_others_no_near_ones(self) -> None:
        """80 % is near to 80.1 % and far from 94.5 %: that all lies near is not said."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        criteria = {"accuracy": "> 0.945", "balanced_accuracy": "> 0.801"}
        finding = found_by(
            "criterion_missed", evaluated(facts, with_right(981, 1226), criteria=criteria)
        )
        assert finding is not None
        assert finding.severity == "info"
        assert len(finding.evidence) == 2

    @pytest.mark.parametrize(
        ("criterion", "value"),
        [
            ("recall[class_1]", 0.5),
            ("precision[class_1]", 2 / 3),
            ("f1[class_1]", 4 / 7),
            ("macro_recall", 2 / 3),
            ("balanced_accuracy", 2 / 3),
            ("macro_precision", (5 / 7 + 2 / 3) / 2),
            ("macro_f1", (10 / 13 + 4 / 7) / 2),
        ],
    )
    def test_other_measures_by_hand(self, criterion: str, value: float) -> None:
        """Of 6 and 4 samples 5 and 2 right: class 1 answered three times, class 0 seven times."""
        facts = make_metadata(train=(6, 4), val=(6, 4))
        val = answers([0] * 6 + [1] * 4, [0] * 5 + [1] + [1, 1, 0, 0])
        evidence = evaluated(facts, val, criteria={criterion: "> 0.99"})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        (numbers,) = finding.evidence.values()
        assert numbers["reached"] == pytest.approx(value)
