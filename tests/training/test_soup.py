"""A soup by hand: the mean of weights, statistics made anew, and which members it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from expkit.training.batch_norm import names_of_batch_norms, refit_batch_norms
from expkit.training.device import Device
from expkit.training.soup import average_weights, choose_greedily, fill_with_soup

CPU = Device(torch.device("cpu"), "fp32", channels_last=False, compile=False, reason="")
BATCHES = [torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(i)) for i in range(3)]


def net_of(scale: float, mean: float) -> nn.Sequential:
    """A convolution that multiplies by a number, then batch norm with a mean that it has kept."""
    net = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Dropout(0.9))
    with torch.no_grad():
        net[0].weight.copy_(scale * torch.eye(2)[:, :, None, None])
        net[1].running_mean.fill_(mean)
        net[1].num_batches_tracked.fill_(int(10 * scale))
    return net


def batches() -> Iterator[Tensor]:
    return iter(BATCHES)


def test_weights_are_averaged_and_counts_taken_from_the_first() -> None:
    """1 and 4 in float, and 10 and 40 that were counted."""
    soup = average_weights([net_of(1, 0).state_dict(), net_of(4, 2).state_dict()])
    assert soup["0.weight"][0, 0].item() == 2.5
    assert soup["1.running_mean"].tolist() == [1, 1]
    assert soup["1.num_batches_tracked"].item() == 10


def test_half_precision_weights_are_summed_in_full() -> None:
    """In fp16 60000 and 60000 sum up to infinity, and their mean is 60000."""
    each = {"weight": torch.tensor([60000.0], dtype=torch.float16)}
    mean = average_weights([each, each])["weight"]
    assert mean.dtype == torch.float16
    assert mean.item() == 60000


def test_the_members_are_left_as_they_were() -> None:
    """A greedy soup averages them again and again."""
    first, second = net_of(1, 0).state_dict(), net_of(4, 2).state_dict()
    average_weights([first, second])
    assert first["0.weight"][0, 0].item() == 1


def test_batch_norm_has_the_statistics_of_what_goes_through_the_soup() -> None:
    """A net that multiplies by 2.5 gives batch norm 2.5 times the images, whose mean is kept."""
    net = net_of(0, 0)
    fill_with_soup(net, [net_of(1, 0).state_dict(), net_of(4, 2).state_dict()], batches, CPU)
    scaled = [2.5 * images for images in BATCHES]
    means = torch.stack([each.mean((0, 2, 3)) for each in scaled]).mean(0)
    variances = torch.stack([each.var((0, 2, 3), unbiased=True) for each in scaled]).mean(0)
    torch.testing.assert_close(net[1].running_mean, means)
    torch.testing.assert_close(net[1].running_var, variances)
    assert net[1].momentum == 0.1
    assert not any(layer.training for layer in net.modules())


def test_frozen_statistics_are_kept() -> None:
    """Layers that have the same in all members were not trained, and no image is asked."""
    net = net_of(0, 0)

    def no_images() -> Iterator[Tensor]:
        raise AssertionError("no image is needed")

    fill_with_soup(net, [net_of(1, 7).state_dict(), net_of(4, 7).state_dict()], no_images, CPU)
    assert net[1].running_mean.tolist() == [7, 7]


def test_only_the_named_layers_are_made_anew() -> None:
    """One of two keeps what it had, and dropout is out of the way."""
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.99), nn.BatchNorm2d(2))
    assert names_of_batch_norms(net) == ["0", "2"]
    refit_batch_norms(net, ["2"], BATCHES, CPU)
    assert net[0].running_mean.tolist() == [0, 0]
    means = torch.stack([each.mean((0, 2, 3)) for each in BATCHES]).mean(0)
    torch.testing.assert_close(net[2].running_mean, means / (1 + 1e-5) ** 0.5)


SCORES = {(1,): 0.8, (1, 0): 0.7, (1, 2): 0.8, (1, 2, 3): 0.9}


def test_a_greedy_soup_takes_the_best_first_and_what_does_not_make_it_worse() -> None:
    """Figures 0.7, 0.8, 0.6, 0.6: 1 comes first; 0 makes it worse, 2 keeps it, 3 betters it."""
    asked: list[tuple[int, ...]] = []

    def score(places: Sequence[int]) -> float:
        asked.append(tuple(places))
        return SCORES[tuple(places)]

    assert choose_greedily([0.7, 0.8, 0.6, 0.6], score) == [1, 2, 3]
    assert asked == [(1,), (1, 0), (1, 2), (1, 2, 3)]


@pytest.mark.parametrize("figures", [[0.5, 0.5], [0.5, 0.4]])
def test_equal_members_are_asked_in_the_order_given(figures: list[float]) -> None:
    """And a soup that every other makes worse is the best member alone."""
    assert choose_greedily(figures, lambda places: -len(places)) == [0]
