"""All rules on models: silent on sound nets and on old runs; and the one on gates."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from probed_models import probed
from rule_findings import findings
from synthetic_evidence import make_evidence
from torch import nn

from expkit.models.conv import ConvNet
from expkit.models.scan_line import ScanLineTransformer
from expkit.records.run.metadata import StageResult

RULES = (
    "probabilities_before_loss",
    "loss_mismatch",
    "loss_settings",
    "detached_parameters",
    "frozen_parameters",
    "optimizer_misses_parameters",
    "samples_mixed",
    "missing_activation",
    "dead_units",
    "saturated_units",
    "collapsed_features",
    "non_finite_layer",
    "vanishing_gradients",
    "exploding_gradients",
    "batch_norm_small_batch",
    "batch_norm_mode",
    "initial_loss",
    "gate_failed",
)


def sound_net(name: str) -> nn.Module:
    torch.manual_seed(0)
    given: Any = {"image_shape": (3, 32, 32), "num_outputs": 5}
    if name == "conv":
        return ConvNet(**given)
    if name == "deep head":
        return ConvNet(hidden=(64, 64), **given)
    if name == "kaiming":
        return ConvNet(hidden=(64, 64), init="kaiming", **given)
    if name == "batch norm":
        return ConvNet(norm="batch", dropout=0.5, **given)
    if name == "scan lines":
        return ScanLineTransformer(layers=2, width=32, heads=2, feed_forward=64, **given)
    if name == "one layer":
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    return timm.create_model(name, num_classes=5)


@pytest.mark.parametrize(
    "name",
    [
        "conv",
        "deep head",
        "kaiming",
        "batch norm",
        "scan lines",
        "one layer",
        "resnet18",
        "convnext_atto",
    ],
)
def test_sound_nets_get_no_finding(name: str) -> None:
    """Nets that learn, some with awkward starts, meet all rules and get nothing above an info."""
    evidence = probed(sound_net(name))
    found = [each for rule in RULES for each in findings(rule, evidence)]
    assert [each for each in found if each.severity != "info"] == []


def test_rules_are_silent_without_signals() -> None:
    """A run from before anything was measured has no findings by these rules."""
    assert [each for rule in RULES for each in findings(rule, make_evidence())] == []


def test_failed_gate() -> None:
    """The gate's own reason is told; one that was still falling is given more steps."""
    result = StageResult("overfit_1", False, "1 sample not learnt in 8 steps", "OverfitGate")
    stuck = [{"stage": "overfit_1", "epoch": i, "train/loss": 2.3} for i in range(1, 9)]
    config = {"overfit_1": {"_target_": "expkit.runner.stages.overfit.OverfitGate"}}
    evidence = make_evidence(stages=[result], history=stuck, procedure=config)
    (finding,) = findings("gate_failed", evidence)
    assert finding.remedies == [["optimizer.lr=0.0001"], ["optimizer.lr=0.01"]]
    falling = [{**line, "train/loss": 1 / line["epoch"]} for line in stuck]
    evidence = make_evidence(stages=[result], history=falling, procedure=config)
    (finding,) = findings("gate_failed", evidence)
    assert finding.remedies == [["procedure.overfit_1.max_steps=16"]]
