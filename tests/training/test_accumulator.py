"""Right or wrong by hand, also where a broken net would look right."""

from __future__ import annotations

from math import inf, isnan, log, nan

import pytest
import torch
from torch import nn

from expkit.training.accumulator import MetricAccumulator, target_ranks

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("logits", "ranks"),
    [
        ([3.0, 2.0, 1.0], [0, 1, 2]),
        ([1.0, 2.0, 3.0], [2, 1, 0]),
        ([5.0, 5.0, 5.0], [0, 1, 2]),  # all tied: the lower index goes first
        ([1.0, 4.0, 4.0], [2, 0, 1]),
        ([-inf, 0.0, inf], [2, 1, 0]),
        ([nan, 5.0, 1.0], [3, 1, 2]),  # a NaN stands before the largest, and itself is never right
        ([5.0, nan, nan], [2, 3, 3]),
        ([nan, nan, nan], [3, 3, 3]),
    ],
)
def test_ranks_by_hand(logits: list[float], ranks: list[int]) -> None:
    """The rank of each class in turn as the target."""
    rows = torch.tensor([logits] * 3)
    assert target_ranks(rows, torch.arange(3)).tolist() == ranks


def test_rank_0_is_argmax() -> None:
    """Predictions are argmax, so right must mean the same, with many ties."""
    draws = torch.Generator().manual_seed(0)
    logits = torch.randint(0, 4, (200, 6), generator=draws).float()
    targets = torch.randint(0, 6, (200,), generator=draws)
    assert torch.equal(target_ranks(logits, targets) == 0, logits.argmax(1) == targets)


def sums_of(logits: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    sums = MetricAccumulator(CPU)
    sums.add(nn.functional.cross_entropy(logits, targets), logits, targets)
    return sums.means()


def test_constant_outputs_score_chance() -> None:
    """A dead net on ten classes is right in one of ten and five of ten, at loss ln 10."""
    means = sums_of(torch.zeros(40, 10), torch.arange(40) % 10)
    assert means == pytest.approx({"loss": log(10), "accuracy": 0.1, "top5_accuracy": 0.5})


def test_nan_outputs_score_nothing() -> None:
    """A diverged net is not right where argmax would happen to land."""
    means = sums_of(torch.full((10, 10), nan), torch.arange(10))
    assert (means["accuracy"], means["top5_accuracy"]) == (0, 0)
    assert isnan(means["loss"])


def test_batches_count_by_their_size() -> None:
    """Losses 1 over three samples and 5 over one mean 2, and two of four are right."""
    sums = MetricAccumulator(CPU)
    logits = torch.tensor([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    sums.add(torch.tensor(1.0), logits, torch.tensor([0, 1, 1]))
    sums.add(torch.tensor(5.0), torch.tensor([[2.0, 1.0]]), torch.tensor([1]))
    assert sums.means() == {"loss": 2, "accuracy": 0.5}


@pytest.mark.parametrize(("num_classes", "has_top5"), [(5, False), (6, True)])
def test_top_5_needs_more_than_five_classes(num_classes: int, has_top5: bool) -> None:
    """Among five everything is in the top five."""
    means = sums_of(torch.zeros(2, num_classes), torch.tensor([0, 1]))
    assert ("top5_accuracy" in means) == has_top5


def test_right_in_five_by_hand() -> None:
    """Ranks 0, 4, 5 and 6 of ten: two are within five."""
    logits = torch.arange(10.0).flip(0).expand(4, 10)
    means = sums_of(logits, torch.tensor([0, 4, 5, 6]))
    assert (means["accuracy"], means["top5_accuracy"]) == (0.25, 0.5)


def test_numbers_have_a_loss_alone() -> None:
    """There is no right or wrong in a regression, not even by rounding."""
    sums = MetricAccumulator(CPU)
    sums.add(torch.tensor(0.25), torch.zeros(2, 2), torch.zeros(2, 2))
    assert sums.means() == {"loss": 0.25}


def test_sums_keep_no_graph() -> None:
    """An epoch's sums must not hold the activations of all its steps."""
    logits = torch.zeros(2, 2, requires_grad=True)
    targets = torch.tensor([0, 1])
    sums = MetricAccumulator(CPU)
    sums.add(nn.functional.cross_entropy(logits, targets), logits, targets)
    assert not sums._loss.requires_grad


def test_answers_are_counted_by_class() -> None:
    """Three of four answers are class 1: it has the largest share, and class 2 is never given."""
    sums = MetricAccumulator(CPU, closely=True)
    logits = torch.tensor([[0.0, 9, 0], [0, 5, 0], [0, 2, 0], [1, 0, 0]])
    sums.add(torch.tensor(0.0), logits, torch.tensor([1, 1, 0, 0]))
    assert sums.predictions() == {
        "largest_fraction": 0.75,
        "largest_class": 1,
        "num_classes": 2,
        "fractions": [0.25, 0.75, 0.0],
    }


def test_the_surest_answers_are_judged_alone() -> None:
    """A quarter of four answers is the surest one, which is wrong here."""
    sums = MetricAccumulator(CPU, closely=True)
    logits = torch.tensor([[0.0, 9], [0, 5], [0, 2], [1, 0]])
    sums.add(torch.tensor(0.0), logits, torch.tensor([0, 1, 1, 0]))
    assert sums.confident_errors() == {"fraction": 1.0, "count": 1}
    assert MetricAccumulator(CPU).confident_errors() is None


def test_balanced_draws_are_weighted_back_by_hand() -> None:
    """Of 90 and 10 samples, three of four drawn of the one and one of four of the other are right.

    Four of eight drawn are right, 50 %; of the samples as they come 0.9 * 3/4 + 0.1 * 1/4 = 70 %.
    """
    sums = MetricAccumulator(CPU, class_counts=torch.tensor([90, 10]))
    answers = torch.tensor([0, 0, 0, 1, 1, 0, 0, 0])
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    for part in (slice(3), slice(3, 8)):
        logits = nn.functional.one_hot(answers[part], 2).float()
        sums.add(torch.tensor(1.0), logits, targets[part])
    assert sums.means()["accuracy"] == pytest.approx(0.7)
    assert sums.signals()["weighted_to_class_fractions"]


def test_a_class_that_was_not_drawn_weighs_nothing() -> None:
    """Of 60, 30 and 10 samples, all right of the first and none of the second: 60 of 90."""
    sums = MetricAccumulator(CPU, class_counts=torch.tensor([60, 30, 10]))
    sums.add(torch.tensor(1.0), torch.eye(3)[[0, 0, 0]], torch.tensor([0, 0, 1]))
    assert sums.means()["accuracy"] == pytest.approx(2 / 3)


def test_runs_side_by_side_are_summed_apart() -> None:
    """Two runs in one tensor have the figures of each alone, in two batches of other sizes."""
    draws = torch.Generator().manual_seed(0)
    counts = torch.arange(1, 8)
    together, *alone = (MetricAccumulator(CPU, closely=True, class_counts=counts) for _ in range(3))
    for size in (5, 3):
        outputs = torch.randn(2, size, 7, generator=draws)
        targets = torch.randint(0, 7, (2, size), generator=draws)
        losses, weights = torch.rand(2, generator=draws), torch.rand(2, generator=draws)
        together.add(losses, outputs, targets, weights)
        for run, sums in enumerate(alone):
            sums.add(losses[run], outputs[run], targets[run], weights[run])
    for expected, found in zip(alone, together.of_each(2), strict=True):
        assert found.means() == expected.means()
        assert found.signals() == expected.signals()


def test_runs_side_by_side_by_hand() -> None:
    """Of two answers each, the first run has one right of class 0, the second none."""
    sums = MetricAccumulator(CPU)
    outputs = torch.tensor([[[2.0, 1.0], [2.0, 1.0]], [[1.0, 2.0], [1.0, 2.0]]])
    sums.add(torch.tensor([0.5, 1.5]), outputs, torch.tensor([[0, 1], [0, 0]]))
    first, second = sums.of_each(2)
    assert first.means() == {"loss": 0.5, "accuracy": 0.5}
    assert second.means() == {"loss": 1.5, "accuracy": 0.0}
    assert (first.predictions()["largest_class"], second.predictions()["largest_class"]) == (0, 1)
