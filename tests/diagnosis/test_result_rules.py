"""Rules on what a run came to: collapse, baselines, criteria, noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from synthetic_evidence import CONFIG, make_evidence, make_history, make_metadata, make_signal

from expkit.diagnosis.across_runs import find_across
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rules.results.unmet_criteria import Miss
from expkit.metrics.criteria import parse_criterion
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.run.metadata import DatasetMetadata, StageResult

RULES = load_rules()
TRAINED = StageResult("train", True, "50 of 50 epochs; best epoch 50", "Training", best_epoch=1)
EVALUATED = StageResult("evaluate", True, "done", "Evaluation")
CHERRIES = make_metadata(train=(1978, 1698), val=(660, 566))
BALANCED_LOSS = {**CONFIG["loss"], "class_weights": "balanced"}


def found_by(rule: str, evidence: Evidence) -> Finding | None:
    """The one finding of a rule, asked alone."""
    findings = examine(evidence, {rule: RULES[rule]})
    assert len(findings) <= 1
    return findings[0] if findings else None


def answers(targets: Sequence[int], predictions: Sequence[int], split: str = "val") -> Any:
    num_classes = max(*targets, *predictions) + 1
    right = np.array(targets) == np.array(predictions)
    return ClassPredictions(
        split=split,
        samples=[f"sample_{i}" for i in range(len(targets))],
        targets=np.array(targets),
        predictions=np.array(predictions),
        ranks=np.where(right, 0, 1),
        probabilities=np.eye(num_classes, dtype=np.float32)[np.array(predictions)],
        class_names=[f"class_{i}" for i in range(num_classes)],
    )


def with_right(num_right: int, total: int, shift: int = 0) -> Any:
    """Two classes, half and half, so many right; wrong ones begin at `shift`."""
    targets = np.arange(total) % 2
    wrong = (np.arange(total - num_right) + shift) % total
    predictions = targets.copy()
    predictions[wrong] = 1 - predictions[wrong]
    return answers(targets.tolist(), predictions.tolist())


def evaluated(
    metadata: DatasetMetadata, val: Any, num_epochs: int = 10, last_loss: float = 1.0, **config: Any
) -> Evidence:
    losses = np.linspace(2, last_loss, num_epochs).tolist()
    half = [0.5] * num_epochs
    history = make_history(
        train__loss=losses, val__loss=losses, train__accuracy=half, val__accuracy=half
    )
    return make_evidence(
        metadata=metadata,
        history=history,
        stages=[TRAINED, EVALUATED],
        predictions={"val": val},
        **config,
    )


def under_way(
    metadata: DatasetMetadata,
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
    return make_evidence(
        metadata=metadata, history=history, signals=signals, stages=stages, **config
    )


class TestPredictsOneClass:
    def test_log_4s_collapse_is_called(self) -> None:
        """660 of 1226 right, all answered alike: 53.83 %, and the result means nothing."""
        val = answers([0] * 660 + [1] * 566, [0] * 1226)
        finding = found_by("predicts_one_class", evaluated(CHERRIES, val))
        assert finding is not None
        assert finding.severity == "fatal"
        assert finding.sentence == (
            "100.00 % of the predictions on val are 'class_0'; its accuracy, 53.83 %, is exactly "
            "that "
            "of always predicting the largest class"
        )
        assert finding.evidence["samples of the class"] == 660

    def test_it_stands_for_its_symptoms(self) -> None:
        """Below majority, within noise of it, criterion missed: one cause, one finding."""
        val = answers([0] * 660 + [1] * 566, [0] * 1226)
        evidence = evaluated(CHERRIES, val, criteria={"accuracy": "> 0.945"})
        assert [each.rule for each in examine(evidence, RULES)] == ["predicts_one_class"]

    def test_log_5s_net_that_only_predicts_complex_is_called_while_it_trains(self) -> None:
        """Four classes alike, nine epochs of one answer, a loss that stays at ln 4."""
        metadata = make_metadata(train=(140,) * 4, val=(40,) * 4)
        finding = found_by("predicts_one_class", under_way(metadata, [1.0] * 12, [1.386] * 12))
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
        metadata = make_metadata(train=(140,) * 4, val=(40,) * 4)
        assert found_by("predicts_one_class", under_way(metadata, shares, losses)) is None

    def test_epochs_of_a_warm_up_do_not_count(self) -> None:
        """At 1e-6 nothing moves: of 12 epochs alike, 5 were the warm-up's."""
        metadata = make_metadata(train=(140,) * 4, val=(40,) * 4)
        schedule = {**CONFIG["schedule"], "warmup_epochs": 5}
        evidence = under_way(metadata, [1.0] * 12, [1.386] * 12, schedule=schedule)
        assert found_by("predicts_one_class", evidence) is None

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
        metadata = make_metadata(train=(950, 50), val=(190, 10))
        val = answers([0] * 190 + [1] * 10, [0] * 192 + [1] * 8)
        assert found_by("predicts_one_class", evaluated(metadata, val)) is None

    def test_a_few_samples_prove_nothing(self) -> None:
        """Five alike."""
        metadata = make_metadata(train=(10, 10), val=(3, 2))
        assert (
            found_by("predicts_one_class", evaluated(metadata, answers([0, 0, 0, 1, 1], [0] * 5)))
            is None
        )


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
        metadata = make_metadata(train=(500, 500), val=(500, 500))
        evidence = evaluated(metadata, with_right(right, 1000))
        assert found_by("not_better_than_majority", evidence) is None

    def test_twenty_samples_leave_it_open(self) -> None:
        """11 of 20 may be 77 % in truth: too few to say."""
        metadata = make_metadata(train=(50, 50), val=(10, 10))
        assert found_by("not_better_than_majority", evaluated(metadata, with_right(11, 20))) is None

    def test_puzzle_pieces_without_a_held_out_split(self) -> None:
        """950 classes of one sample: one right is the majority's, ten are far above it."""
        metadata = make_metadata(train=(1,) * 950, val=None)
        for accuracy, is_found in ((1 / 950, True), (40 / 950, False)):
            history = make_history(train__loss=[6.857] * 9, train__accuracy=[accuracy] * 9)
            evidence = make_evidence(metadata=metadata, history=history, stages=[TRAINED])
            assert (found_by("not_better_than_majority", evidence) is not None) == is_found

    def test_numbers_are_held_against_their_mean(self) -> None:
        """Targets -1 and 1 spread by 1; an answer of 2 to all is worse, of 0.5 x target better."""
        targets = np.array([[-1.0], [1.0]] * 10, np.float32)
        metadata = replace(
            make_metadata(), task="regression", class_names=None, target_names=("x",)
        )
        for predictions, is_found in ((targets * 0 + 2, True), (targets / 2, False)):
            names = [str(i) for i in range(20)]
            values = ValuePredictions("val", names, targets, predictions, ("x",))
            finding = found_by("not_better_than_majority", evaluated(metadata, values))
            assert (finding is not None) == is_found


class TestCriterionMissed:
    def test_log_4s_winner_missed_its_target(self) -> None:
        """1155 of 1226 is 94.21 %: 0.29 points and 4 pictures below 94.5 %."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(metadata, with_right(1155, 1226), criteria={"accuracy": "> 0.945"})
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

    def test_a_criterion_met_is_no_finding(self) -> None:
        """1159 of 1226 is 94.535 %."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(metadata, with_right(1159, 1226), criteria={"accuracy": "> 0.945"})
        assert found_by("criterion_missed", evidence) is None

    def test_far_off_nobody_takes_it_for_met(self) -> None:
        """80 % of 1226 against 94.5 %: told, without alarm."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(metadata, with_right(981, 1226), criteria={"accuracy": "> 0.945"})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        assert finding.severity == "info"

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
        metadata = make_metadata(train=(6, 4), val=(6, 4))
        val = answers([0] * 6 + [1] * 4, [0] * 5 + [1] + [1, 1, 0, 0])
        evidence = evaluated(metadata, val, criteria={criterion: "> 0.99"})
        finding = found_by("criterion_missed", evidence)
        assert finding is not None
        (numbers,) = finding.evidence.values()
        assert numbers["reached"] == pytest.approx(value)


class TestWithinNoiseOfBaseline:
    def test_a_reference_within_the_interval_is_named(self) -> None:
        """1155 of 1226 leaves 92.8 to 95.4 % open (Wilson), as the summary has it."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        reference = {"source": "another run", "figures": {"accuracy": 0.9405}}
        evidence = evaluated(metadata, with_right(1155, 1226), reference=reference)
        finding = found_by("within_noise_of_baseline", evidence)
        assert finding is not None
        assert finding.severity == "info"
        assert "the reference, 94.05 %" in finding.sentence
        assert finding.evidence["95 % interval"] == pytest.approx([0.92758, 0.95383], abs=1e-5)
        assert "1226 samples leave 92.8 to 95.4 % open" in finding.sentence

    @pytest.mark.parametrize(("right", "told"), [(22, "about 390 samples"), (20, "more samples")])
    def test_seeds_are_asked_for_by_the_whole_command(self, right: int, told: str) -> None:
        """Its own words: a bare `-m seed=0,1,2` trained the default dataset.

        An accuracy equal to the largest class's is told apart by no number of samples.
        """
        metadata = make_metadata(train=(100, 100), val=(20, 20))
        evidence = evaluated(metadata, with_right(right, 40))
        evidence = replace(evidence, overrides=["dataset=digits", "seed=7"])
        finding = found_by("within_noise_of_baseline", evidence)
        assert finding is not None
        advice, command = finding.command.splitlines()
        assert f"measure on {told}," in advice
        assert command == "expkit train -m dataset=digits seed=0,1,2"

    def test_a_criterion_met_by_luck_is_named(self) -> None:
        """1160 of 1226 is above 94.5 %, and might as well have been below."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(metadata, with_right(1160, 1226), criteria={"accuracy": "> 0.945"})
        finding = found_by("within_noise_of_baseline", evidence)
        assert finding is not None
        assert "the criterion it meets, 94.5 %" in finding.sentence

    def test_far_from_every_baseline_there_is_nothing_to_say(self) -> None:
        """1155 of 1226 against 50 % and 85 %."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(metadata, with_right(1155, 1226), criteria={"accuracy": "> 0.85"})
        assert found_by("within_noise_of_baseline", evidence) is None

    def test_log_4s_two_winners_are_no_evidence_of_a_difference(self) -> None:
        """94.21 and 94.05 %: 2 of 1226 pictures. 40 are right in one alone, 38 in the other."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        # 71 and 73 wrong, 33 of them the same: 38 and 40 that only one has wrong
        runs = {
            "resnet": evaluated(metadata, with_right(1155, 1226)),
            "convnext": evaluated(metadata, with_right(1153, 1226, shift=38), batch_size=64),
        }
        (finding,) = find_across(runs, {"w": RULES["within_noise_of_baseline"]})
        assert "no evidence that resnet, 94.21 %" in finding.sentence
        assert "convnext, 94.05 %: 2 of 1226 samples" in finding.sentence
        assert finding.evidence["only best right"] == {"convnext": 40}
        assert finding.evidence["only other right"] == {"convnext": 38}
        assert finding.evidence["p, McNemar exact"]["convnext"] == pytest.approx(0.91, abs=0.01)

    def test_p_is_corrected_for_the_number_of_comparisons(self) -> None:
        """6 of 400, all in favour of the best, have p 2 / 2^6 = 0.031, and 12 have 0.0005.

        0.031 proves it of one comparison; of the two that are left of three it is doubled.
        """
        metadata = make_metadata(train=(100, 100), val=(200, 200))
        runs = {
            "best": evaluated(metadata, with_right(390, 400)),
            "near": evaluated(metadata, with_right(384, 400), batch_size=2),
        }
        rule = {"w": RULES["within_noise_of_baseline"]}
        assert find_across(runs, rule) == []
        runs["far"] = evaluated(metadata, with_right(378, 400), batch_size=3)
        runs["also_near"] = evaluated(metadata, with_right(384, 400), batch_size=4)
        (finding,) = find_across(runs, rule)
        assert "near, 96.00 %: 6 of 400 samples, p = 0.062" in finding.sentence
        assert "far, " not in finding.sentence
        assert finding.sentence.endswith(
            "(McNemar's exact test, after Holm's correction for 3 comparisons)"
        )

    def test_seeds_of_one_recipe_are_no_rivals(self) -> None:
        """None is to be better than the others; nor where a split seed goes with the seed."""
        metadata = make_metadata(train=(100, 100), val=(200, 200))
        runs = {
            f"seed_{seed}": evaluated(
                metadata,
                with_right(390 - seed, 400),
                seed=seed,
                dataset={**CONFIG["dataset"], "split_seed": seed},
            )
            for seed in range(3)
        }
        assert find_across(runs, {"w": RULES["within_noise_of_baseline"]}) == []

    def test_a_difference_that_is_proven_is_not_doubted(self) -> None:
        """1155 against 1100 of the same 1226; and other samples are not compared at all."""
        metadata = make_metadata(train=(100, 100), val=(613, 613))
        runs = {
            "good": evaluated(metadata, with_right(1155, 1226)),
            "poor": evaluated(metadata, with_right(1100, 1226), batch_size=64),
        }
        assert find_across(runs, {"w": RULES["within_noise_of_baseline"]}) == []
        other = replace(
            metadata,
            splits={**metadata.splits, "val": replace(metadata.splits["val"], fingerprint="other")},
        )
        runs = {
            "here": evaluated(metadata, with_right(1155, 1226)),
            "there": evaluated(other, with_right(1153, 1226, shift=38)),
        }
        assert find_across(runs, {"w": RULES["within_noise_of_baseline"]}) == []


class TestSeedDependent:
    def runs(self, rights: Sequence[int], **config: Any) -> dict[str, Evidence]:
        metadata = make_metadata(train=(100, 100), val=(100, 100))
        return {
            f"seed_{seed}": evaluated(metadata, with_right(right, 200), seed=seed, **config)
            for seed, right in enumerate(rights)
        }

    def across(self, runs: Mapping[str, Evidence]) -> list[Finding]:
        return find_across(runs, {"seed_dependent": RULES["seed_dependent"]})

    def test_one_seed_that_fails_is_named(self) -> None:
        """90, 91 and 55 % of 200: chi-squared over the runs is far beyond chance."""
        (finding,) = self.across(self.runs([180, 182, 110]))
        assert finding.severity == "warning"
        assert "55.00 % to 91.00 % on val over 3 seeds" in finding.sentence
        assert finding.evidence["seeds"] == {"seed_0": 0, "seed_1": 1, "seed_2": 2}

    def test_the_spread_of_sampling_is_none(self) -> None:
        """88 to 92 % of 200 samples: a standard error is 2 points."""
        assert self.across(self.runs([176, 180, 184])) == []

    def test_runs_that_differ_in_more_are_not_held_against_each_other(self) -> None:
        """Another rate in one of them."""
        runs = self.runs([180, 182])
        optimizer = {**CONFIG["optimizer"], "lr": 0.1}
        runs["other"] = list(self.runs([110, 110, 110], optimizer=optimizer).values())[2]
        assert self.across(runs) == []

    def test_a_split_seed_that_follows_the_seed_is_part_of_it(self) -> None:
        """As in tables and comparisons: three runs of one recipe, whatever goes with the seed."""
        runs = {
            name: replace(
                run,
                config={**run.config, "dataset": {**CONFIG["dataset"], "split_seed": seed}},
                metadata=replace(
                    run.metadata,
                    splits={
                        split: replace(each, fingerprint=f"{split}{seed}")
                        for split, each in run.metadata.splits.items()
                    },
                ),
            )
            for seed, (name, run) in enumerate(self.runs([180, 182, 110]).items())
        }
        (finding,) = self.across(runs)
        assert "over 3 seeds" in finding.sentence

    def test_folds_are_no_seeds(self) -> None:
        """One seed and three folds: what differs are the samples."""
        runs = {
            name: replace(
                run,
                config={**run.config, "seed": 0}
                | {"dataset": {**CONFIG["dataset"], "fold": fold, "num_folds": 3}},
            )
            for fold, (name, run) in enumerate(self.runs([180, 182, 110]).items())
        }
        assert self.across(runs) == []

    def test_a_gate_that_one_seed_fails_is_named(self) -> None:
        """The other seeds pass it."""
        runs = self.runs([180, 182, 181])
        failed = StageResult("overfit_10", False, "10 samples not learnt", "OverfitGate")
        runs["seed_2"] = replace(runs["seed_2"], stages=[failed], predictions={}, history=[])
        (finding,) = self.across(runs)
        assert (
            "1 of 3 runs that differ in their seed alone failed, at overfit_10" in finding.sentence
        )
