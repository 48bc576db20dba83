"""The transformer over scan lines: what a line may see, and what answers for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from expkit.errors import UserError
from expkit.models.scan_line import ScanLineTransformer

CONF = Path(__file__).parents[2] / "conf"


def small(*, seed: int = 0, image_shape: tuple[int, int, int] = (1, 12, 10), **options: Any) -> Any:
    torch.manual_seed(seed)
    sizes = {"layers": 2, "width": 16, "heads": 4, "feed_forward": 32, "dropout": 0.0}
    return ScanLineTransformer(**(sizes | options), image_shape=image_shape, num_outputs=5)


def with_last_lines_changed(images: Tensor, first: int) -> Tensor:
    changed = images.clone()
    changed[:, :, first:] += 1.0
    return changed


def test_yaml_is_the_net_of_log_3() -> None:
    """Counted by hand at 128 lines of 128 points and 4 classes.

    Embedding 128 x 256 + 256, class token 256, positions 129 x 256; a layer has attention
    4 x (256 x 256 + 256), feed-forward 2 x 256 x 1024 + 1024 + 256 and two norms of 512;
    six of them, a last norm of 512 and a head of 256 x 4 + 4.
    """
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate

    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", ["model=vit_scanline"])
    net = instantiate(config.model)(image_shape=(1, 128, 128), num_outputs=4)
    layer = 4 * (256 * 256 + 256) + 2 * 256 * 1024 + 1024 + 256 + 2 * 512
    expected = 128 * 256 + 256 + 256 + 129 * 256 + 6 * layer + 512 + 256 * 4 + 4
    assert expected == 4_806_404
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("image_shape", [(1, 7, 31), (3, 9, 5), (2, 1, 1)])
def test_any_height_width_and_channels(
    pooling: str, causal: bool, image_shape: tuple[int, int, int]
) -> None:
    """Odd and single sizes get one answer for each sample, in training and after it."""
    net = small(pooling=pooling, causal=causal, image_shape=image_shape, dropout=0.1)
    images = torch.randn(3, *image_shape)
    assert net(images).shape == (3, 5)
    with torch.no_grad():
        assert net.eval()(images).isfinite().all()


def test_a_token_is_a_line_with_its_channels_side_by_side() -> None:
    """Line 4 alone makes token 4: point after point, and each with its channels."""
    net = small(image_shape=(2, 6, 3))
    images = torch.arange(36.0).reshape(1, 2, 6, 3)
    line = torch.tensor([12.0, 30.0, 13.0, 31.0, 14.0, 32.0])  # of row 4: points, channels inner
    seen: list[Tensor] = []
    net.embed.register_forward_hook(lambda layer, given, answer: seen.append(given[0]))
    net(images)
    assert torch.equal(seen[0][0, 4], line)


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
def test_causal_tokens_do_not_see_later_lines(pooling: str) -> None:
    """Changing lines 8 and after leaves the first eight tokens as they were, to the bit."""
    net = small(pooling=pooling, causal=True).eval()
    images = torch.randn(2, 1, 12, 10)
    before, after = net.encode(images), net.encode(with_last_lines_changed(images, 8))
    assert torch.equal(before[:, :8], after[:, :8])
    assert not torch.equal(before[:, 8], after[:, 8])


def test_tokens_that_are_not_causal_see_every_line() -> None:
    """Changing the last line alone changes every token's answer."""
    net = small().eval()
    images = torch.randn(2, 1, 12, 10)
    moved = (net.encode(images) - net.encode(with_last_lines_changed(images, 11))).abs()
    assert (moved.amax(dim=2) > 1e-6).all()


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("line", [0, 5, 11])
def test_every_line_counts_in_the_answer(pooling: str, causal: bool, line: int) -> None:
    """A causal class token that stood first would see no line at all."""
    net = small(pooling=pooling, causal=causal).eval()
    images = torch.randn(1, 1, 12, 10, requires_grad=True)
    net(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad[0, 0, line].abs().max() > 1e-6


def test_mean_pooling_averages_the_encoded_lines() -> None:
    """There is a token for each line and no other, and the head gets their mean."""
    net = small(pooling="mean").eval()
    images = torch.randn(2, 1, 12, 10)
    tokens = net.encode(images)
    assert tokens.shape == (2, 12, 16)
    torch.testing.assert_close(net(images), net.head(tokens.mean(1)))


def test_class_token_answers_from_its_own_place() -> None:
    """First where all see all, last where a token sees only what came before."""
    images = torch.randn(2, 1, 12, 10)
    for causal, place in ((False, 0), (True, 12)):
        net = small(causal=causal).eval()
        tokens = net.encode(images)
        assert tokens.shape == (2, 13, 16)
        torch.testing.assert_close(net(images), net.head(tokens[:, place]))


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
def test_every_parameter_learns(pooling: str) -> None:
    """One backward pass reaches all of them: none is built and left out."""
    net = small(pooling=pooling)
    net(torch.randn(4, 1, 12, 10)).square().sum().backward()
    unreached = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


def test_the_order_of_lines_matters() -> None:
    """Learned positions tell lines apart: the same lines upside down are answered differently."""
    net = small(pooling="mean").eval()
    images = torch.randn(2, 1, 12, 10)
    assert (net(images) - net(images.flip(2))).abs().max() > 1e-4


def test_layers_start_from_draws_of_their_own() -> None:
    """torch's TransformerEncoder copies one layer; these differ, and positions are 0.02 wide."""
    net = small(image_shape=(1, 400, 10))
    first, second = (layer.linear1.weight for layer in net.layers)
    assert not torch.equal(first, second)
    assert net.positions.std().item() == pytest.approx(0.02, rel=0.1)


def test_width_that_heads_do_not_divide_is_refused() -> None:
    """Both keys are named, and the fix is a width that goes: 20 is the next multiple of 5."""
    with pytest.raises(UserError, match="width of 16 cannot be shared among 5 heads") as caught:
        small(heads=5)
    assert caught.value.details["where"] == "model.width=16, model.heads=5"
    assert caught.value.details["do"] == "model.width=20"
