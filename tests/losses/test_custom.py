"""Losses of a user's own, or of torch, called as loss(outputs, targets)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.errors import UserError
from expkit.losses.custom import MeanLoss, OwnLoss, refuse_mixed

OUTPUTS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
TARGETS = torch.tensor([0, 1, 0])


class Hinge(nn.Module):
    """A plain module; `weight` and `task` would mean other things to expkit's own losses."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction
        self.weight = 0.5

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.multi_margin_loss(outputs, targets, reduction=self.reduction)


def test_a_plain_module_is_used_as_it_is_and_its_gates_take_cross_entropy() -> None:
    """Margins of 0, 0 and 4 of two classes: (0 + 0 + 4 / 2) / 3."""
    source = OwnLoss(Hinge(), "classification", 2)
    source.check("my.Hinge")
    assert source.build([2, 1])(OUTPUTS, TARGETS).item() == pytest.approx(2 / 3)
    assert isinstance(source.build([2, 1], plain=True), nn.CrossEntropyLoss)
    assert isinstance(OwnLoss(nn.L1Loss(), "regression", 2).build(None, plain=True), nn.MSELoss)


def test_a_value_for_each_sample_becomes_their_mean() -> None:
    """reduction='none' gives 0, 0 and 2."""
    source = OwnLoss(Hinge("none"), "classification", 2)
    source.check("my.Hinge")
    assert source.build([2, 1])(OUTPUTS, TARGETS).item() == pytest.approx(2 / 3)


def test_only_torchs_own_weights_are_weights_of_classes() -> None:
    """The loop weighs batches by them; an attribute of that name elsewhere is none."""
    weighted = nn.CrossEntropyLoss(torch.tensor([1.0, 3.0]))
    assert getattr(OwnLoss(weighted, "classification", 2).build([1, 1]), "weight", None) is not None
    assert not hasattr(OwnLoss(Hinge(), "classification", 2).build([1, 1]), "weight")
    assert isinstance(OwnLoss(Hinge(), "classification", 2).build([1, 1]), MeanLoss)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Hinge("sum"), "it sums over samples"),
        (nn.BCEWithLogitsLoss(), "must be the same as input size"),
        (nn.Linear(2, 2), "takes 2 positional arguments but 3 were given"),
        (lambda outputs, targets: 0.0, "a float, and not with a tensor"),
        (lambda outputs, targets: (outputs.argmax(1) != targets).float().mean(), "no gradient"),
        (lambda outputs, targets: outputs, "shape (6, 2)"),
        (lambda outputs, targets: outputs.mean() / 0, "inf"),
    ],
)  # fmt: skip
def test_what_cannot_serve_is_refused_with_how_it_was_called(loss: nn.Module, said: str) -> None:
    """Before anything trains; nothing is drawn from the run's generator."""
    state = torch.get_rng_state()
    if isinstance(loss, nn.Module):
        loss.requires_grad_(False)
    with pytest.raises(UserError) as caught:
        OwnLoss(loss, "classification", 2).check("my.loss")
    assert said in caught.value.what
    assert "outputs (6, 2) and targets (6,), int64" in str(caught.value.details["where"])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_would_have_to_learn_is_refused() -> None:
    """No optimizer has its parameters."""
    with pytest.raises(UserError, match="no optimizer trains: weight, bias"):
        OwnLoss(nn.Linear(2, 2), "classification", 2).check("my.loss")


def test_mixed_images_need_a_loss_that_takes_shares_of_classes() -> None:
    """Cross-entropy does; a loss that picks the target's column cannot."""
    refuse_mixed(nn.CrossEntropyLoss(), 3, "torch")
    with pytest.raises(UserError, match="fractions of classes") as caught:
        refuse_mixed(Hinge(), 3, "my.Hinge")
    assert "augment.mixup_alpha=0" in str(caught.value.details["do"])
