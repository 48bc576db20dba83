"""A model that predicts one class, whatever it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from evaluated_runs import TRAINED, answers, evaluated
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_evidence, make_history, make_metadata, make_signal

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.records.run.metadata import DatasetMetadata

CHERRIES = make_metadata(train=(1978, 1698), val=(660, 566))


def under_way(
    facts: DatasetMetadata,
    shares: Sequence[float],
    losses: Sequence[float],
    split: str = "val",
    *,
    is_over: bool = False,
    **config: Any,
) -> Evidence:
    """A run whose answers went to class 0 by these shares, an epoch each."""
    signals = [
        make_signal(
            "epoch", epoch=i + 1, predicted={split: {"largest_fraction": s, "largest_class": 0}}
        )
        for i, s in enumerate(shares)
    ]
    history = make_history(
        train__loss=losses, val__accuracy=[0.1 + i / 1e4 for i, _ in enumerate(losses)]
    )
    stages = [TRAINED] if is_over else []
    return make_evidence(metadata=facts, history=history, signals=signals, stages=stages, **config)


class TestPredictsOneClass:
    def test_log_4s_collapse_is_called(self) -> None:
        """660 of 1226 right, all answered alike: 53.83 %, and the result means nothing."""
        val = answers([0] * 660 + [1] * 566, [0] * 1226)
        finding = found_by("predicts_one_class", evaluated(CHERRIES, val))
        assert finding is not None
        assert finding.severity == "fatal"
        assert finding.sentence == (
            "100.00 % of the predictions on val are 'class_0'; its accuracy, 53.83 %, is exactly "
            "that of always predicting the largest class"
        )
        assert finding.evidence["samples of the class"] == 660

    def test_it_stands_for_its_symptoms(self) -> None:
        """Below majority, within noise of it, criterion missed: one cause, one finding."""
        val = answers([0] * 660 + [1] * 566, [0] * 1226)
        evidence = evaluated(CHERRIES, val, criteria={"accuracy": "> 0.945"})
        assert [each.rule for each in examine(evidence, load_rules())] == ["predicts_one_class"]

    def test_log_5s_net_that_only_predicts_complex_is_called_while_it_trains(self) -> None:
        """Four classes alike, nine epochs of one answer, a loss that stays at ln 4."""
        facts = make_metadata(train=(140,) * 4, val=(40,) * 4)
        finding = found_by("predicts_one_class", under_way(facts, [1.0] * 12, [1.386] * 12))
        assert finding is not None
        assert (finding.severity, finding.epoch) == ("warning", 12)
        assert finding.sentence.endswith("always predicting the largest class, 25.00 %")

    @pytest.mark.parametrize(
        ("shares", "losses"),
        [
            ([1.0] * 4, [1.386] * 4),  # the first epochs of a slow start
            ([1.0] * 12, [1.386 - 0.02 * i for i in range(12)]),  # on its way
            ([1.0] * 11 + [0.4], [1.386] * 12),  # over
            ([0.6] * 12, [1.386] * 12),  # leaning
        ],
    )
    def test_a_slow_start_is_left_in_peace(
        self, shares: Sequence[float], losses: Sequence[float]
    ) -> None:
        """Before enough epochs alike, or while the loss falls."""
        facts = make_metadata(train=(140,) * 4, val=(40,) * 4)
        assert found_by("predicts_one_class", under_way(facts, shares, losses)) is None

    @pytest.mark.parametrize(
        ("val_loss", "accuracy", "share", "is_told"),
        [
            (14.5, 0.29, 0.77, True),
            (1.4, 0.29, 0.77, False),  # ln 4: a slow start
            (14.5, 0.29, 0.6, False),  # it leans
            (14.5, 0.45, 0.77, False),  # 72 of 160 are more than chance
        ],
    )
    def test_most_predictions_alike_at_a_high_loss_are_told_after_an_epoch(
        self, val_loss: float, accuracy: float, share: float, is_told: bool
    ) -> None:
        """Log 5's net on four classes: 77 % 'class_2' at ten times the loss of knowing nothing."""
        metadata = make_metadata(train=(140,) * 4, val=(40,) * 4)
        of_val = {"largest_fraction": share, "largest_class": 2}
        of_train = {"largest_fraction": 0.3, "largest_class": 1}
        metrics = {"val/loss": val_loss, "val/accuracy": accuracy}
        signal = make_signal("epoch", epoch=1, predicted={"val": of_val, "train": of_train})
        history = make_history(train__loss=[8.0], val__accuracy=[accuracy])
        evidence = make_evidence(
            metadata=metadata, history=history, signals=[{**signal, **metrics}]
        )
        finding = found_by("predicts_one_class", evidence)
        assert (finding is not None) == is_told
        if finding is not None:
            assert (finding.severity, finding.epoch) == ("warning", 1)
            assert finding.sentence.startswith("77.00 % of the predictions on val are 'class_2';")
            assert "on val alone" in finding.cause

    def test_most_predictions_of_a_finished_run_alike(self) -> None:
        """Four of five are one class and 25 % right: a warning, after all the run's own epochs."""
        metadata = make_metadata(train=(140,) * 4, val=(20,) * 4)
        targets = [i % 4 for i in range(80)]
        val = answers(targets, [1] * 64 + [0] * 16)
        finding = found_by("predicts_one_class", evaluated(metadata, val, num_epochs=4))
        assert finding is not None
        assert (finding.severity, finding.epoch) == ("warning", 4)
        assert finding.sentence.endswith("exactly that of always predicting the largest class")
        right = answers(targets, [1] * 56 + targets[56:])
        assert found_by("predicts_one_class", evaluated(metadata, right, num_epochs=4)) is None

    def test_epochs_of_a_warm_up_do_not_count(self) -> None:
        """At 1e-6 nothing moves: of 12 epochs alike, 5 were the warm-up's."""
        facts = make_metadata(train=(140,) * 4, val=(40,) * 4)
        schedule = {**CONFIG["schedule"], "warmup_epochs": 5}
        evidence = under_way(facts, [1.0] * 12, [1.386] * 12, schedule=schedule)
        assert found_by("predicts_one_class", evidence) is None

    def test_a_collapse_on_the_held_out_split_alone_has_another_cause(self) -> None:
        """Train's predictions are of both classes: batch norm, or the split, is to blame."""
        for of_train, cause in ((0.6, "predicts so on val alone"), (0.97, "hardly depend")):
            evidence = under_way(CHERRIES, [1.0] * 12, [0.69] * 12)
            for signal in evidence.signals:
                signal["predicted"]["train"] = {"largest_fraction": of_train, "largest_class": 0}
            finding = found_by("predicts_one_class", evidence)
            assert finding is not None
            assert cause in finding.cause
            assert " for 12 epochs; " in finding.sentence

    def test_without_an_accuracy_the_samples_of_the_class_are_said(self) -> None:
        """Nothing is recorded of train but its loss: 140 of 560 samples."""
        facts = make_metadata(train=(140,) * 4, val=(40,) * 4)
        finding = found_by(
            "predicts_one_class", under_way(facts, [1.0] * 12, [1.386] * 12, "train")
        )
        assert finding is not None
        assert finding.sentence == (
            "100.00 % of the predictions on train are 'class_0' for 12 epochs; "
            "25.00 % of its samples are"
        )

    def test_a_hair_above_the_largest_class_is_said_so(self) -> None:
        """99 of 100 alike, one of them right where the class is another's: 51 against 50."""
        val = answers([0] * 50 + [1] * 50, [0] * 99 + [1])
        finding = found_by("predicts_one_class", evaluated(CHERRIES, val))
        assert finding is not None
        assert finding.sentence.endswith(
            "its accuracy, 51.00 %, is that of always predicting the largest class, 50.00 %, or "
            "hardly more"
        )

    def test_old_runs_are_told_by_their_accuracies(self) -> None:
        """660 / 1226 exactly, epoch after epoch; one sample off, and it is no collapse."""
        for right, is_found in ((660, True), (661, False)):
            history = make_history(train__loss=[0.69] * 6, val__accuracy=[right / 1226] * 6)
            evidence = make_evidence(metadata=CHERRIES, history=history, stages=[TRAINED])
            finding = found_by("predicts_one_class", evidence)
            assert (finding is not None) == is_found
            assert finding is None or finding.severity == "fatal"

    def test_a_good_net_on_one_sided_data_is_none(self) -> None:
        """95 % of the samples are one class, and so are 96 % of the answers."""
        facts = make_metadata(train=(950, 50), val=(190, 10))
        val = answers([0] * 190 + [1] * 10, [0] * 192 + [1] * 8)
        assert found_by("predicts_one_class", evaluated(facts, val)) is None

    def test_a_few_samples_prove_nothing(self) -> None:
        """Five alike."""
        facts = make_metadata(train=(10, 10), val=(3, 2))
        assert (
            found_by("predicts_one_class", evaluated(facts, answers([0, 0, 0, 1, 1], [0] * 5)))
            is None
        )
