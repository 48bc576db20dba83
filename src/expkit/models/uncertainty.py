"""Noise of the logits that a model predicts itself, learnt by sampling (Kendall and Gal, 2017).

Trained on the mean softmax of noisy logits, a model that is wrong on a kind of samples loses less
by predicting much noise there. What it predicts is the uncertainty that lies in the samples, not
that of a model which has seen too few of them.
"""

from __future__ import annotations

import functools
import math
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn

INITIAL = -2.0  # log-variance at the start: a std of 0.37 beside logits that start near zero
NUM_DRAWS = 64  # of the noise at evaluation
LIMITS = (-10.0, 6.0)  # of the log-variance: a std of 0.007 to 20


class Uncertain(Protocol):
    """A model that predicts the log-variance of its logits beside them.

    `predicts_uncertainty` is true, and in training mode calling it gives what
    `sample_log_probabilities` does; else its logits.
    """

    predicts_uncertainty: bool

    def forward_with_log_variance(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and the log-variance of each (B x C), or one for all (B x 1)."""
        ...


def predicts_uncertainty(model: nn.Module | Uncertain) -> TypeGuard[Uncertain]:
    """Tell whether a model has an uncertainty for each sample."""
    return bool(getattr(model, "predicts_uncertainty", False))


def log_variance_head(width: int, num_outputs: int) -> nn.Linear:
    """Make a linear layer that predicts little noise at the start, nearly the same for all."""
    head = nn.Linear(width, num_outputs)
    nn.init.trunc_normal_(head.weight, std=0.02)
    nn.init.constant_(head.bias, INITIAL)
    return head


def sample_log_probabilities(
    logits_BC: Tensor, log_variance_BC: Tensor, num_samples: int
) -> Tensor:
    """Return the log of the mean softmax of noisy logits, in fp32; its own log_softmax is itself.

    The noise is drawn on the device from torch's global generator, which every epoch seeds.
    """
    noise_TBC = torch.randn((num_samples, *logits_BC.shape), device=logits_BC.device)
    return _log_mean_softmax(logits_BC, log_variance_BC, noise_TBC)


def with_uncertainty(
    model: Uncertain, images_BCHW: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the logits over a temperature, and the uncertainty of each sample.

    A model that is made of others has a method `forward_with_uncertainty` of these arguments.
    """
    if hasattr(model, "forward_with_uncertainty"):
        found: tuple[Tensor, Tensor] = model.forward_with_uncertainty(images_BCHW, temperature)
        return found
    logits_BC, log_variance_BC = model.forward_with_log_variance(images_BCHW)
    uncertainties_B = uncertainty_of(logits_BC, log_variance_BC, temperature)
    return logits_BC.float() / temperature, uncertainties_B


def uncertainty_of(logits_BC: Tensor, log_variance_BC: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the entropy of each sample's mean softmax of noisy logits, in nats: 0 to ln C.

    The temperature divides the logits, and their noise with them.

    The noise is one set of draws, the same for every sample of every batch. The predicted std alone
    is no measure of doubt: it grows with the logits, and was largest where predictions were right.
    """
    log_p_BC = _log_mean_softmax(
        logits_BC.float() / temperature,
        log_variance_BC.float() - 2 * math.log(temperature),
        fixed_noise(logits_BC.shape[-1]).to(logits_BC.device),
    )
    return (-(log_p_BC.exp() * log_p_BC).sum(-1)).clamp_min(0)


@functools.cache
def fixed_noise(num_outputs: int) -> Tensor:
    """Draw the noise of every evaluation: always the same."""
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(NUM_DRAWS, 1, num_outputs, generator=drawn)


def _log_mean_softmax(logits_BC: Tensor, log_variance_BC: Tensor, noise_TBC: Tensor) -> Tensor:
    with torch.autocast(logits_BC.device.type, enabled=False):
        std_BC = (log_variance_BC.float().clamp(*LIMITS) / 2).exp()
        log_p_TBC = (logits_BC.float() + std_BC * noise_TBC).log_softmax(-1)
        return log_p_TBC.logsumexp(0) - math.log(len(noise_TBC))
