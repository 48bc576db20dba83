"""The rules on optimisation, asked of real runs on digits: some seconds of training each."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_expkit import Expkit, only_run

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.records.run.reader import Run

pytestmark = pytest.mark.slow

OPTIMISATION = (
    "learning_rate_too_high",
    "learning_rate_too_low",
    "learning_rate_oscillates",
    "schedule_ends_early",
    "warmup_missing",
    "gradients_accumulate",
    "weight_decay_crushes",
    "clipping_always_active",
    "loss_at_chance",
    "diverged",
    "half_precision_range",
    "momentum_out_of_reason",
    "batch_too_small_for_lr",
    "regularization_too_strong",
)
DIGITS = (
    "procedure=full",
    "~procedure.evaluate",
    "dataset=digits",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
)

CASES = {
    "optimizer.lr=1": "learning_rate_too_high",
    "optimizer=sgd optimizer.lr=10": "learning_rate_too_high",
    "optimizer.lr=1e-7": "learning_rate_too_low",
    "optimizer=adamw optimizer.weight_decay=100": "weight_decay_crushes",
    "schedule=step schedule.every_epochs=1": "schedule_ends_early",
    "optimizer=sgd procedure.train.max_gradient_norm=0.001": "clipping_always_active",
    "": None,
    "optimizer=sgd": None,
    "optimizer=rmsprop optimizer.lr=0.01": None,
    "optimizer=lion": None,
    "schedule=one_cycle": None,
    "procedure.train.batch_size=4": None,
}


@pytest.mark.parametrize(("words", "expected"), CASES.items())
def test_the_fault_is_named_and_soundness_is_not(
    words: str, expected: str | None, run_here: Expkit, tmp_path: Path
) -> None:
    """Six epochs: the rule that is meant speaks, and no other that it does not explain."""
    run_here("train", *DIGITS, "procedure.train.max_epochs=6", *words.split())
    rules = {name: load_rules()[name] for name in OPTIMISATION}
    findings = examine(Evidence.of(Run(only_run(tmp_path))), rules)
    assert [finding.rule for finding in findings] == ([expected] if expected else [])
