"""A model that is no better than the largest class or than what its weights reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evaluated_runs import TRAINED, answers, evaluated, with_right
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_evidence, make_history, make_metadata

from expkit.metrics.predictions import ValuePredictions

BALANCED_LOSS = {**CONFIG["loss"], "class_weights": "balanced"}


LOG_3 = make_metadata(train=(88 * 8, 439 * 8, 169 * 8, 304 * 8), val=(88, 439, 169, 304))


def log_3_answers(right: Sequence[int]) -> Any:
    """So many right of each of log 3's classes, the others answered one class further."""
    targets, predictions = [], []
    for index, (count, num_right) in enumerate(zip((88, 439, 169, 304), right, strict=True)):
        targets += [index] * count
        predictions += [index] * num_right + [(index + 1) % 4] * (count - num_right)
    return answers(targets, predictions)


class TestNotBetterThanMajority:
    def test_log_3s_baseline_is_below_the_largest_class(self) -> None:
        """36 % against 43.9 %, with both numbers."""
        val = log_3_answers((22, 180, 53, 105))
        finding = found_by("not_better_than_majority", evaluated(LOG_3, val, last_loss=2.0))
        assert finding is not None
        assert finding.severity == "warning"
        assert finding.sentence == ("36.00 % on val is below always predicting 'class_1', 43.90 %")

    def test_without_an_evaluation_the_best_epoch_counts(self) -> None:
        """39.2 % at the lowest loss; the last epoch's 50 % is not what was kept."""
        history = make_history(
            train__loss=[1.3] * 6,
            val__loss=[1.4, 1.3, 1.2, 1.3, 1.4, 1.5],
            val__accuracy=[0.3, 0.35, 0.392, 0.4, 0.45, 0.5],
        )
        evidence = make_evidence(metadata=LOG_3, history=history, stages=[TRAINED])
        finding = found_by("not_better_than_majority", evidence)
        assert finding is not None
        assert "39.20 %" in finding.sentence
        assert finding.epoch == 3

    def test_a_net_told_to_treat_classes_alike_is_judged_by_that(self) -> None:
        """42 % of all, and 51 % of each class on average: with class weights that is meant."""
        val = log_3_answers((70, 110, 100, 140))
        evidence = evaluated(LOG_3, val, loss=BALANCED_LOSS)
        finding = found_by("not_better_than_majority", evidence)
        assert finding is not None
        assert finding.severity == "info"
        recalls = [70 / 88, 110 / 439, 100 / 169, 140 / 304]
        assert finding.evidence["balanced accuracy"] == pytest.approx(np.mean(recalls))

    def test_weights_do_not_excuse_a_net_that_knows_nothing(self) -> None:
        """A quarter of each class right."""
        val = log_3_answers((22, 110, 42, 76))
        evidence = evaluated(LOG_3, val, last_loss=2.0, loss=BALANCED_LOSS)
        finding = found_by("not_better_than_majority", evidence)
        assert finding is not None
        assert finding.severity == "warning"

    def test_a_run_that_was_cut_short_is_no_fault(self) -> None:
        """Both losses fell to the last epoch: it needs more of them, and that is said."""
        finding = found_by(
            "not_better_than_majority", evaluated(LOG_3, log_3_answers((22, 180, 53, 105)))
        )
        assert finding is not None
        assert finding.severity == "info"
        assert "too few epochs" in finding.cause

    @pytest.mark.parametrize("right", [560, 700, 1000])
    def test_a_net_above_it_is_not_called(self, right: int) -> None:
        """From 56 % of 1000 on, two classes alike."""
        facts = make_metadata(train=(500, 500), val=(500, 500))
        evidence = evaluated(facts, with_right(right, 1000))
        assert found_by("not_better_than_majority", evidence) is None

    def test_twenty_samples_leave_it_open(self) -> None:
        """11 of 20 may be 77 % in truth: too few to say."""
        facts = make_metadata(train=(50, 50), val=(10, 10))
        assert found_by("not_better_than_majority", evaluated(facts, with_right(11, 20))) is None

    def test_puzzle_pieces_without_a_held_out_split(self) -> None:
        """950 classes of one sample: one right is the majority's, ten are far above it."""
        facts = make_metadata(train=(1,) * 950, val=None)
        for accuracy, is_found in ((1 / 950, True), (40 / 950, False)):
            history = make_history(train__loss=[6.857] * 9, train__accuracy=[accuracy] * 9)
            evidence = make_evidence(metadata=facts, history=history, stages=[TRAINED])
            assert (found_by("not_better_than_majority", evidence) is not None) == is_found

    def test_numbers_are_held_against_their_mean(self) -> None:
        """Targets -1 and 1 spread by 1; an answer of 2 to all is worse, of 0.5 x target better."""
        targets = np.array([[-1.0], [1.0]] * 10, np.float32)
        facts = replace(make_metadata(), task="regression", class_names=None, target_names=("x",))
        for predictions, is_found in ((targets * 0 + 2, True), (targets / 2, False)):
            names = [str(i) for i in range(20)]
            values = ValuePredictions("val", names, targets, predictions, ("x",))
            finding = found_by("not_better_than_majority", evaluated(facts, values))
            assert (finding is not None) == is_found
