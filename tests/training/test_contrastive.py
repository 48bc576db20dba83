"""NT-Xent by hand, views with draws of their own, and features before any classifier."""

from __future__ import annotations

import math

import pytest
import timm
import torch
from torch import Tensor, nn

from expkit.augment.pipeline import Augmentation
from expkit.errors import UserError
from expkit.models.conv import ConvNet
from expkit.models.scan_line import ScanLineTransformer
from expkit.optim.parameter_names import modules_of_head, state_of_head
from expkit.training.contrastive import (
    AllViews,
    ContrastiveModel,
    alignment,
    classifier_inputs,
    nt_xent,
    projection_head,
    uniformity,
)


def test_the_loss_is_the_cross_entropy_of_finding_the_other_view() -> None:
    """Two images, views equal and images at right angles: ln(1 + 2 exp(-1 / temperature)).

    Each view has its partner at cosine 1 and two others at cosine 0.
    """
    views = torch.tensor([[3.0, 0.0], [0.0, 0.1], [1.0, 0.0], [0.0, 7.0]])
    loss, cosines = nt_xent(views, 0.1)
    assert loss.item() == pytest.approx(math.log(1 + 2 * math.exp(-10)), rel=1e-3)
    warm, _ = nt_xent(views, 0.5)
    assert warm.item() == pytest.approx(math.log(1 + 2 * math.exp(-2)), rel=1e-6)
    assert cosines[0].tolist() == [1.0, 0.0, 1.0, 0.0]


def test_the_loss_of_views_that_disagree() -> None:
    """By hand: partners at cosines 0.6 and 0.8, every pair of three images written out."""
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    second = torch.tensor([[0.6, 0.8], [0.6, 0.8], [-0.8, 0.6]])
    units = torch.cat([first, second]).double()
    expected = []
    for i in range(6):
        others = [math.exp(float(units[i] @ units[j]) / 0.5) for j in range(6) if j != i]
        partner = math.exp(float(units[i] @ units[(i + 3) % 6]) / 0.5)
        expected.append(-math.log(partner / sum(others)))
    loss, _ = nt_xent(units.float(), 0.5)
    assert loss.item() == pytest.approx(sum(expected) / 6, rel=1e-6)


def test_equal_embeddings_cost_the_logarithm_of_the_others() -> None:
    """Nothing is told from anything: one of 2B - 1 is guessed, views coincide, all is one point."""
    loss, cosines = nt_xent(torch.ones(8, 5), 0.1)
    assert loss.item() == pytest.approx(math.log(7), rel=1e-6)
    assert alignment(cosines).item() == pytest.approx(0, abs=1e-6)
    assert uniformity(cosines).item() == pytest.approx(0, abs=1e-6)


def test_alignment_and_uniformity_of_a_square() -> None:
    """Partners opposite each other: squared distance 4; of 12 pairs 4 at 4 and 8 at 2."""
    square = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    _, cosines = nt_xent(square, 0.1)
    assert alignment(cosines).item() == pytest.approx(4)
    expected = math.log((4 * math.exp(-8) + 8 * math.exp(-4)) / 12)
    assert uniformity(cosines).item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_of_fp32_under_autocast() -> None:
    """A temperature of 0.1 on cosines of bf16 would round away what is learnt."""
    embeddings = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    plain, _ = nt_xent(embeddings, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = nt_xent(embeddings, 0.1)
    assert mixed.equal(plain)


class Noise(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return (images + 0.1 * torch.rand_like(images)) / 1.1


def test_the_two_views_differ_and_are_seeded() -> None:
    """The same seed draws the same views, head after head; no two views are one."""
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    views = AllViews({"a": Augmentation({"noise": Noise()}), "b": Augmentation({"n": Noise()})})
    torch.manual_seed(1)
    once = views(images)
    torch.manual_seed(1)
    again = views(images)
    assert once.shape == (12, 1, 4, 4)
    assert once.equal(again)
    first, second, third, fourth = once.split(3)
    for each, other in ((first, second), (second, third), (third, fourth), (first, third)):
        assert not each.isclose(other).all(dim=(1, 2, 3)).any()


NETS = {
    "conv": lambda: ConvNet((4, 8), (5,), image_shape=(3, 32, 32), num_outputs=7),
    "scan_line": lambda: ScanLineTransformer(
        1, 16, 2, 16, 0.0, image_shape=(3, 32, 32), num_outputs=7
    ),
    "resnet": lambda: timm.create_model("test_resnet", num_classes=7),
    "vit": lambda: timm.create_model("test_vit", num_classes=7, img_size=32),
    "convnext": lambda: timm.create_model("test_convnext", num_classes=7),
}


@pytest.mark.parametrize("name", NETS)
def test_features_are_what_the_classifier_is_given(name: str) -> None:
    """The head of them gives the net's own outputs: of ours, and of timm's of every kind."""
    torch.manual_seed(0)
    net = NETS[name]().eval()
    (classifier,) = modules_of_head(net, "test")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = classifier_inputs(net, classifier, images)
        assert features.ndim == 2
        assert net.get_submodule(classifier)(features).allclose(net(images), atol=1e-6)
    if hasattr(net, "forward_head"):
        plain = net.forward_head(net.forward_features(images), pre_logits=True)
        assert features.allclose(plain, atol=1e-6)
    assert not net.get_submodule(classifier)._forward_pre_hooks


def test_the_state_of_a_head_has_its_buffers() -> None:
    """What is left out of a backbone's file is all of the head, and nothing else."""
    net = nn.Module()
    net.body = nn.Linear(3, 4)
    net.head = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    names = state_of_head(net, "test")
    assert {"head.0.running_mean", "head.0.num_batches_tracked", "head.1.bias"} <= names
    assert not any(name.startswith("body") for name in names)


def test_a_net_without_a_head_is_refused() -> None:
    with pytest.raises(UserError, match="does not say") as refused:
        ContrastiveModel(
            nn.Sequential(nn.Linear(2, 2)),
            {"views": projection_head(2, 2, 2)},
            "procedure.pretrain",
        )
    assert "get_classifier" in (refused.value.details["do"] or "")


def test_heads_project_the_same_features_on_their_own() -> None:
    torch.manual_seed(0)
    net = ConvNet((4, 8), image_shape=(1, 8, 8), num_outputs=3)
    heads = {name: projection_head(8, 8, 5) for name in ("geometric", "texture")}
    model = ContrastiveModel(net, heads, "test").eval()
    images = torch.rand(2, 1, 8, 8)
    features = model(images)
    assert features.equal(net.backbone(images))
    for name in heads:
        assert model(images, name).equal(model.project(features, name))
    assert not model(images, "geometric").equal(model(images, "texture"))
