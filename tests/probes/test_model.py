"""Probing a model: it changes nothing, and its numbers agree with nets worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.models.scan_line import ScanLineTransformer
from expkit.probes.model import look_at_layers, probe_loss, probe_model
from expkit.training.device import Device
from expkit.training.learner import Learner

DEVICE = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
UNIT = Normalizer(torch.full((3,), 1 / 255), torch.zeros(3))


def pictures(count: int = 12, size: int = 32, num_classes: int = 4) -> Split:
    generator = torch.Generator().manual_seed(0)
    shape = (count, size, size, 3)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    names = [str(i) for i in range(count)]
    return Split("train", images, torch.arange(count) % num_classes, names, names, UNIT)


def learner_of(model: nn.Module, **options: Any) -> Learner:
    given = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(given)
    loss = nn.CrossEntropyLoss()
    return Learner(model, optimizer, loss, DEVICE, scale=lambda *_: 1.0, **options)


def scan_line() -> nn.Module:
    return ScanLineTransformer(
        layers=2, width=16, heads=2, feed_forward=32, image_shape=(3, 32, 32), num_outputs=4
    )


def resnet() -> nn.Module:
    import timm

    net: nn.Module = timm.create_model("resnet18", num_classes=4, drop_rate=0.2)
    return net


class Unlike(nn.Module):
    """Cannot be deep-copied, replaces its buffer, and draws in eval mode too."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 32 * 32, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.cache = self.linear.weight * 2  # not a leaf: deepcopy refuses it

    def forward(self, images_BCHW: Tensor) -> Tensor:
        self.calls = self.calls + torch.rand(())
        outputs: Tensor = self.linear(images_BCHW.flatten(1))
        return outputs


def state_of(learner: Learner) -> tuple[list[Tensor], list[Any]]:
    """All that a look could disturb: tensors, and plain values."""
    model = learner.model
    tensors = [*model.parameters(), *model.buffers()]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    moments = [t for state in learner.optimizer.state.values() for t in state.values()]
    copies = [t.detach().clone() for t in [*tensors, *gradients, *moments, torch.get_rng_state()]]
    return copies, [
        [id(t) for t in [*tensors, *gradients]],
        [module.training for module in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
    ]


@pytest.mark.parametrize("make", [scan_line, resnet, Unlike])
def test_probing_changes_nothing(make: Any) -> None:
    """Weights, buffers, modes, gradients, optimizer, generator and hooks are as they were."""
    torch.manual_seed(0)
    learner = learner_of(make())
    split = pictures()
    learner.train_mode()
    images, targets = next(split.batches(4))
    learner.forward_backward(images, targets)
    learner.step()
    learner.forward_backward(images, targets)  # gradients that a probe must not clear or add to
    next(iter(learner.model.modules())).training = False
    before = state_of(learner)
    probe_model(learner, split)
    look_at_layers(learner.model, images, targets, learner.loss, DEVICE)
    after = state_of(learner)
    assert after[1] == before[1]
    assert all(torch.equal(a, b) for a, b in zip(after[0], before[0], strict=True))


class Linear(nn.Module):
    """y = w x of images of one pixel, with w = (1, -1): everything can be worked out."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0], [-1.0]]))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs: Tensor = self.head(images_BCHW.flatten(1))
        return outputs


def test_probe_by_hand() -> None:
    """Pixels 0 and 2 of classes 0 and 1: answers, loss and gradient as worked out on paper."""
    images = torch.tensor([0, 2], dtype=torch.uint8).view(2, 1, 1, 1)
    plain = Normalizer(torch.ones(1), torch.zeros(1))
    split = Split("train", images, torch.tensor([0, 1]), ["a", "b"], ["a", "b"], plain)
    probe = probe_model(learner_of(Linear()), split)
    # answers (0, 0) and (2, -2): losses ln 2 and ln(1 + e^4)
    assert probe["loss"] == pytest.approx((0.693147 + 4.018150) / 2)
    assert probe["expected_loss"] == pytest.approx(0.693147)
    assert probe["outputs"]["rms"] == pytest.approx(2**0.5)
    assert probe["outputs"]["std_across_samples"] == pytest.approx(1.0)
    assert probe["inputs"] == {"mean": 1.0, "std": 1.0, "min": 0.0, "max": 2.0, "non_finite": 0.0}
    # d/dw of the second sample alone: x (p - onehot) / B = 2 * (0.982, -0.982) / 2
    (row,) = probe["parameters"]
    assert row["gradient_rms"] == pytest.approx(0.982014)
    assert probe["gradient_norm"] == pytest.approx(0.982014 * 2**0.5)
    assert (row["kind"], row["trainable"], row["optimised"]) == ("weight", True, True)
    assert probe["last_operation"] == "Mm"
    (layer,) = probe["layers"]
    # of each unit: mean +-1, energy 2, variance 1
    assert layer["relative_std"] == pytest.approx(0.5**0.5)


def test_a_look_is_an_evaluation() -> None:
    """Its loss is that of eval mode, whatever mode the model is in, and its layers are told."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.Dropout(0.9), nn.Linear(8, 4))
    images, targets = next(pictures().batches(12))
    look = look_at_layers(model.train(), images, targets, nn.CrossEntropyLoss(), DEVICE)
    with torch.no_grad():
        expected = nn.functional.cross_entropy(model.eval()(images), targets).item()
    assert look["probe_loss"] == pytest.approx(expected)
    assert [layer["name"] for layer in look["layers"]] == ["1", "3"]
    assert set(look) == {"layers", "outputs", "probe_loss"}


def test_dead_and_saturated_units() -> None:
    """Two of four ReLUs are dead, and all sigmoids stand at their limit, by their biases."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(3072, 4), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4)
    )
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([-99.0, -99.0, 99.0, 99.0]))
        model[3].weight.zero_()
        model[3].bias.fill_(50.0)
    layers = {row["name"]: row for row in probe_model(learner_of(model), pictures())["layers"]}
    assert layers["2"]["dead_fraction"] == 0.5
    assert layers["4"]["saturated_fraction"] == 1.0
    assert layers["1"]["dead_fraction"] is None
    assert layers["4"]["relative_std"] == pytest.approx(0.0, abs=1e-6)


class Shared(nn.Module):
    """One ReLU called twice, a tuple for an answer inside, and a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3072, 8), nn.Linear(8, 4)
        self.relu, self.unused = nn.ReLU(), nn.Linear(3, 3)
        self.recurrent = nn.GRU(8, 8, batch_first=True)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        hidden_BTD = self.relu(self.first(images_BCHW.flatten(1)))[:, None]
        answers_BTD, _ = self.recurrent(hidden_BTD)
        outputs: Tensor = self.relu(self.second(answers_BTD[:, -1]))
        return outputs


def test_layers_of_an_awkward_net() -> None:
    """Each call is told, tuples by their first tensor; what is not called is not there."""
    probe = probe_model(learner_of(Shared()), pictures())
    names = [row["name"] for row in probe["layers"]]
    assert names == ["first", "relu", "recurrent", "second", "relu (call 2)"]
    unused = next(row for row in probe["parameters"] if row["name"] == "unused.weight")
    assert unused["gradient_rms"] is None


def normed(*, gain: float = 1e-2, depth: int = 6) -> nn.Sequential:
    """Weights drawn far too small, each held up by a batch norm."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(3072, 8)]
    for _ in range(depth):
        layers += [nn.BatchNorm1d(8), nn.Linear(8, 8, bias=False)]
        nn.init.constant_(layers[-1].weight, gain)  # type: ignore[arg-type]
    return nn.Sequential(*layers)


def sizes(model: nn.Module, **options: Any) -> list[float]:
    """The size of what the last norm gives to the last layer, in the probe's modes."""
    rows = {
        row["name"]: row["rms"]
        for row in probe_model(learner_of(model, **options), pictures())["layers"]
    }
    return [rows["2"], rows["12"]]


def test_norms_without_statistics_take_the_batchs_as_in_training() -> None:
    """Every norm gives size 1, first and last; its running statistics are left at 0 and 1."""
    model = normed()
    assert sizes(model) == pytest.approx([1.0, 1.0], rel=1e-3)
    for norm in (model[2], model[12]):
        assert norm.num_batches_tracked == 0
        assert not norm.running_mean.any()
        assert (norm.running_var == 1).all()


def test_norms_with_statistics_are_looked_at_in_eval_mode() -> None:
    """A mean of 0 and a variance of 4 halve what comes; so do frozen norms of 0 and 1 leave it."""
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3072), nn.Linear(3072, 4))
    plain = probe_model(learner_of(model, frozen=[model[1]]), pictures())["layers"][0]["rms"]
    model[1].running_var.fill_(4.0)
    halved = probe_model(learner_of(model), pictures())["layers"][0]["rms"]
    assert halved == pytest.approx(plain / 2, rel=1e-4)


def test_frozen_norms_are_not_told_as_wrong() -> None:
    """What the learner froze stays in eval mode on purpose; what the model keeps there does not."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(3600, 4))
    assert probe_model(learner_of(model), pictures())["not_training"] == []
    assert probe_model(learner_of(model, frozen=[model[1]]), pictures())["not_training"] == []
    model[1].train = lambda mode=True: model[1]  # type: ignore[method-assign]
    model[1].training = False
    assert probe_model(learner_of(model), pictures())["not_training"] == ["1"]


def test_cross_entropy_by_hand() -> None:
    """At equal answers ln 3, at answers of 10 next to nothing, at wrong ones 10."""
    targets = torch.tensor([0, 1, 2])
    probe = probe_loss(nn.CrossEntropyLoss(), 3, targets, DEVICE)
    assert probe["at_uniform"] == pytest.approx(1.098612)
    assert probe["at_right"] == pytest.approx(9.08e-5, rel=1e-2)
    assert probe["at_wrong"] == pytest.approx(10.0, abs=1e-3)
    assert probe["gradient_at_uniform"] == pytest.approx(1.0)
    assert probe["target_gradient"] == pytest.approx(-2 / 3)


def test_label_smoothing_takes_its_share_of_the_gradient() -> None:
    """With s = 0.9 a tenth of cross-entropy's gradient is left."""
    loss = nn.CrossEntropyLoss(label_smoothing=0.9)
    probe = probe_loss(loss, 10, torch.tensor([0]), DEVICE)
    assert probe["gradient_at_uniform"] == pytest.approx(0.1)


def test_a_loss_of_numbers() -> None:
    """Off by each target's standard deviation, the mean squared error is their mean variance."""
    targets = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    probe = probe_loss(nn.MSELoss(), 2, targets, DEVICE)
    assert probe == {"at_right": 0.0, "at_wrong": pytest.approx(2.5), "has_gradient": True}


def test_a_loss_that_refuses() -> None:
    """A loss that cannot take such answers is recorded with its reason."""
    assert "error" in probe_loss(nn.BCELoss(), 3, torch.tensor([0]), DEVICE)
