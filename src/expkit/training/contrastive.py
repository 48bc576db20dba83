"""Contrastive pre-training: two views of an image are to be nearer than views of two images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.data.store.split import Augment
from expkit.optim.parameter_names import modules_of_head
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan
from expkit.training.seeding import seed_everything

UNIFORMITY_SCALE = 2.0  # of squared distances (arXiv:2005.10242)
Views = Mapping[str, Augment]
"""The augmentation that makes the views of each projection head."""


class ContrastiveModel(nn.Module):
    """A net up to its classifier, and projection heads in the classifier's place."""

    def __init__(self, net: nn.Module, projections: Mapping[str, nn.Module], where: str) -> None:
        super().__init__()
        self.net = net
        self.projections = nn.ModuleDict(projections)
        self._classifier = next(iter(modules_of_head(net, where)))

    def forward(self, images_BCHW: Tensor, head: str | None = None) -> Tensor:
        """The features B x D, or a head's embeddings of them."""
        features_BD = classifier_inputs(self.net, self._classifier, images_BCHW)
        return features_BD if head is None else self.project(features_BD, head)

    def project(self, features_BD: Tensor, head: str) -> Tensor:
        embeddings_BE: Tensor = self.projections[head](features_BD)
        return embeddings_BE


def classifier_inputs(net: nn.Module, classifier: str, images_BCHW: Tensor) -> Tensor:
    """Return what the net gives its classifier: whatever it makes of the outputs is not used."""
    given: list[Tensor] = []
    watched = net.get_submodule(classifier).register_forward_pre_hook(
        lambda _, inputs: given.append(inputs[0])
    )
    try:
        net(images_BCHW)
    finally:
        watched.remove()
    return given[0].flatten(1)


def projection_head(num_features: int, hidden_size: int, embedding_size: int) -> nn.Sequential:
    """Two layers, which are dropped after pre-training."""
    return nn.Sequential(
        nn.Linear(num_features, hidden_size),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_size, embedding_size),
    )


def nt_xent(embeddings_2BE: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The loss of SimCLR, and the cosines between all views; row i and row B + i are one image's.

    Each view's cross-entropy of finding the other among all but itself, in fp32.
    """
    with torch.autocast(embeddings_2BE.device.type, enabled=False):
        units_2BE = functional.normalize(embeddings_2BE.float(), dim=1)
        cosines = units_2BE @ units_2BE.T
        itself = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
        logits = (cosines / temperature).masked_fill(itself, -torch.inf)
        loss = functional.cross_entropy(logits, other_views(len(cosines), cosines.device))
    return loss, cosines.detach()


def other_views(num_views: int, device: torch.device) -> Tensor:
    """The row of each view's partner."""
    return torch.arange(num_views, device=device).roll(num_views // 2)


def alignment(cosines: Tensor) -> Tensor:
    """The mean squared distance between the two views of an image."""
    partners = other_views(len(cosines), cosines.device)
    return (2 - 2 * cosines.gather(1, partners[:, None])).mean()


def uniformity(cosines: Tensor) -> Tensor:
    """The logarithm of the mean closeness of all pairs: 0 where all are equal, lower is wider."""
    itself = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    closeness = (-UNIFORMITY_SCALE * (2 - 2 * cosines)).masked_fill(itself, -torch.inf)
    num_pairs = len(cosines) * (len(cosines) - 1)
    return closeness.flatten().logsumexp(0) - torch.tensor(float(num_pairs)).log()


@dataclass(frozen=True)
class AllViews:
    """Augments a batch into two views of each image for each head, one after the other."""

    views: Views

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        twice = torch.cat([images_BCHW, images_BCHW])
        return torch.cat([augment(twice) for augment in self.views.values()])


def forward_backward(
    learner: Learner, images: Tensor, heads: Sequence[str], temperature: float
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Add the gradients of a batch, head by head; yield each head's loss and cosines."""
    for name, images_2BCHW in zip(heads, images.chunk(len(heads)), strict=True):
        with learner.device.autocast():
            embeddings = learner.forward(learner.device.arrange(images_2BCHW), name)
        loss, cosines = nt_xent(embeddings, temperature)
        learner.scaler.scale(loss / len(heads)).backward()
        yield name, loss.detach(), cosines


def contrastive_epoch(
    learner: Learner, plan: EpochPlan, views: Views, temperature: float, number: int
) -> Epoch:
    """Train one pass over the images; every epoch draws from its own seed."""
    started = time.perf_counter()
    seed_everything(plan.seed, "epoch", number)
    sums: dict[str, Tensor] = {}
    learner.train_mode()
    batches = plan.split.batches(
        plan.batch_size, shuffle=True, generator=plan.order(number), augment=AllViews(views)
    )
    num_steps = len(plan.batch_sizes)
    for index, (images, _) in enumerate(batches):
        for name, loss, cosines in forward_backward(learner, images, list(views), temperature):
            for metric, value in _measure(loss, cosines, name, len(views)).items():
                sums[metric] = sums.get(metric, 0) + plan.batch_sizes[index] * value
        learner.set_lr(learner.scale(number - 1 + (index + 0.5) / num_steps, plan.max_epochs))
        learner.step()
    metrics = {name: float(total) / len(plan.split) for name, total in sums.items()}
    return Epoch(
        number=number,
        step=number * num_steps,
        metrics=metrics,
        lr=learner.lr,
        seconds=time.perf_counter() - started,
        num_samples=len(plan.split),
    )


@torch.no_grad()
def _measure(loss: Tensor, cosines: Tensor, head: str, num_heads: int) -> dict[str, Tensor]:
    """The figures of one head's batch: means over the heads, and the loss of each of several."""
    figures = {
        "loss": loss / num_heads,
        "alignment": alignment(cosines) / num_heads,
        "uniformity": uniformity(cosines) / num_heads,
    }
    return figures | ({f"loss_{head}": loss} if num_heads > 1 else {})
