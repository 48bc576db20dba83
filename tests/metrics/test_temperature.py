"""Temperature scaling: by a closed form, by brute force, and what it leaves alone."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from synthetic_predictions import of_two

from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.temperature import (
    HIGHEST,
    LOWEST,
    at_temperature,
    changes_of,
    fit_temperature,
    halves_by_class,
    select,
)


def equally_sure(num_right: int, total: int, confidence: float) -> ClassPredictions:
    """Always the second class with one confidence, right so many times."""
    targets = [1] * num_right + [0] * (total - num_right)
    return of_two(targets, [confidence] * total)


def random_predictions(num_samples: int, scale: float, seed: int = 0) -> ClassPredictions:
    """Three classes drawn from a softmax whose logits the model reports `scale` times too large."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (num_samples, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (true.cumsum(1) > random.random((num_samples, 1))).argmax(1)
    shown = np.exp(scale * logits) / np.exp(scale * logits).sum(1, keepdims=True)
    own = shown[np.arange(num_samples), targets]
    return ClassPredictions(
        split="val",
        samples=[str(number) for number in range(num_samples)],
        targets=targets,
        predictions=shown.argmax(1),
        ranks=(shown > own[:, None]).sum(1),
        probabilities=shown.astype(np.float32),
        class_names=["a", "b", "c"],
    )


def mean_log_loss(probabilities: npt.NDArray[np.floating], targets: npt.NDArray[np.int64]) -> float:
    return float(-np.log(probabilities[np.arange(len(targets)), targets]).mean())


def test_the_temperature_of_equal_confidences_has_a_closed_form() -> None:
    """80 of 100 right at 98 %: the logit must come from ln 49 down to ln 4, by their ratio."""
    given = equally_sure(80, 100, 0.98)
    temperature = fit_temperature(given)
    assert temperature == pytest.approx(math.log(49) / math.log(4), rel=1e-5)
    after = at_temperature(given, temperature)
    assert after.probabilities[:, 1] == pytest.approx(0.8, abs=1e-6)
    found = changes_of(given, after)
    assert found["calibration_error"].before == pytest.approx(0.18, abs=1e-6)
    assert found["calibration_error"].after == pytest.approx(0, abs=1e-6)
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    assert found["log_loss"].after == pytest.approx(entropy, abs=1e-6)
    plain = -0.8 * math.log(0.98) - 0.2 * math.log(0.02)
    assert found["log_loss"].before == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_no_other_temperature_has_a_lower_log_loss(scale: float) -> None:
    """Against 400 temperatures, one by one; with many samples it is the scale that was put in."""
    given = random_predictions(4000, scale)
    temperature = fit_temperature(given)
    assert temperature == pytest.approx(scale, rel=0.1)
    logits = np.log(given.probabilities.astype(np.float64))

    def loss(each: float) -> float:
        table = np.exp(logits / each)
        return mean_log_loss(table / table.sum(1, keepdims=True), given.targets)

    tried = np.linspace(0.3, 5, 400)
    losses = [loss(each) for each in tried]
    assert loss(temperature) <= min(losses)
    assert tried[int(np.argmin(losses))] == pytest.approx(temperature, abs=0.02)


def test_classes_keep_their_order() -> None:
    """Predictions, ranks and accuracy are the very same; two temperatures undo each other."""
    given = random_predictions(300, 2.0)
    after = at_temperature(given, 2.5)
    assert after.ranks is given.ranks
    assert after.predictions is given.predictions
    order = given.probabilities.argsort(1)
    assert (np.take_along_axis(after.probabilities, order, 1).argsort(1) == [0, 1, 2]).all()
    back = at_temperature(after, 1 / 2.5)
    assert back.probabilities == pytest.approx(given.probabilities, abs=1e-5)
    assert at_temperature(given, 1.0) is given


def test_a_probability_of_zero_stays_next_to_none() -> None:
    """A softmax that underflowed has no logit: it counts as 1e-38, of which T = 2 makes 1e-19."""
    given = of_two([1, 0], [1.0, 0.0])
    after = at_temperature(given, 2.0)
    assert np.isfinite(after.probabilities).all()
    assert 0 < after.probabilities.min() < 2e-19


@pytest.mark.parametrize(("num_right", "end"), [(100, LOWEST), (40, HIGHEST)])
def test_a_likelihood_without_a_maximum_ends_at_a_bound(num_right: int, end: float) -> None:
    """All right: the surer the better. Fewer right than by guessing: the less sure the better."""
    assert fit_temperature(equally_sure(num_right, 100, 0.9)) == end


def test_the_interval_is_of_the_difference_on_the_same_samples() -> None:
    """A model twice too sure gains; one that is as sure as it is right gains nothing."""
    sure, honest = random_predictions(600, 2.0, seed=1), random_predictions(600, 1.0, seed=1)
    gained = changes_of(sure, at_temperature(sure, 2.0))["log_loss"]
    assert gained.interval is not None
    assert gained.interval[0] < gained.after - gained.before < gained.interval[1] < 0
    assert gained.lowers
    fitted = fit_temperature(honest)
    assert not changes_of(honest, at_temperature(honest, fitted))["log_loss"].lowers
    same = changes_of(honest, honest)["log_loss"]
    assert (same.interval, same.lowers) == (None, False)


def test_halves_have_as_many_of_each_class() -> None:
    """Disjoint, together all, in order, the same for the same seed."""
    targets = np.array([0] * 10 + [1] * 6 + [2] * 4)
    first, second = halves_by_class(targets, seed=0)
    assert sorted([*first, *second]) == list(range(20))
    for half in (first, second):
        assert np.bincount(targets[half]).tolist() == [5, 3, 2]
        assert (np.diff(half) > 0).all()
    assert (halves_by_class(targets, seed=0)[0] == first).all()
    assert (halves_by_class(targets, seed=1)[0] != first).any()
    few = select(random_predictions(20, 1.0), second)
    assert few.samples == [str(number) for number in second]
    assert len(few.targets) == len(few.ranks) == len(few.probabilities) == 10
