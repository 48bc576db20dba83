"""The loop against a line fitted by hand, and what it must leave alone."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import pytest
import torch
from line_learner import DEVICE, TWO_POINTS, learner_of, line, numbers, points
from torch import Tensor, nn

from expkit.data.store.split import Split
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.loop import EpochPlan, evaluate, train_epochs


def test_one_epoch_by_hand() -> None:
    """One step of 0.1 from (0, 0) goes to (0.2, 0.3); the event has the loss before it."""
    learner = learner_of(line())
    (epoch,) = train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0))
    assert epoch.metrics == pytest.approx({"loss": 2.5})
    assert numbers(learner.model) == pytest.approx([0.2, 0.3])
    assert (epoch.number, epoch.step, epoch.num_samples, epoch.lr) == (1, 1, 2, 0.1)
    assert epoch.seconds > 0


def test_evaluation_by_hand() -> None:
    """At (0.2, 0.3) the answers 0.3 and 0.5 are off by 0.7 and 1.5."""
    learner = learner_of(line())
    next(train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0)))
    assert evaluate(learner, TWO_POINTS, 2) == pytest.approx({"loss": (0.49 + 2.25) / 2})


def test_two_batches_by_hand() -> None:
    """The second batch meets what the first one left, and both count by their size."""
    # batch 1 (x=0, y=1 twice): loss 1, gradient of b -2, so b = 0.2
    # batch 2 (x=1, y=2 thrice): y - (w + b) = 1.8, loss 3.24, gradients -3.6: w = 0.36, b = 0.56
    split = points([0, 0, 1, 1, 1], torch.tensor([[1.0], [1], [2], [2], [2]]))
    learner = learner_of(line())
    (epoch,) = train_epochs(
        learner, EpochPlan(split, batch_size=2, max_epochs=1, seed=0, shuffle=False)
    )
    assert epoch.metrics == pytest.approx({"loss": (2 * 1 + 3 * 3.24) / 5})
    assert numbers(learner.model) == pytest.approx([0.36, 0.56])
    assert epoch.step == 2


def test_classes_by_hand() -> None:
    """A net that answers alike is right where class 0 is right, at loss ln 10."""
    split = points([3, 1, 4, 1, 5], torch.tensor([0, 5, 0, 4, 2]))
    learner = learner_of(line(num_outputs=10))
    learner.loss = nn.CrossEntropyLoss()
    expected = {"loss": log(10), "accuracy": 0.4, "top5_accuracy": 0.8}
    assert evaluate(learner, split, 2) == pytest.approx(expected)
    (epoch,) = train_epochs(learner, EpochPlan(split, batch_size=5, max_epochs=1, seed=0))
    assert epoch.metrics == pytest.approx(expected)


def test_balanced_draws_score_as_the_samples_come() -> None:
    """A net that always answers class 0 has the accuracy of its share, drawn by class or not.

    Of 90 and 10 samples drawn equally often about half are right, and an evaluation says 90 %.
    """
    targets = torch.tensor([0] * 90 + [1] * 10)
    split = replace(points(range(100), targets), class_names=("common", "rare"))
    learner = learner_of(line(num_outputs=2), lr=0.0)
    learner.loss = nn.CrossEntropyLoss()
    (epoch,) = train_epochs(
        learner, EpochPlan(split, batch_size=10, max_epochs=1, seed=0, balanced=True)
    )
    assert epoch.metrics["accuracy"] == pytest.approx(0.9)
    assert evaluate(learner, split, 10)["accuracy"] == pytest.approx(0.9)


def test_nothing_happens_before_it_is_asked_for() -> None:
    """An epoch at each `next`: who stops asking, stops the training."""
    learner = learner_of(line())
    epochs = train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=3, seed=0))
    assert numbers(learner.model) == [0, 0]
    next(epochs)
    assert numbers(learner.model) == pytest.approx([0.2, 0.3])
    assert [epoch.number for epoch in epochs] == [2, 3]


def test_clipping_bounds_the_step() -> None:
    """A gradient (-2, -3) cut to length 0.5 moves a step of rate 1 by 0.5, the same way."""
    learner = learner_of(line(), lr=1.0, max_gradient_norm=0.5)
    next(train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0)))
    length = sqrt(2**2 + 3**2)
    assert numbers(learner.model) == pytest.approx([0.5 * 2 / length, 0.5 * 3 / length])


def test_clipping_leaves_short_gradients() -> None:
    """Within the bound nothing is cut."""
    learner = learner_of(line(), max_gradient_norm=10)
    next(train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0)))
    assert numbers(learner.model) == pytest.approx([0.2, 0.3])


def test_rate_follows_the_schedule() -> None:
    """Asked at the middle of each step; every group keeps its own rate, scaled."""
    asked = []

    def scale(epochs: float, max_epochs: int) -> float:
        asked.append((epochs, max_epochs))
        return epochs

    model = line()
    weight, bias = model.parameters()
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 0.2}, {"params": [bias]}], 0.1)
    learner = learner_of(model, optimizer=optimizer, scale=scale)
    split = points([0, 0, 1, 1], torch.zeros(4, 1))
    rates = [
        epoch.lr
        for epoch in train_epochs(learner, EpochPlan(split, batch_size=2, max_epochs=2, seed=0))
    ]
    assert asked == [(0.25, 2), (0.75, 2), (1.25, 2), (1.75, 2)]
    assert rates == pytest.approx([0.2 * 0.75, 0.2 * 1.75])
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.35, 0.175])


def test_rate_scales_the_step() -> None:
    """Half the rate, half the step."""
    learner = learner_of(line(), scale=lambda epochs, max_epochs: 0.5)
    next(train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0)))
    assert numbers(learner.model) == pytest.approx([0.1, 0.15])


def normed() -> nn.Sequential:
    """Batch norm, then dropout: both tell training from standing still."""
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(1, 1))


MANY_POINTS = points(range(8), torch.arange(8.0)[:, None])


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_batch_norm_keeps_its_statistics(frozen: bool) -> None:
    """Its running statistics stand still, while its scale and all else learn, with dropout."""
    model = normed()
    before = model[0].running_mean.clone()
    learner = learner_of(model, frozen=[model[0]] if frozen else [])
    next(train_epochs(learner, EpochPlan(MANY_POINTS, batch_size=4, max_epochs=1, seed=0)))
    assert torch.equal(model[0].running_mean, before) == frozen
    assert bool(model[0].num_batches_tracked == 0) == frozen
    assert model[0].bias.item() != 0
    assert model[2].training


def test_frozen_batch_norm_learns_from_one_sample() -> None:
    """One sample has no statistics of its own, which batch norm in training refuses."""
    split = points([3], torch.tensor([[1.0]]))
    model = normed()
    learner = learner_of(model, frozen=[model[0]])
    (epoch,) = train_epochs(learner, EpochPlan(split, batch_size=1, max_epochs=1, seed=0))
    assert epoch.num_samples == 1
    with pytest.raises(ValueError, match="more than 1 value"):
        next(
            train_epochs(learner_of(normed()), EpochPlan(split, batch_size=1, max_epochs=1, seed=0))
        )


def test_evaluation_leaves_everything_alone() -> None:
    """Weights, running statistics, gradients and random draws are as they were."""
    learner = learner_of(normed())
    next(train_epochs(learner, EpochPlan(MANY_POINTS, batch_size=4, max_epochs=1, seed=0)))
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    draws = torch.get_rng_state()
    first = evaluate(learner, MANY_POINTS, 3)
    assert evaluate(learner, MANY_POINTS, 3) == first
    for name, value in learner.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(torch.get_rng_state(), draws)
    assert all(parameter.grad is None for parameter in learner.model.parameters())


def test_training_after_an_evaluation_is_training_again() -> None:
    """Dropout is back, so that evaluating between epochs changes no number."""
    plain, watched = learner_of(normed()), learner_of(normed())
    for _ in train_epochs(plain, EpochPlan(MANY_POINTS, batch_size=4, max_epochs=3, seed=0)):
        pass
    for _ in train_epochs(watched, EpochPlan(MANY_POINTS, batch_size=4, max_epochs=3, seed=0)):
        evaluate(watched, MANY_POINTS, 4)
    assert numbers(watched.model) == numbers(plain.model)


def test_size_of_batches_does_not_change_an_evaluation() -> None:
    """Rests are weighed by their size: 8 samples in threes are 8 at once."""
    learner = learner_of(normed())
    assert evaluate(learner, MANY_POINTS, 3) == pytest.approx(evaluate(learner, MANY_POINTS, 8))


def test_one_seed_gives_the_same_numbers_twice() -> None:
    """Order and dropout come from the seed alone; another seed gives others."""

    def trained(seed: int) -> list[float]:
        torch.rand(int(torch.randint(1, 9, ())))  # something else draws before
        learner = learner_of(normed())
        for _ in train_epochs(
            learner, EpochPlan(MANY_POINTS, batch_size=3, max_epochs=2, seed=seed)
        ):
            torch.rand(3)  # and between the epochs
        return numbers(learner.model)

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_every_epoch_has_another_order() -> None:
    """The same batches in every epoch would be a smaller dataset."""
    seen: list[list[float]] = []

    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 1)

        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.flatten().tolist())
            outputs: Tensor = self.linear(images.flatten(1))
            return outputs

    learner = learner_of(Recorder(), lr=1e-9)
    for _ in train_epochs(learner, EpochPlan(MANY_POINTS, batch_size=8, max_epochs=3, seed=0)):
        pass
    assert [sorted(order) for order in seen] == [list(range(8))] * 3
    assert len({tuple(order) for order in seen}) == 3


def test_scaled_gradients_of_fp16_are_unscaled_before_clipping() -> None:
    """The bound is on the gradient's own length, not on 1024 times it."""
    device = Device(torch.device("cpu"), "fp16", channels_last=True, compile=False, reason="")
    learner = learner_of(line(), device=device, max_gradient_norm=10)
    learner.scaler.scale(torch.zeros(()))  # the scaler wakes up late
    learner.scaler.update(1024.0)
    next(train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0)))
    assert numbers(learner.model) == pytest.approx([0.2, 0.3], rel=1e-3)


def test_collected_batches_step_like_one_large_batch() -> None:
    """Two batches of 4 and 2 in one step move the weights as one batch of 6 does."""
    split = points([0, 1, 2, 3, 4, 5], torch.tensor([[1.0], [2.0], [0.0], [5.0], [-1.0], [3.0]]))
    small, large = learner_of(line()), learner_of(line())
    (in_two,) = train_epochs(
        small,
        EpochPlan(split, batch_size=4, batches_per_step=2, max_epochs=1, seed=0, shuffle=False),
    )
    (at_once,) = train_epochs(
        large, EpochPlan(split, batch_size=6, max_epochs=1, seed=0, shuffle=False)
    )
    assert in_two.step == at_once.step == 1
    assert numbers(small.model) == pytest.approx(numbers(large.model))


def test_last_step_of_an_epoch_may_collect_fewer_batches() -> None:
    """Five batches, two a step, are three steps, and the last learns from its one alone."""
    five = points([0] * 5, torch.zeros(5, 1))
    plan = EpochPlan(five, batch_size=1, max_epochs=1, seed=0, batches_per_step=2)
    assert plan.steps == [(0, 2), (2, 4), (4, 5)]


def test_averaged_weights_by_hand() -> None:
    """The first step sets the average, each later one moves it by 1 - decay of the way."""
    learner = learner_of(line(), ema_decay=0.75)
    epochs = train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=2, seed=0))
    next(epochs)
    first = numbers(learner.model)
    assert numbers(learner.eval_model) == pytest.approx(first)
    next(epochs)
    second = numbers(learner.model)
    mean = [0.75 * old + 0.25 * new for old, new in zip(first, second, strict=True)]
    assert numbers(learner.eval_model) == pytest.approx(mean)
    assert mean != pytest.approx(second)


def test_evaluation_is_of_the_averaged_weights() -> None:
    """What is reported is the model that is kept, not the one that the optimizer moves."""
    learner = learner_of(line(), ema_decay=0.5)
    list(train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=3, seed=0)))
    answers = learner.eval_model(next(TWO_POINTS.batches(2))[0])
    expected = ((answers - TWO_POINTS.targets) ** 2).mean().item()
    assert evaluate(learner, TWO_POINTS, 2)["loss"] == pytest.approx(expected)


def test_weighted_loss_of_a_split_is_that_of_all_its_samples() -> None:
    """In batches of one class each, as folders lie, weights must not cancel."""
    targets = torch.tensor([0, 0, 0, 1])
    split = Split(
        "val",
        torch.zeros(4, 1, 1, 1, dtype=torch.uint8),
        targets,
        list("abcd"),
        ("x", "y"),
        TWO_POINTS.normalizer,
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor([2.0, 0.0]))
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    learner = Learner(model, optimizer, loss, DEVICE, scale=lambda epochs, max_epochs: 1.0)
    whole = loss(model(torch.zeros(4, 1)), targets).item()
    assert evaluate(learner, split, 3)["loss"] == pytest.approx(whole)
    assert evaluate(learner, split, 1)["loss"] == pytest.approx(whole)
