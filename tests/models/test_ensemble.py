"""An ensemble's output is the mean of its members', by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from expkit.models.ensemble import Ensemble
from expkit.models.uncertainty import (
    Uncertain,
    predicts_uncertainty,
    uncertainty_of,
    with_uncertainty,
)
from expkit.runner.stages.combination import lack_of_uncertainty
from expkit.training.predictor import as_predictor

IMAGES = torch.zeros(1, 1, 2, 2)


class Constant(nn.Module):
    """Says the same of every image, in the precision that autocast would have it."""

    def __init__(self, logits: list[float], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=dtype))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.logits.expand(len(images_BCHW), -1)


class Unsure(Constant):
    """Predicts the noise of its logits, too."""

    predicts_uncertainty = True

    def forward_with_log_variance(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        logits_BC = self(images_BCHW)
        return logits_BC, torch.full_like(logits_BC, 1.0)


def saying(*logits: float, dtype: torch.dtype = torch.float32) -> Callable[..., nn.Module]:
    return lambda **_: Constant(list(logits), dtype)


def ask(*members: Callable[..., nn.Module], combine: str) -> Tensor:
    net = Ensemble(members, combine, image_shape=(1, 2, 2), num_outputs=2)  # type: ignore[arg-type]
    outputs: Tensor = net(IMAGES)[0]
    return outputs


def test_the_softmax_of_the_output_is_the_mean_of_probabilities() -> None:
    """0.9 and 0.1 with 0.6 and 0.4 are 0.75 and 0.25; the output is the logarithm of that."""
    outputs = ask(
        saying(math.log(9), 0.0), saying(math.log(0.6) + 5, math.log(0.4) + 5),
        combine="probabilities",
    )  # fmt: skip
    assert outputs.exp().tolist() == pytest.approx([0.75, 0.25])
    assert outputs.softmax(0).tolist() == pytest.approx([0.75, 0.25])


def test_logits_are_averaged_as_they_are() -> None:
    """4 and 0 with 0 and 2 are 2 and 1, also where the numbers are no logits but predicted."""
    outputs = ask(saying(4.0, 0.0), saying(0.0, 2.0), combine="logits")
    assert outputs.tolist() == [2.0, 1.0]


def test_one_sure_member_outweighs_in_logits_and_not_in_probabilities() -> None:
    """Two members say the second class a little, one the first very surely."""
    members = (saying(30.0, 0.0), saying(0.0, 1.0), saying(0.0, 1.0))
    assert ask(*members, combine="logits").argmax().item() == 0
    probabilities = ask(*members, combine="probabilities").exp()
    # (1 + 2 / (1 + e)) / 3
    assert probabilities[0].item() == pytest.approx((1 + 2 / (1 + math.e)) / 3, abs=1e-6)


@pytest.mark.parametrize("combine", ["probabilities", "logits"])
def test_half_precision_outputs_are_averaged_in_full(combine: str) -> None:
    """1 and 1.0078125 are neighbours in bf16: their mean lies between them."""
    low, high = (saying(0.0, value, dtype=torch.bfloat16) for value in (1.0, 1.0078125))
    outputs = ask(low, high, combine=combine)
    assert outputs.dtype == torch.float32
    assert 1.0 < (outputs[1] - outputs[0]).item() < 1.0078125


def test_impossible_classes_stay_impossible_and_finite() -> None:
    """A class at -1000 in all members has a logarithm, and no NaN."""
    outputs = ask(saying(0.0, -1000.0), saying(0.0, -2000.0), combine="probabilities")
    assert outputs.isfinite().all()
    assert outputs[1].item() == pytest.approx(-1000 - math.log(2))


def test_members_learn_nothing_of_each_other() -> None:
    """Their weights lie side by side, each below its number."""
    net = Ensemble([saying(1.0), saying(2.0)], image_shape=(1, 2, 2), num_outputs=1)
    assert list(net.state_dict()) == ["members.0.logits", "members.1.logits"]


@pytest.mark.parametrize("combine", ["probabilities", "logits"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_uncertainty_is_the_mean_of_the_members(combine: str, temperature: float) -> None:
    """Of one that is sure and one that is not; a temperature divides logits of each and noise."""
    sure, unsure = Unsure([8.0, 0.0]), Unsure([0.0, 0.0])
    members = [lambda each=each, **_: each for each in (sure, unsure)]
    net = Ensemble(members, combine, image_shape=(1, 2, 2), num_outputs=2)  # type: ignore[arg-type]
    predictor = as_predictor(net.eval(), temperature)
    model: nn.Module | Uncertain = predictor
    assert predicts_uncertainty(model)
    outputs, uncertainties = with_uncertainty(model, IMAGES)
    low, high = (
        # noise of variance e at temperature 1, e / 4 at 2
        uncertainty_of(
            each(IMAGES) / temperature, torch.full((1, 2), 1.0 - 2 * math.log(temperature))
        ).item()
        for each in (sure, unsure)
    )
    assert low < 0.25 * high
    assert uncertainties.tolist() == pytest.approx([(low + high) / 2], abs=1e-6)
    assert torch.equal(outputs, predictor(IMAGES))


def test_no_uncertainty_where_a_member_predicts_none() -> None:
    """A mean over some of them would be that of another ensemble; the record says so."""
    mixed = [Unsure([1.0, 0.0]), Constant([1.0, 0.0]), Unsure([0.0, 1.0])]
    net = Ensemble(
        [lambda each=each, **_: each for each in mixed], image_shape=(1, 2, 2), num_outputs=2
    )
    assert not predicts_uncertainty(net)
    said = "; no uncertainty is recorded: 1 of them predicts none"
    assert lack_of_uncertainty(list(net.members)) == said
    assert lack_of_uncertainty(mixed[1:2]) == lack_of_uncertainty(mixed[:1]) == ""
