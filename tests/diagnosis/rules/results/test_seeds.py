"""Results that depend on the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evaluated_runs import evaluated, with_right
from synthetic_evidence import CONFIG, make_metadata

from expkit.diagnosis.across_runs import find_across
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding
from expkit.records.run.metadata import StageResult


class TestSeedDependent:
    def runs(self, rights: Sequence[int], **config: Any) -> dict[str, Evidence]:
        facts = make_metadata(train=(100, 100), val=(100, 100))
        return {
            f"seed_{seed}": evaluated(facts, with_right(right, 200), seed=seed, **config)
            for seed, right in enumerate(rights)
        }

    def across(self, runs: Mapping[str, Evidence]) -> list[Finding]:
        return find_across(runs, {"seed_dependent": load_rules()["seed_dependent"]})

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
