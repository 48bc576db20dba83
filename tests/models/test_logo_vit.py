"""Log 5's transformer: its stem, its sizes, its heads, and the noise that it predicts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from expkit.config.targets.check import check_part
from expkit.errors import UserError
from expkit.models.logo_vit import LogoViT
from expkit.models.uncertainty import sample_log_probabilities, uncertainty_of
from expkit.optim.groups import parameter_groups
from expkit.optim.parameter_names import names_of_head
from expkit.training.checkpoint import load_weights, save_weights

SMALL: dict[str, Any] = {
    "width": 16, "depth": 2, "heads": 2, "stem": (4, 8), "stem_strides": (2, 2),
}  # fmt: skip
NODE = {"_target_": "expkit.models.logo_vit.LogoViT", "_partial_": True}


def small(*, image_shape: tuple[int, int, int] = (3, 16, 24), **options: Any) -> LogoViT:
    torch.manual_seed(0)
    return LogoViT(**{**SMALL, **options}, image_shape=image_shape, num_outputs=3)


def test_parameters_by_hand() -> None:
    """Counted for 64 pixels and 4 classes, as conf/model/logo_vit.yaml has it.

    Stem: 3x3 convolutions 3-32-64-128 without biases, two numbers of group norm a channel, and a
    1x1 one of 128 x 128 + 128. Positions 64 x 128. A block: attention 4 (128^2 + 128), feed-forward
    2 x 128 x 512 + 640, two norms of 256. A last norm of 256 and a head of 128 x 4 + 4.
    """
    net = LogoViT(image_shape=(3, 64, 64), num_outputs=4)
    stem = 9 * (3 * 32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + 128 * 128 + 128
    block = 4 * (128**2 + 128) + 2 * 128 * 512 + 640 + 2 * 256
    expected = stem + 64 * 128 + 4 * block + 256 + 128 * 4 + 4
    assert sum(p.numel() for p in net.parameters()) == expected


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
@pytest.mark.parametrize("uncertainty", [False, True])
def test_every_parameter_learns(pooling: str, uncertainty: bool) -> None:
    """One backward pass in training mode reaches all, the log-variance head included."""
    net = small(pooling=pooling, uncertainty=uncertainty)
    outputs = net(torch.randn(4, 3, 16, 24))
    torch.nn.functional.cross_entropy(outputs, torch.tensor([0, 1, 2, 0])).backward()
    unreached = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []
    assert net.patch_embed.grid_size == (4, 6)  # 16 x 24 by two strides of 2


def test_strides_are_the_patch() -> None:
    """A stride of 1 adds a convolution and leaves the tokens as they are."""
    net = small(stem=(4, 6, 8), stem_strides=(2, 1, 4))
    assert net.patch_embed.num_patches == 2 * 3
    assert net(torch.randn(2, 3, 16, 24)).shape == (2, 3)


def test_uneven_sizes_are_refused_with_those_that_go() -> None:
    """18 x 24 lies between 16 x 24 and 20 x 24; the size advised goes."""
    with pytest.raises(UserError, match="18 x 24 pixels cannot be cut into patches of 4 x 4") as e:
        small(image_shape=(3, 18, 24))
    assert "16 x 24 or 20 x 24" in str(e.value.details["allowed"])
    assert str(e.value.details["do"]).splitlines() == [
        "'model.stem_strides=[2, 1]'",
        "dataset.size=24   (where the dataset has a size)",
    ]
    small(image_shape=(3, 24, 24))
    small(image_shape=(3, 18, 24), stem_strides=(2, 1))


@pytest.mark.parametrize(
    ("target", "given", "said", "advised"),
    [
        (
            "logo_vit.LogoViT",
            {"heads": 5},
            "width of 128 cannot be shared among 5",
            {"width": 130, "heads": 5},
        ),
        (
            "logo_vit.LogoViT",
            {"width": 126},
            "width of 126 cannot be shared among 4",
            {"width": 128},
        ),
        (
            "scan_line.ScanLineTransformer",
            {"heads": 3},
            "256 cannot be shared among 3",
            {"width": 258, "heads": 3},
        ),
        (
            "logo_vit.LogoViT",
            {"stem": [8, 8]},
            "2 convolutions and 3 strides",
            {"stem": [8, 8], "stem_strides": [2, 2]},
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused_by_the_config(
    target: str, given: dict[str, Any], said: str, advised: dict[str, Any]
) -> None:
    """Before torch, from arguments.py, with the defaults of what is not given; the advice goes."""
    node = {"_target_": f"expkit.models.{target}", "_partial_": True}
    with pytest.raises(UserError, match=said) as caught:
        check_part({**node, **given}, "model")
    fix = str(caught.value.details["do"]).strip("'")
    name, value = list(advised.items())[-1] if "stem" in given else next(iter(advised.items()))
    assert fix == f"model.{name}={value}"
    check_part({**node, **advised}, "model")


def test_layer_decay_counts_the_stem_as_the_first_layer_and_the_heads_as_the_last() -> None:
    """lr falls by a half a layer: stem 1/8, blocks 1/4 and 1/2, norm and heads 1."""
    net = small(uncertainty=True)
    groups = parameter_groups(net, layer_decay=0.5, lr=1.0, key="procedure.train")
    names = {id(p): name for name, p in net.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in groups for p in group["params"]}
    assert rates["patch_embed.projection.weight"] == rates["pos_embed"] == 0.125
    assert rates["blocks.0.attn.qkv.weight"] == 0.25
    assert rates["blocks.1.attn.qkv.weight"] == 0.5
    assert rates["head.weight"] == rates["log_variance.weight"] == 1.0


def test_frozen_up_to_a_block_leaves_the_next_and_both_heads() -> None:
    """The order of definition is that of the forward pass."""
    net = small(uncertainty=True)
    parameter_groups(net, frozen_up_to="blocks.0", lr=1.0, key="procedure.train")
    trained = {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {"blocks", "fc_norm", "head", "log_variance"}
    assert names_of_head(net, "") == {
        *("head.weight", "head.bias", "log_variance.weight", "log_variance.bias"),
    }


def test_sampled_probabilities_are_normalized_and_take_any_loss() -> None:
    """log_softmax of them is themselves: cross-entropy is -log of the mean probability."""
    outputs = small(uncertainty=True)(torch.randn(5, 3, 16, 24))
    torch.testing.assert_close(outputs.log_softmax(1), outputs, atol=1e-6, rtol=0)


def test_one_sample_by_hand() -> None:
    """Logits (0, 1) with stds 1 and 2 and the noise as drawn, through one softmax."""
    torch.manual_seed(7)
    noise = torch.randn(1, 1, 2)
    torch.manual_seed(7)
    log_variance = torch.tensor([[0.0, 2 * math.log(2)]])
    found = sample_log_probabilities(torch.tensor([[0.0, 1.0]]), log_variance, 1)
    expected = torch.tensor([[noise[0, 0, 0], 1 + 2 * noise[0, 0, 1]]]).log_softmax(1)
    torch.testing.assert_close(found, expected)


def test_without_noise_it_is_the_softmax() -> None:
    """At the least std, 0.0067, the mean over samples is the softmax of the logits."""
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    found = sample_log_probabilities(logits, torch.full((1, 3), -40.0), 1000)
    torch.testing.assert_close(found, logits.log_softmax(1), atol=2e-3, rtol=0)


def test_noise_costs_a_wrong_prediction_less_and_a_right_one_more() -> None:
    """The reason why it is learnt: the loss falls with noise exactly where the model is wrong."""
    torch.manual_seed(0)
    logits = torch.tensor([[4.0, 0.0]])
    sure, noisy = (
        -sample_log_probabilities(logits, torch.tensor([[each, each]]), 4000)[0]
        for each in (-8.0, 3.0)
    )
    assert noisy[0] > sure[0]  # of the class with the larger logit
    assert noisy[1] < sure[1]


def test_uncertainty_is_the_entropy_of_the_noisy_predictions() -> None:
    """Without noise that of (1/4, 3/4), 0 of a certain one and ln 2 of none; noise adds to it."""
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 80.0], [1.0, 1.0]])
    quiet = uncertainty_of(logits, torch.full((3, 2), -40.0))
    expected = [math.log(4) / 4 + 3 / 4 * math.log(4 / 3), 0.0, math.log(2)]
    assert quiet.tolist() == pytest.approx(expected, abs=2e-3)
    assert (quiet >= 0).all()
    noisy = uncertainty_of(logits, torch.tensor([[2.0], [2.0], [-40.0]]))  # one std for all
    assert noisy[0] > quiet[0] + 0.05
    assert torch.equal(noisy[2], quiet[2])


def test_uncertainty_of_a_sample_is_the_same_in_any_batch() -> None:
    """And draws nothing from the run's generator."""
    state = torch.get_rng_state()
    logits, log_variance = torch.linspace(-1, 1, 12).view(4, 3), torch.zeros(4, 3)
    whole = uncertainty_of(logits, log_variance)
    assert torch.equal(uncertainty_of(logits[2:3], log_variance[2:3]), whole[2:3])
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_is_drawn_anew_each_time_and_again_from_the_same_seed() -> None:
    """Runs repeat: training mode draws from torch's seeded generator, eval mode from none."""
    net, images = small(uncertainty=True), torch.randn(2, 3, 16, 24)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(net(images))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    state = torch.get_rng_state()
    logits, log_variance = net.eval().forward_with_log_variance(images)
    assert torch.equal(net(images), logits)
    assert log_variance.shape == (2, 3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sampling_is_fp32_under_autocast(dtype: torch.dtype) -> None:
    """Half precision would round the log-probabilities of ten draws."""
    with torch.autocast("cpu", dtype=dtype):
        outputs = small(uncertainty=True)(torch.randn(2, 3, 16, 24))
    assert outputs.dtype == torch.float32
    assert outputs.exp().sum(1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_the_head_without_uncertainty_loads_into_no_other(tmp_path: Any) -> None:
    """A checkpoint's heads are those of its config."""
    save_weights(tmp_path / "w.safetensors", small(uncertainty=True), {"epoch": 1})
    load_weights(tmp_path / "w.safetensors", small(uncertainty=True))
    with pytest.raises(UserError, match="do not fit"):
        load_weights(tmp_path / "w.safetensors", small())
