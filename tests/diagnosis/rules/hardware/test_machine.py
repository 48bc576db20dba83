"""Rules on the machine: its device, memory, time and repeatability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from synthetic_evidence import CONFIG, make_evidence, make_history, make_signal

from expkit.diagnosis.across_runs import find_across
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.finding import Finding

RULES = load_rules()
DETERMINISTIC = {**CONFIG["device"], "deterministic": True}


def found_by(rule: str, evidence: Evidence) -> Finding | None:
    findings = examine(evidence, {rule: RULES[rule]})
    assert len(findings) <= 1
    return findings[0] if findings else None


def on_machine(size: int = 11_000_000, **content: Any) -> Evidence:
    parameters = [{"name": "weight", "size": size}]
    signals = [
        make_signal("machine", "preflight", **{"asked": "auto", "used": "cpu", **content}),
        make_signal("model", "preflight", parameters=parameters),
    ]
    return make_evidence(signals=signals)


class TestDeviceNotAsAsked:
    def test_auto_on_the_processor_beside_a_gpu_that_torch_cannot_use(self) -> None:
        """Log 4 trained so for 30 epochs, and nobody noticed."""
        evidence = on_machine(available=["cpu"], unusable_accelerators=["NVIDIA GPU: nvidia-smi"])
        finding = found_by("device_not_as_asked", evidence)
        assert finding is not None
        assert finding.severity == "warning"
        assert "NVIDIA GPU: nvidia-smi" in finding.sentence

    @pytest.mark.parametrize(("size", "severity"), [(11_000_000, "warning"), (50_000, "info")])
    def test_the_processor_asked_for_beside_a_gpu(self, size: int, severity: str) -> None:
        """A small net needs no GPU."""
        evidence = on_machine(size, asked="cpu", available=["cuda", "cpu"])
        finding = found_by("device_not_as_asked", evidence)
        assert finding is not None
        assert finding.severity == severity
        assert list(map(list, finding.remedies)) == [["device.name=cuda"]]

    @pytest.mark.parametrize(
        "content",
        [
            {"available": ["cpu"], "unusable_accelerators": []},
            {"used": "cuda", "available": ["cuda", "cpu"]},
            # whoever names the processor where nothing else can be used knows
            {"asked": "cpu", "available": ["cpu"], "unusable_accelerators": ["AMD GPU: /dev/kfd"]},
        ],
    )
    def test_the_best_that_is_there_is_no_finding(self, content: dict[str, Any]) -> None:
        """Nor is a run that recorded nothing of its machine."""
        assert found_by("device_not_as_asked", on_machine(**content)) is None
        assert found_by("device_not_as_asked", make_evidence()) is None


def timed(seconds: Sequence[tuple[float, float]], **config: Any) -> Evidence:
    signals = [
        make_signal("epoch", epoch=i + 1, seconds={"data": data, "steps": steps, "held_out": 1.0})
        for i, (data, steps) in enumerate(seconds)
    ]
    return make_evidence(signals=signals, **config)


class TestDataBound:
    def test_waiting_longer_than_working_is_named(self) -> None:
        """3 s of 4 s, over 50 epochs 150 s: most of the time of the run."""
        finding = found_by("data_bound", timed([(9, 1), (3, 1), (3, 1)]))
        assert finding is not None
        assert finding.severity == "warning"
        assert (
            finding.sentence == "75 % of training goes to waiting for batches: 2 min of 50 epochs"
        )

    def test_augmentation_is_the_likely_cause(self) -> None:
        """Where there are transforms."""
        augment = {**CONFIG["augment"], "transforms": {"jitter": {}}}
        finding = found_by("data_bound", timed([(9, 1), (30, 10)], augment=augment))
        assert finding is not None
        assert finding.severity == "warning"
        assert "augmenting" in finding.cause

    @pytest.mark.parametrize(
        "seconds",
        [[(90, 1), (1, 9)], [(0.1, 0.05)] * 9, [(9, 1)], [(9, 1), (3, 1)], [(9, 0), (0.5, 0)], []],
    )
    def test_a_slow_first_epoch_or_little_time_is_none(
        self, seconds: Sequence[tuple[float, float]]
    ) -> None:
        """The first epoch reads; less than five seconds trouble nobody."""
        assert found_by("data_bound", timed(seconds)) is None

    def test_a_short_trial_that_does_nothing_but_wait_is_named(self) -> None:
        """1.3 s of all but all: a long run would be the same."""
        assert found_by("data_bound", timed([(9, 1), (0.6, 0.01), (0.7, 0.01)])) is not None


class TestDenormals:
    def probe_epoch(self, share: float, *, flush: bool, used: str = "cpu") -> Evidence:
        signals = [
            make_signal("machine", "preflight", used=used, flush_denormals=flush),
            make_signal("epoch", epoch=1, parameters=[], denormal_fraction=share),
        ]
        history = make_history(train__loss=[1.0])
        return make_evidence(history=history, signals=signals)

    def test_they_are_named_with_the_switch(self) -> None:
        """2 % of the weights, on a processor that computes them."""
        finding = found_by("denormals", self.probe_epoch(0.02, flush=False))
        assert finding is not None
        assert list(map(list, finding.remedies)) == [["device.flush_denormals=true"]]

    @pytest.mark.parametrize(
        ("share", "flush", "used"),
        [(0.02, True, "cpu"), (0.0001, False, "cpu"), (0.02, False, "cuda")],
    )
    def test_flushed_few_or_elsewhere_they_cost_nothing(
        self, share: float, flush: bool, used: str
    ) -> None:
        """GPUs compute them at full speed."""
        assert found_by("denormals", self.probe_epoch(share, flush=flush, used=used)) is None


class TestMemoryNearLimit:
    @pytest.mark.parametrize(("used", "is_found"), [(15.2e9, True), (12e9, False)])
    def test_nine_tenths_full(self, used: float, is_found: bool) -> None:
        """15.2 of 16 GB are 95 %; half the batch, collected twice, is the same step."""
        memory = {"used": used, "total": 16e9}
        signals = [make_signal("epoch", epoch=1, memory_bytes=memory)]
        finding = found_by("memory_near_limit", make_evidence(signals=signals))
        assert (finding is not None) == is_found
        if finding is not None:
            assert "95 % full: 15.2 of 16.0 GB" in finding.sentence
            assert list(map(list, finding.remedies)) == [
                ["procedure.train.batch_size=16", "procedure.train.batches_per_step=2"]
            ]


class TestNotDeterministic:
    def test_a_step_that_does_not_repeat_is_named_where_it_was_asked_to(self) -> None:
        """And only there."""
        signals = [make_signal("machine", "preflight", repeats=False)]
        assert found_by("not_deterministic", make_evidence(signals=signals)) is None
        evidence = make_evidence(signals=signals, device=DETERMINISTIC)
        assert found_by("not_deterministic", evidence) is not None
        signals = [make_signal("machine", "preflight", repeats=True)]
        evidence = make_evidence(signals=signals, device=DETERMINISTIC)
        assert found_by("not_deterministic", evidence) is None

    def runs(self, losses: Sequence[float], device: Any, **second: Any) -> dict[str, Evidence]:
        same = make_history(train__loss=[1.0, 0.5, 0.25])
        ours = make_evidence(history=same, device=device)
        theirs = make_evidence(history=make_history(train__loss=losses), device=device)
        return {"one": ours, "two": replace(theirs, **second)}

    def test_two_runs_of_one_config_that_part_are_named(self) -> None:
        """The first epoch in which they differ, by its last bit."""
        rules = {"not_deterministic": RULES["not_deterministic"]}
        (finding,) = find_across(self.runs([1.0, 0.5000001, 0.3], DETERMINISTIC), rules)
        assert "one and two part at epoch 2 of train: train/loss 0.5 and 0.5000001" in (
            finding.sentence
        )
        assert find_across(self.runs([1.0, 0.5, 0.25], DETERMINISTIC), rules) == []
        assert find_across(self.runs([1.0, 0.6, 0.3], CONFIG["device"]), rules) == []
        elsewhere = self.runs([1.0, 0.6, 0.3], DETERMINISTIC, environment={"host": "another"})
        assert find_across(elsewhere, rules) == []


class TestDurationOnTheProcessor:
    @pytest.mark.parametrize(
        ("content", "found"),
        [
            ({"asked": "cpu", "available": ["cuda", "cpu"]}, "and cuda is there"),
            ({"unusable_accelerators": ["AMD GPU: /dev/kfd"]}, "cannot use (AMD GPU: /dev/kfd)"),
        ],
    )
    def test_its_price_is_told_once_epochs_are_timed(
        self, content: dict[str, Any], found: str
    ) -> None:
        """Of 50 epochs at 12 s each: 10 minutes."""
        evidence = on_machine(**content)
        timed = [{**each, "seconds": 12.0} for each in make_history(train__loss=[2.0, 1.0])]
        finding = found_by("device_not_as_asked", replace(evidence, history=timed))
        assert finding is not None
        assert finding.sentence.endswith(f"{found}: all of train takes 10 min")
