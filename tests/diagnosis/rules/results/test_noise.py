"""Differences that are within the noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evaluated_runs import evaluated, with_right
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_metadata

from expkit.diagnosis.across_runs import find_across
from expkit.diagnosis.examine import load_rules
from expkit.records.run.metadata import TrainedBy


class TestWithinNoiseOfBaseline:
    def test_a_reference_within_the_interval_is_named(self) -> None:
        """1155 of 1226 leaves 92.8 to 95.4 % open (Wilson), as the summary has it."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        reference = {"source": "another run", "figures": {"accuracy": 0.9405}}
        evidence = evaluated(facts, with_right(1155, 1226), reference=reference)
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
        facts = make_metadata(train=(100, 100), val=(20, 20))
        evidence = evaluated(facts, with_right(right, 40))
        evidence = replace(evidence, overrides=["dataset=digits", "seed=7"])
        finding = found_by("within_noise_of_baseline", evidence)
        assert finding is not None
        advice, command = finding.command.splitlines()
        assert f"measure on {told}," in advice
        assert command == "expkit train -m dataset=digits seed=0,1,2"

    def test_an_evaluation_trains_nothing_again(self) -> None:
        """Weights that another run made are measured on more samples, and not over seeds."""
        facts = make_metadata(train=(100, 100), val=(20, 20))
        facts = replace(facts, trained_by=TrainedBy("another", {}, "val"))
        finding = found_by("within_noise_of_baseline", evaluated(facts, with_right(22, 40)))
        assert finding is not None
        assert finding.command == "measure on about 390 samples"

    def test_a_criterion_met_by_luck_is_named(self) -> None:
        """1160 of 1226 is above 94.5 %, and might as well have been below."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(facts, with_right(1160, 1226), criteria={"accuracy": "> 0.945"})
        finding = found_by("within_noise_of_baseline", evidence)
        assert finding is not None
        assert "the criterion it meets, 94.5 %" in finding.sentence

    def test_far_from_every_baseline_there_is_nothing_to_say(self) -> None:
        """1155 of 1226 against 50 % and 85 %."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        evidence = evaluated(facts, with_right(1155, 1226), criteria={"accuracy": "> 0.85"})
        assert found_by("within_noise_of_baseline", evidence) is None

    def test_log_4s_two_winners_are_no_evidence_of_a_difference(self) -> None:
        """94.21 and 94.05 %: 2 of 1226 images. 40 are right in one alone, 38 in the other."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        # 71 and 73 wrong, 33 of them the same: 38 and 40 that only one has wrong
        runs = {
            "resnet": evaluated(facts, with_right(1155, 1226)),
            "convnext": evaluated(facts, with_right(1153, 1226, shift=38), batch_size=64),
        }
        (finding,) = find_across(runs, {"w": load_rules()["within_noise_of_baseline"]})
        assert "no evidence that resnet, 94.21 %" in finding.sentence
        assert "convnext, 94.05 %: 2 of 1226 samples" in finding.sentence
        assert finding.evidence["only best right"] == {"convnext": 40}
        assert finding.evidence["only other right"] == {"convnext": 38}
        assert finding.evidence["p, McNemar exact"]["convnext"] == pytest.approx(0.91, abs=0.01)

    def test_p_is_corrected_for_the_number_of_comparisons(self) -> None:
        """6 of 400, all in favour of the best, have p 2 / 2^6 = 0.031, and 12 have 0.0005.

        0.031 proves it of one comparison; of the two that are left of three it is doubled.
        """
        facts = make_metadata(train=(100, 100), val=(200, 200))
        runs = {
            "best": evaluated(facts, with_right(390, 400)),
            "near": evaluated(facts, with_right(384, 400), batch_size=2),
        }
        rule = {"w": load_rules()["within_noise_of_baseline"]}
        assert find_across(runs, rule) == []
        runs["far"] = evaluated(facts, with_right(378, 400), batch_size=3)
        runs["also_near"] = evaluated(facts, with_right(384, 400), batch_size=4)
        (finding,) = find_across(runs, rule)
        assert "near, 96.00 %: 6 of 400 samples, p = 0.062" in finding.sentence
        assert "far, " not in finding.sentence
        assert finding.sentence.endswith(
            "(McNemar's exact test, after Holm's correction for 3 comparisons)"
        )

    def test_seeds_of_one_recipe_are_no_rivals(self) -> None:
        """None is to be better than the others; nor where a split seed goes with the seed."""
        facts = make_metadata(train=(100, 100), val=(200, 200))
        runs = {
            f"seed_{seed}": evaluated(
                facts,
                with_right(390 - seed, 400),
                seed=seed,
                dataset={**CONFIG["dataset"], "split_seed": seed},
            )
            for seed in range(3)
        }
        assert find_across(runs, {"w": load_rules()["within_noise_of_baseline"]}) == []

    def test_a_difference_that_is_proven_is_not_doubted(self) -> None:
        """1155 against 1100 of the same 1226; and other samples are not compared at all."""
        facts = make_metadata(train=(100, 100), val=(613, 613))
        runs = {
            "good": evaluated(facts, with_right(1155, 1226)),
            "poor": evaluated(facts, with_right(1100, 1226), batch_size=64),
        }
        assert find_across(runs, {"w": load_rules()["within_noise_of_baseline"]}) == []
        other = replace(
            facts, splits={**facts.splits, "val": replace(facts.splits["val"], fingerprint="other")}
        )
        runs = {
            "here": evaluated(facts, with_right(1155, 1226)),
            "there": evaluated(other, with_right(1153, 1226, shift=38)),
        }
        assert find_across(runs, {"w": load_rules()["within_noise_of_baseline"]}) == []
