"""Which parameters learn and at what rate, for nets whose names are known."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from expkit.errors import UserError
from expkit.models.conv import ConvNet
from expkit.optim.frozen_norms import frozen_norms
from expkit.optim.groups import parameter_groups

LR = 0.1
VIT = {"img_size": 32, "embed_dim": 12, "depth": 3, "num_heads": 3, "num_classes": 4}


def conv_net() -> nn.Module:
    return ConvNet((4, 6), norm="batch", image_shape=(3, 8, 8), num_outputs=4)


def resnet() -> nn.Module:
    model: nn.Module = timm.create_model("resnet18", num_classes=4)
    return model


def vit(depth: int = 3) -> nn.Module:
    model: nn.Module = timm.create_model("vit_tiny_patch16_224", **VIT | {"depth": depth})
    return model


def grouped(model: nn.Module, **options: Any) -> list[dict[str, Any]]:
    return parameter_groups(model, lr=LR, key="procedure.train", **options)


def names_in(model: nn.Module, group: dict[str, Any]) -> list[str]:
    own = {id(parameter) for parameter in group["params"]}
    return [name for name, parameter in model.named_parameters() if id(parameter) in own]


def trainable(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("make", [conv_net, resnet, vit])
def test_by_default_all_parameters_are_one_group_in_order(make: Any) -> None:
    """What an optimizer would be given without any of this."""
    model = make()
    (group,) = grouped(model)
    assert list(map(id, group["params"])) == list(map(id, model.parameters()))
    assert group["lr"] == LR


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (conv_net, {"head.0.weight", "head.0.bias"}),
        (resnet, {"fc.weight", "fc.bias"}),
        (vit, {"head.weight", "head.bias"}),
    ],
)
def test_the_head_is_the_classifier_whatever_its_name(make: Any, names: set[str]) -> None:
    """A linear probe of a net of our own and of two of timm's."""
    model = make()
    (group,) = grouped(model, trainable="head")
    assert trainable(model) == names == set(names_in(model, group))


def test_both_heads_of_a_distilled_transformer_are_the_head() -> None:
    """timm answers with a pair."""
    model = timm.create_model("deit_tiny_distilled_patch16_224", **VIT)
    grouped(model, trainable="head")
    assert trainable(model) == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}


def test_globs_say_what_learns() -> None:
    """One stage and the head; the rest is frozen."""
    model = resnet()
    grouped(model, trainable=["layer4.1.conv*", "head"])
    assert trainable(model) == {
        "layer4.1.conv1.weight",
        "layer4.1.conv2.weight",
        "fc.weight",
        "fc.bias",
    }


def test_frozen_up_to_a_stage() -> None:
    """The stage itself, the stem before it, and nothing after it."""
    model = resnet()
    grouped(model, frozen_up_to="layer3")
    assert {name.partition(".")[0] for name in trainable(model)} == {"layer4", "fc"}


def test_frozen_up_to_a_block_of_a_transformer() -> None:
    """Class token and positions stand before the first block, and blocks.1 is not blocks.10."""
    model = vit(depth=11)
    grouped(model, frozen_up_to="blocks.1")
    frozen = {name for name, _ in model.named_parameters()} - trainable(model)
    assert {"cls_token", "pos_embed"} < frozen
    blocks = {name.split(".")[1] for name in trainable(model) if name.startswith("blocks.")}
    assert blocks == {str(number) for number in range(2, 11)}
    assert {"norm.weight", "head.weight"} < trainable(model)


def test_what_the_maker_froze_stays_frozen() -> None:
    """Fixed positions are no parameters to be learnt, however wide the globs are."""
    model = vit()
    model.pos_embed.requires_grad_(False)  # type: ignore[operator, union-attr]
    (group,) = grouped(model)
    assert "pos_embed" not in names_in(model, group)


def test_groups_by_the_first_glob_that_matches() -> None:
    """The head learns ten times as fast as the first block; the rest has a rate of its own."""
    model = conv_net()
    groups = grouped(
        model,
        groups={
            "head": {"weight_decay": 0.0},
            "backbone.0.*": {"lr_scale": 0.1, "weight_decay": 0.05},
            "*": {"lr": 0.02, "betas": [0.8, 0.9]},
        },
    )
    assert [{k: v for k, v in group.items() if k != "params"} for group in groups] == [
        {"name": "head", "lr": LR, "weight_decay": 0.0},
        {"name": "backbone.0.*", "lr": pytest.approx(LR * 0.1), "weight_decay": 0.05},
        {"name": "*", "lr": 0.02, "betas": [0.8, 0.9]},
    ]
    assert [names_in(model, group) for group in groups] == [
        ["head.0.weight", "head.0.bias"],
        ["backbone.0.0.weight", "backbone.0.1.weight", "backbone.0.1.bias"],
        ["backbone.1.0.weight", "backbone.1.1.weight", "backbone.1.1.bias"],
    ]


def test_a_group_of_frozen_parameters_is_dropped() -> None:
    """The same groups serve the frozen phase and the one after it."""
    groups = {"head": {}, "backbone.*": {"lr_scale": 0.1}}
    assert [g["name"] for g in grouped(conv_net(), trainable="head", groups=groups)] == ["head"]


def test_layers_nearer_the_input_learn_slower() -> None:
    """timm counts the embedding, three blocks and the head: 0.5^4 at the input, 1 at the head."""
    model = vit()
    groups = grouped(model, layer_decay=0.5)
    assert [group["lr"] / LR for group in groups] == pytest.approx([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])
    assert "pos_embed" in names_in(model, groups[0])
    assert "norm.weight" in names_in(model, groups[-2])  # with the block before it
    assert names_in(model, groups[-1]) == ["head.weight", "head.bias"]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_a_frozen_layer_still_counts_as_a_layer() -> None:
    """What is left keeps the rate that it has when all is trained."""
    groups = grouped(vit(), layer_decay=0.5, frozen_up_to="blocks.1")
    assert [group["lr"] / LR for group in groups] == pytest.approx([1 / 2, 1])


def refusal(model: nn.Module, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        grouped(model, **options)
    return caught.value


@pytest.mark.parametrize(
    ("make", "options", "what", "nearest"),
    [
        (resnet, {"trainable": ["layr4.*"]}, "'layr4.*' matches no parameter", "layer4.*"),
        (resnet, {"trainable": ["layer4"]}, "'layer4' matches no parameter", "layer4.*"),
        (vit, {"groups": {"block.*": {}, "*": {}}}, "'block.*' matches no", "blocks.*"),
        (vit, {"frozen_up_to": "block.1"}, "no module 'block.1'", "blocks.1"),
    ],
)
def test_a_name_that_is_none_is_told_with_its_neighbour(
    make: Any, options: dict[str, Any], what: str, nearest: str
) -> None:
    """A misspelt glob must not freeze nothing in silence."""
    error = refusal(make(), **options)
    assert what in error.what
    assert error.details["nearest"] == nearest
    assert str(error.details["where"]).startswith(f"procedure.train.{next(iter(options))}")


def test_the_first_uncovered_parameter_is_named() -> None:
    """With how many more there are: six in the backbone, of which three are grouped."""
    error = refusal(conv_net(), groups={"head": {}, "backbone.0.*": {}})
    assert error.what == "no group covers the parameter 'backbone.1.0.weight', nor 2 more"


@pytest.mark.parametrize(
    ("make", "options", "what"),
    [
        (conv_net, {"groups": {"*": {}, "head": {"lr": 1.0}}}, "'head' would group nothing"),
        (
            conv_net,
            {"groups": {"backbone.0.*": {}, "backbone.1.*": {}, "backbone.*": {}, "head": {}}},
            "'backbone.*' would group nothing",
        ),
        (conv_net, {"groups": {"*": {"lr": 1.0, "lr_scale": 1.0}}}, "lr and lr_scale both"),
        (conv_net, {"groups": {"*": {"lr_scal": 1.0}}}, "no option 'lr_scal'"),
        (conv_net, {"groups": {"*": {}}, "layer_decay": 0.5}, "layer_decay and groups both"),
        (conv_net, {"layer_decay": 0.5}, "ConvNet does not say which layers it has"),
        (conv_net, {"frozen_up_to": "head"}, "no parameter of the model is left to train"),
        (conv_net, {"trainable": []}, "no parameter of the model is left to train"),
        (lambda: nn.Sequential(nn.Linear(2, 2)), {"trainable": "head"}, "are the head"),
        (lambda: timm.create_model("resnet18", num_classes=0), {"trainable": "head"}, "the head"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Any, options: dict[str, Any], what: str) -> None:
    """Each in a sentence of its own."""
    assert what in refusal(make(), **options).what


@pytest.mark.parametrize("make", [conv_net, resnet])
def test_a_linear_probe_changes_nothing_else(make: Any) -> None:
    """Three steps with weight decay: the backbone and its running statistics keep every bit."""
    model = make()
    optimizer = torch.optim.AdamW(grouped(model, trainable="head"), lr=LR, weight_decay=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    for norm in frozen_norms(model):
        norm.eval()
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == trainable(model)
