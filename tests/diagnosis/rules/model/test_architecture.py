"""Rules on what learns, mixes, and adds nothing, met by real small nets."""

from __future__ import annotations

from typing import Any

import pytest
from probed_models import ThenDo, conv_net, probed, training
from rule_findings import findings
from torch import Tensor, nn


class Cut(nn.Module):
    """The head alone gets gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = conv_net()[:-1]
        self.head = nn.Linear(32, 5)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.backbone(images_BCHW).detach())
        return outputs


def test_detached_backbone() -> None:
    """All that lies behind a detach() is named, and more than half of a model is fatal."""
    (finding,) = findings("detached_parameters", probed(Cut()))
    assert finding.severity == "fatal"
    assert finding.evidence["tensors"] == 4
    assert "backbone.0.weight" in finding.evidence["names"]


def test_a_layer_that_is_never_called_is_only_told() -> None:
    """Unused layers cost memory, and no accuracy."""
    model = conv_net()
    model.extra = nn.Linear(64, 64)
    model.forward = nn.Sequential(*list(model)[:-1]).forward  # type: ignore[method-assign]
    (finding,) = findings("detached_parameters", probed(model))
    assert finding.severity == "info"


def frozen_net() -> nn.Module:
    model = conv_net()
    for parameter in model[:-1].parameters():
        parameter.requires_grad_(False)
    return model


def test_frozen_at_random() -> None:
    """A head on random features is told, with the override where the config froze them."""
    (by_model,) = findings("frozen_parameters", probed(frozen_net()))
    assert (by_model.severity, list(by_model.remedies)) == ("warning", [])
    evidence = probed(frozen_net(), procedure=training(trainable="head"))
    (by_config,) = findings("frozen_parameters", evidence)
    assert by_config.remedies[0][0] == "procedure.train.trainable=all"


def test_frozen_and_trained_before_is_sound() -> None:
    """Pretrained weights, weights of a file, and those of an earlier stage may stand still."""
    for model in ({"pretrained": True}, {"weights": "net.safetensors"}):
        config = {"_target_": "expkit.models.timm_model.TimmModel", **model}
        assert findings("frozen_parameters", probed(frozen_net(), model=config)) == []
    evidence = probed(frozen_net(), procedure=training(start_from="head", trainable="head"))
    assert findings("frozen_parameters", evidence) == []


def test_head_first_is_only_told() -> None:
    """A frozen first stage from which a later one goes on with everything."""
    stages = training(trainable="head")
    later = {"_target_": "expkit.runner.stages.training.Training", "start_from": "train"}
    evidence = probed(frozen_net(), procedure={**stages, "full": later})
    (finding,) = findings("frozen_parameters", evidence)
    assert finding.severity == "info"


def test_optimizer_of_a_part() -> None:
    """What the optimizer was not given is named; another model's tensors are counted."""
    model = conv_net()
    head = list(model[-1].parameters())
    (finding,) = findings("optimizer_misses_parameters", probed(model, optimised=head))
    assert "0.weight" in finding.evidence["names"]
    others = list(conv_net().parameters())
    (finding,) = findings("optimizer_misses_parameters", probed(model, optimised=others))
    assert (finding.severity, finding.evidence["strangers"]) == ("fatal", 6)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x - x.mean(0),
        lambda x: x.softmax(0),
        lambda x: x.cumsum(0),
        lambda x: x.t().reshape(x.shape),
    ],
)
def test_samples_mixed(mix: Any) -> None:
    """Whatever runs along the batch is fatal."""
    (finding,) = findings("samples_mixed", probed(ThenDo(conv_net(), mix)))
    assert finding.severity == "fatal"


def test_missing_activation() -> None:
    """The pair of layers is named, and that the whole net is one map, where it is."""
    (finding,) = findings("missing_activation", probed(conv_net(activation=nn.Identity)))
    assert "0 -> 2" in finding.sentence
    assert "one linear map" in finding.sentence


def test_a_fixed_bank_of_filters_is_sound() -> None:
    """Frozen weights that another seed does not change were designed, and not drawn."""
    evidence = probed(frozen_net())
    (record,) = evidence.of_kind("model")
    record["frozen_drawn"] = []
    assert findings("frozen_parameters", evidence) == []
    record["frozen_drawn"] = [p["name"] for p in record["parameters"] if not p["trainable"]]
    assert len(findings("frozen_parameters", evidence)) == 1


def test_a_net_that_is_affine_whatever_its_chains_say() -> None:
    """Three layers and no bend are told; one layer alone is a sound linear model."""
    deep = nn.Sequential(nn.Flatten(), nn.LazyLinear(32), nn.Linear(32, 16), nn.Linear(16, 5))
    evidence = probed(deep)
    (record,) = evidence.of_kind("model")
    record["linear_chains"] = []
    (finding,) = findings("missing_activation", evidence)
    assert finding.evidence["pairs"] == ["1 -> 2", "2 -> 3"]
    one = nn.Sequential(nn.Flatten(), nn.LazyLinear(5))
    assert findings("missing_activation", probed(one)) == []


def test_another_models_tensors_beside_all_of_its_own() -> None:
    """The optimizer misses nothing, and moves six tensors of another net."""
    model = conv_net()
    given = [*model.parameters(), *conv_net().parameters()]
    (finding,) = findings("optimizer_misses_parameters", probed(model, optimised=given))
    assert finding.sentence == (
        "the optimizer misses none, and moves 6 tensors that are not the model's"
    )
    assert finding.severity == "warning"


def test_two_layers_of_a_bent_net_are_one_map() -> None:
    """Only the pair is named, as the net as a whole has an activation."""
    layers = [nn.Flatten(), nn.LazyLinear(32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5)]
    (finding,) = findings("missing_activation", probed(nn.Sequential(*layers)))
    assert finding.sentence == "no activation stands between 1 -> 2"
