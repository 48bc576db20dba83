"""Gradient checkpointing: the same numbers to the bit, from fewer activations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.models.logo_vit import LogoViT
from expkit.models.scan_line import ScanLineTransformer
from expkit.models.timm_model import TimmModel

Make = Callable[[bool], nn.Module]
SHAPE = (3, 32, 32)


def logo_vit(on: bool) -> nn.Module:
    return LogoViT(
        16, 3, 2, stem=(4, 8), stem_strides=(2, 2), dropout=0.2, drop_path=0.2, uncertainty=True,
        gradient_checkpointing=on, image_shape=SHAPE, num_outputs=4,
    )  # fmt: skip


def scan_lines(on: bool) -> nn.Module:
    return ScanLineTransformer(
        3, 16, 2, 32, dropout=0.2, gradient_checkpointing=on, image_shape=SHAPE, num_outputs=4
    )


def of_timm(name: str) -> Make:
    def make(on: bool) -> nn.Module:
        source = TimmModel(name, dropout=0.2, gradient_checkpointing=on)
        return source(image_shape=SHAPE, num_outputs=4)

    return make


def two_steps(make: Make, *, on: bool) -> tuple[dict[str, Tensor], int]:
    """All parameters and buffers after two steps of SGD, and the bytes kept for backward passes."""
    torch.manual_seed(0)
    net = make(on).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    images, targets = torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 3])
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for _ in range(2):
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = nn.functional.cross_entropy(net(images), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return net.state_dict(), sum(kept.values())


@pytest.mark.broad(3)
@pytest.mark.parametrize(
    "make",
    [
        logo_vit,
        scan_lines,
        of_timm("resnet10t"),
        of_timm("efficientnet_b0"),
        of_timm("vit_tiny_patch16_224"),
    ],
    ids=["logo_vit", "vit_scanline", "resnet", "efficientnet", "vit"],
)
def test_numbers_are_those_without_and_less_is_kept(make: Make) -> None:
    """With dropout and stochastic depth; batch norm's running statistics count each batch once."""
    plain, plain_bytes = two_steps(make, on=False)
    saved, saved_bytes = two_steps(make, on=True)
    assert plain.keys() == saved.keys()
    assert [name for name in plain if not torch.equal(plain[name], saved[name])] == []
    assert saved_bytes < plain_bytes


def test_a_model_of_timm_without_it_is_refused_with_those_that_have_it() -> None:
    """VGG's own refusal is an assertion; taking the advice builds it."""
    with pytest.raises(UserError, match="vgg11 has no gradient checkpointing") as caught:
        TimmModel("vgg11", gradient_checkpointing=True)(image_shape=SHAPE, num_outputs=4)
    assert "ResNets" in str(caught.value.details["allowed"])
    assert caught.value.details["do"] == "model.gradient_checkpointing=false"
