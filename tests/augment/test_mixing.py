"""Mixed pairs: labels have exactly the shares that the pixels have."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from expkit.augment.pipeline import Augmentation

MIXUP = Augmentation(mixup_alpha=0.4)
CUTMIX = Augmentation(cutmix_alpha=1)
BOTH = Augmentation(mixup_alpha=1, cutmix_alpha=1)
NUM = 64
TARGETS = torch.arange(NUM)  # every sample a class of its own


def levels() -> Tensor:
    """Sample i is i / 64 throughout: its pixels tell where they come from."""
    return (torch.arange(NUM) / NUM).view(-1, 1, 1, 1).repeat(1, 3, 10, 20)


def mixed(augmentation: Augmentation, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    images, soft = augmentation.mix(levels(), TARGETS, NUM)
    return images, soft


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_labels_have_the_shares_of_the_pixels(augmentation: Augmentation) -> None:
    """An image's mean is the mean of the levels that it is made of, by its labels' shares."""
    assert augmentation.mixes
    images, soft = mixed(augmentation)
    torch.testing.assert_close(soft.sum(1), torch.ones(NUM))
    torch.testing.assert_close(images.mean((1, 2, 3)), soft @ (torch.arange(NUM) / NUM))
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_only_the_two_classes_of_a_pair_have_shares(augmentation: Augmentation) -> None:
    """A sample's own, and that of the one before it; the shares differ from sample to sample."""
    _, soft = mixed(augmentation)
    partner = torch.arange(NUM).roll(1)
    kept = soft[TARGETS, TARGETS]
    torch.testing.assert_close(kept + soft[TARGETS, partner], torch.ones(NUM))
    assert len(kept.unique()) > NUM / 3


def test_mixup_is_the_same_in_every_pixel() -> None:
    """By hand: a share s of 1 and the rest of 0 is s everywhere, in the image and its label."""
    torch.manual_seed(0)
    black_and_white = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).repeat(1, 3, 4, 4)
    images, soft = MIXUP.mix(black_and_white, torch.tensor([0, 1]), 2)
    assert images[1].unique().tolist() == pytest.approx([soft[1, 1].item()])
    assert images[0].unique().tolist() == pytest.approx([soft[0, 1].item()])


def test_cutmix_takes_one_box_of_pixels_unchanged() -> None:
    """Every pixel is its own or the partner's, those of the partner fill a rectangle, and its
    share of the area is the partner's share of the label."""
    images, soft = mixed(CUTMIX)
    given = levels()
    for index in range(NUM):
        partner = given[index - 1]
        is_own, is_partner = images[index] == given[index], images[index] == partner
        assert (is_own ^ is_partner).all()
        rows, columns = is_partner[0].any(1).sum(), is_partner[0].any(0).sum()
        assert is_partner[0].sum() == rows * columns
        share = rows.item() * columns.item() / 200  # of 10 x 20 pixels
        assert soft[index, index - 1].item() == pytest.approx(share, abs=1e-6)


def test_box_has_the_proportions_of_the_picture() -> None:
    """Boxes that the border does not cut off are as many times as wide as high as it is: twice."""
    images, _ = mixed(CUTMIX)
    is_partner = (images != levels())[:, 0]
    rows, columns = is_partner.any(2), is_partner.any(1)
    is_inside = ~(rows[:, 0] | rows[:, -1] | columns[:, 0] | columns[:, -1])
    heights, widths = rows.sum(1)[is_inside], columns.sum(1)[is_inside]
    assert len(heights) > 5
    assert ((widths - 2 * heights).abs() <= 2).all()


def test_mixup_shares_are_of_the_beta_distribution() -> None:
    """Beta(0.4, 0.4) has mean 1/2 and variance 1 / (4 x 1.8); a uniform one would have 1/12."""
    torch.manual_seed(0)
    images, targets = torch.zeros(20_000, 1, 1, 1), torch.arange(20_000) % 2
    _, soft = MIXUP.mix(images, targets, 2)
    kept = soft[torch.arange(20_000), targets]
    assert kept.mean().item() == pytest.approx(0.5, abs=0.01)
    assert kept.var().item() == pytest.approx(1 / 7.2, abs=0.003)


def test_a_coin_of_each_sample_chooses_between_both() -> None:
    """About half are cut, and show two levels; the others shine through, and show one."""
    images, _ = mixed(BOTH)
    num_cut = sum(len(image.unique()) == 2 for image in images)
    assert 16 < num_cut < 48


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_mixing_follows_the_seed(augmentation: Augmentation) -> None:
    """The same one gives the same images and labels, another one others."""
    (images, soft), (again, soft_again) = mixed(augmentation), mixed(augmentation)
    assert torch.equal(images, again)
    assert torch.equal(soft, soft_again)
    assert not torch.equal(mixed(augmentation, seed=1)[1], soft)


def test_without_alphas_nothing_mixes() -> None:
    """What the loop asks before it makes labels soft."""
    assert not Augmentation().mixes
