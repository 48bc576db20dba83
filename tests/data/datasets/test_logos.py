"""The made-up logos: their counts, their bytes, and that no single figure tells their kinds."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from expkit.data.datasets.logos import Logos
from expkit.data.store.progress import silent
from expkit.data.store.samples import Samples
from expkit.data.synthetic.logos import KINDS, draw_logo
from expkit.errors import UserError

MOST_BY_ONE_FIGURE = 0.6  # 25 % is chance; the best, the number of colours, reaches 54 %


@pytest.fixture(scope="module")
def logos() -> Samples:
    """One hundred of each class, in their order."""
    return Logos(num_per_class=100, evaluate_only=True).read(silent).splits["test"]


def test_splits_hold_70_20_and_10_of_each_hundred() -> None:
    """Each split has as many of each class, and every logo is in just one."""
    dataset = Logos(num_per_class=20, size=16).read(silent)
    assert list(dataset.class_names or ()) == ["simple", "text", "gradient", "complex"]
    counts = {name: dataset.class_counts(name) for name in dataset.splits}
    assert counts == {"train": (14,) * 4, "val": (4,) * 4, "test": (2,) * 4}
    names = [name for split in dataset.splits.values() for name in split.names]
    assert len(set(names)) == 80


def test_same_settings_give_the_same_bytes() -> None:
    """Whatever numpy drew before; and another seed draws other logos."""
    first = Logos(num_per_class=10, evaluate_only=True).read(silent).splits["test"]
    np.random.seed(1)
    again = Logos(num_per_class=10, evaluate_only=True).read(silent).splits["test"]
    other = Logos(num_per_class=10, evaluate_only=True, seed=1).read(silent).splits["test"]
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_a_logo_stays_the_same_beside_more_of_them(logos: Samples) -> None:
    """The tenth gradient of ten is the tenth of a hundred."""
    few = Logos(num_per_class=10, evaluate_only=True).read(silent).splits["test"]
    assert np.array_equal(few.images[29], logos.images[209])
    assert few.names[29] == logos.names[209] == "gradient_0009"


@pytest.mark.parametrize("size", [16, 33, 224])
@pytest.mark.parametrize("kind", range(4))
def test_other_sizes_are_drawn(kind: int, size: int) -> None:
    """Any size, an odd one too; a larger one shows the same logo."""
    drawn = draw_logo(kind, size, np.random.default_rng(3))
    assert drawn.shape == (size, size, 3)
    assert drawn.dtype == np.uint8
    assert drawn.std() > 5


def test_a_logo_is_the_same_design_at_any_size() -> None:
    """Shrunk to 32 pixels, one of 128 is nearly that of 64: lengths are fractions of the side."""
    for kind in range(4):
        small, large = (
            Image.fromarray(draw_logo(kind, size, np.random.default_rng([7, kind])))
            .resize((32, 32), Image.Resampling.BOX)
            .convert("L")
            for size in (64, 128)
        )
        ours, theirs = np.asarray(small, float), np.asarray(large, float)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


def measure_trivially(images_NHWC: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float64]]:
    """Figures that anybody could take of a file without seeing what it shows."""
    grey = images_NHWC.astype(float) @ [0.3, 0.59, 0.11]
    figures = {
        "red": images_NHWC[..., 0].mean((1, 2)),
        "green": images_NHWC[..., 1].mean((1, 2)),
        "blue": images_NHWC[..., 2].mean((1, 2)),
        "brightness": grey.mean((1, 2)),
        "std": grey.std((1, 2)),
        "saturation": (images_NHWC.max(-1) - images_NHWC.min(-1)).mean((1, 2)),
        "darkest": grey.min((1, 2)),
        "lightest": grey.max((1, 2)),
        "edges": np.abs(np.diff(grey, axis=2)).mean((1, 2)),
    }
    for bits in (0, 4):
        coarse = (images_NHWC >> bits).reshape(len(images_NHWC), -1, 3)
        colours = [float(len(np.unique(each, axis=0))) for each in coarse]
        figures[f"colours_of_{8 - bits}_bits"] = np.array(colours)
    for name, options in {"PNG": {}, "JPEG": {"quality": 75}}.items():
        figures[f"{name}_bytes"] = np.array([_num_bytes(i, name, **options) for i in images_NHWC])
    return figures


def _num_bytes(image: npt.NDArray[np.uint8], name: str, **options: int) -> float:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, name, **options)
    return float(stream.tell())


@pytest.mark.slow
def test_no_single_figure_tells_the_classes_apart(logos: Samples) -> None:
    """The best three thresholds on any of 13 figures, even on the samples they were chosen on."""
    figures = measure_trivially(logos.images)
    for name, values in figures.items():
        tree = DecisionTreeClassifier(max_leaf_nodes=4, min_samples_leaf=10, random_state=0)
        score = tree.fit(values[:, None], logos.targets).score(values[:, None], logos.targets)
        assert score <= MOST_BY_ONE_FIGURE, name


def test_mean_colours_together_tell_next_to_nothing(logos: Samples) -> None:
    """A linear rule over all mean channels is near the 25 % of chance, where it was fitted."""
    means = logos.images.mean((1, 2)) / 255
    rule = LogisticRegression(max_iter=1000).fit(means, logos.targets)
    assert rule.score(means, logos.targets) < 0.38


def test_size_of_the_whole_is_bounded() -> None:
    """Before anything is drawn, with the numbers that multiply to it."""
    with pytest.raises(UserError, match="too many to keep in memory") as caught:
        Logos(num_per_class=1000, size=1024)
    assert caught.value.details["where"] == "dataset.num_per_class=1000, dataset.size=1024"


def test_kinds_are_the_classes_of_log_5() -> None:
    """In the order in which it names them."""
    assert KINDS == ("simple", "text", "gradient", "complex")
