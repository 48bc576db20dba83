"""The made-up scans: their shares, their bytes, and that they are neither trivial nor a lottery."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from expkit.data.datasets.scan_lines import ScanLines, class_counts
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, Samples
from expkit.data.synthetic.microscope import TIPS, draw_scans
from expkit.errors import UserError


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return ScanLines().read(silent)


def by_line(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Every line of mean 0 and standard deviation 1, N x H x W."""
    lines = images[..., 0].astype(float)
    centred = lines - lines.mean(2, keepdims=True)
    return np.asarray(centred / np.maximum(lines.std(2, keepdims=True), 1))


def balanced_accuracy(
    features: npt.NDArray[np.float64], judged: npt.NDArray[np.float64], dataset: Dataset
) -> float:
    """Of a linear rule that takes all classes as equally likely: 25 % is chance."""
    train, test = dataset.splits["train"].targets, dataset.splits["test"].targets
    rule = LinearDiscriminantAnalysis(priors=[0.25] * 4).fit(features, train)
    right = rule.predict(judged) == test
    return float(np.mean([right[test == tip].mean() for tip in range(len(TIPS))]))


def test_same_settings_give_the_same_bytes() -> None:
    """Whatever numpy drew before; and another seed draws other images."""
    first = ScanLines(num_samples=200, size=32).read(silent)
    np.random.seed(1)
    again = ScanLines(num_samples=200, size=32).read(silent)
    other = ScanLines(num_samples=200, size=32, seed=1).read(silent)
    for name, split in first.splits.items():
        assert split.fingerprint() == again.splits[name].fingerprint()
        assert split.fingerprint() != other.splits[name].fingerprint()


def test_shares_are_those_of_log_3() -> None:
    """8.8, 43.9, 16.9 and 30.4 %, and so the log's class weights N / (C n_c)."""
    counts = np.array(class_counts(10_000))
    assert counts.tolist() == [880, 4390, 1690, 3040]
    np.testing.assert_allclose(10_000 / (4 * counts), [2.845, 0.569, 1.478, 0.823], rtol=0.003)


def test_counts_are_rounded_to_the_whole() -> None:
    """Of 41: 3.608, 17.999, 6.929 and 12.464; three are rounded up, the last is not."""
    assert class_counts(41) == [4, 18, 7, 12]


def test_every_split_holds_the_shares(dataset: Dataset) -> None:
    """Each split has each class in its share, but for a sample that rounding moves."""
    shares = {"train": 0.7, "val": 0.15, "test": 0.15}
    for split, share in shares.items():
        expected = [share * count for count in class_counts(1700)]
        assert dataset.class_counts(split) == pytest.approx(expected, abs=1)


def test_splits_are_complete_and_disjoint(dataset: Dataset) -> None:
    """Every scan is in just one split, by name and by its pixels."""
    names = [name for split in dataset.splits.values() for name in split.names]
    assert sorted(names) == [f"scan_{i:05d}" for i in range(1700)]
    pictures = [image.tobytes() for split in dataset.splits.values() for image in split.images]
    assert len(set(pictures)) == 1700


def test_pictures_are_as_said(dataset: Dataset) -> None:
    """128 x 128, one channel, uint8, with next to no pixel at the ends of the range."""
    train = dataset.splits["train"]
    assert train.images.shape[1:] == (128, 128, 1)
    assert train.images.dtype == np.uint8
    assert np.isin(train.images, [0, 255]).mean() < 0.001
    assert list(dataset.class_names or ()) == list(TIPS)


def test_offsets_of_lines_dominate_the_picture(dataset: Dataset) -> None:
    """The heights of the lines are nine tenths of the variance, and tell nothing of the tip."""
    images = dataset.splits["train"].images[..., 0].astype(float)
    share = images.mean(2).var(1).mean() / images.var((1, 2)).mean()
    assert share > 0.9
    judged = dataset.splits["test"].images[..., 0].mean(2)
    assert balanced_accuracy(images.mean(2), judged, dataset) < 0.35


@pytest.mark.slow
def test_linear_rule_betters_chance_and_does_not_suffice(dataset: Dataset) -> None:
    """Normalised by line, the creep at its start tells something; the rest takes more to see."""
    train, test = (by_line(dataset.splits[name].images).mean(1) for name in ("train", "test"))
    assert 0.4 < balanced_accuracy(train, test, dataset) < 0.7


def wave_heights(samples: Samples, tip: str, period: float) -> float:
    """The root mean power of a class's lines near one period, in standard deviations of a line."""
    lines = by_line(samples.images[samples.targets == TIPS.index(tip)])
    power = np.abs(np.fft.rfft(lines, axis=2)) ** 2
    middle = round(lines.shape[2] / period)
    return float(np.sqrt(power[:, :, middle - 2 : middle + 3].sum(2).mean()))


def test_tips_see_the_atoms_as_they_should(dataset: Dataset) -> None:
    """A double tip cancels the lattice's period and spares half of it; a blunt one blurs both."""
    train = dataset.splits["train"]
    period, half = (
        {tip: wave_heights(train, tip, pixels) for tip in TIPS} for pixels in (8.0, 4.0)
    )
    assert period["double"] < 0.7 * period["sharp"]
    assert half["double"] > 0.9 * half["sharp"]
    assert period["blunt"] < 0.8 * period["sharp"]
    assert half["blunt"] < 0.8 * half["sharp"]


def test_changing_tip_changes_within_the_image() -> None:
    """The power at the lattice's period differs most between the first lines and the last."""
    rng = np.random.default_rng(0)
    images = draw_scans(np.repeat(np.arange(4), 50), 128, rng)[..., None]
    power = np.abs(np.fft.rfft(by_line(images), axis=2))[:, :, 14:19].sum(2)
    change = np.abs(np.log(power[:, :20].mean(1) / power[:, -20:].mean(1))).reshape(4, 50).mean(1)
    assert change[0] > 1.2 * change[1:].max()


def test_other_sizes_are_drawn() -> None:
    """An odd and small one too: nothing is made for 128 alone."""
    split = ScanLines(num_samples=60, size=17).read(silent).splits["train"]
    assert split.images.shape[1:] == (17, 17, 1)


def test_more_than_fits_in_memory_is_refused() -> None:
    """Before anything is drawn, with the numbers that multiply to it."""
    with pytest.raises(UserError, match="too many to keep in memory") as caught:
        ScanLines(num_samples=10_000, size=512)
    assert caught.value.details["where"] == "dataset.num_samples=10000, dataset.size=512"
