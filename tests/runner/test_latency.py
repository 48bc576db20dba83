"""A restored model is timed on images that its run kept, and where there is memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_runs import classes_run
from torch import nn

from expkit.data.store import memory_limits
from expkit.data.store.normalizer import Normalizer
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.runner.latency import find_images, measure_run, settings_of
from expkit.runner.restoring import Restored
from expkit.training.device import Device
from expkit.training.latency import Setting

CPU = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="a cpu")


def keep_images(run: Run, name: str, key: str, images: np.ndarray) -> None:
    numbers = np.arange(len(images)) % 2
    arrays = {key: images, "targets": numbers}
    if key == "images":
        names = np.array(["x"] * len(images), dtype=np.str_)
        arrays |= {"names": names, "predictions": 1 - numbers}
        arrays["confidences"] = np.ones(len(images), np.float32)
    else:
        arrays["seen"] = images
    folder = RunFolder.reopen(run.path)
    folder.write_samples(name, arrays)
    folder.close()


def shape_of(run: Run, count: int) -> tuple[int, ...]:
    channels, height, width = run.dataset.image_shape
    return (count, height, width, channels)


def test_images_are_those_that_the_run_kept(tmp_path: Path) -> None:
    """Held-out ones first, then the training images as they were stored; both are named."""
    run = classes_run(tmp_path, ["clean", "pit"])
    judged = run.dataset.judged_split
    keep_images(run, f"wrong_{judged}", "images", np.full(shape_of(run, 3), 7, np.uint8))
    keep_images(run, "augmented", "stored", np.full(shape_of(run, 2), 9, np.uint8))
    images, named = find_images(run)
    assert images.dtype == torch.uint8
    assert images[:, 0, 0, 0].tolist() == [7, 7, 7, 9, 9]
    assert named == f"3 of {judged} and 2 of train, which the run kept"


@pytest.mark.parametrize("kind", ["none at all", "of another size", "of more than bytes", "empty"])
def test_without_fitting_images_noise_is_used_and_named(tmp_path: Path, kind: str) -> None:
    """Bytes, as the others; a stranger's file may hold any."""
    run = classes_run(tmp_path, ["clean", "pit"])
    shape = shape_of(run, 2)
    images = {
        "of another size": np.zeros((2, 3, 3, 3), np.uint8),
        "of more than bytes": np.zeros(shape, np.uint16),
        "empty": np.zeros((0, *shape[1:]), np.uint8),
    }.get(kind)
    if images is not None:
        keep_images(run, "augmented", "stored", images)
    found, named = find_images(run)
    assert tuple(found.shape[1:]) == shape[1:]
    assert found.float().std() > 50
    assert "random noise" in named


def test_every_combination_is_a_setting() -> None:
    """By threads; a GPU has none, and without any a CPU has torch's own number."""
    pairs = [(each.threads, each.batch_size) for each in settings_of([1, 8], [2, 1], "cpu")]
    assert pairs == [(2, 1), (2, 8), (1, 1), (1, 8)]
    assert settings_of([4], [1, 2], "cuda") == [Setting(4, None)]
    assert settings_of([4], [], "cpu") == [Setting(4, torch.get_num_threads())]


class Seen(nn.Module):
    """Notes the batches that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2)
        self.sizes: set[int] = set()
        self.values: set[float] = set()

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        self.sizes.add(len(images_BCHW))
        self.values |= set(images_BCHW[:, 0, 0, 0].tolist())
        outputs: torch.Tensor = self.head(images_BCHW.mean((2, 3)))
        return outputs


def restored(run: Run, model: nn.Module) -> Restored:
    normalizer = Normalizer(torch.tensor([0.5]), torch.tensor([1.0]))
    weights = run.path / "checkpoints" / "train" / "best.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"123")
    return Restored(run, model.eval(), CPU, normalizer)


def test_settings_are_measured_and_kept_beside_what_the_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On prepared images, which are repeated for a large batch; what has no memory fails alone."""
    run = classes_run(tmp_path, ["clean", "pit"])
    keep_images(run, "augmented", "stored", np.full(shape_of(run, 2), 8, np.uint8))
    monkeypatch.setattr(memory_limits, "count_free_bytes", lambda: 300 << 20)
    monkeypatch.setattr("expkit.training.latency.WARM_UP_SECONDS", 0.0)
    model = Seen()
    huge = 10_000_000
    settings = [Setting(5, 1), Setting(huge, 1), Setting(1, 1)]
    found = measure_run(restored(run, model), settings, 0.01)
    assert [each.batch for each in found.settings] == [5, 1]
    assert [(each.batch, each.threads) for each in found.failed] == [(huge, 1)]
    assert found.shape == (5, *run.dataset.image_shape)
    assert (found.parameters, found.macs, found.file_bytes) == (4, 2, 3)
    assert model.values == {8 * 0.5 + 1.0}
    assert {1, 5} <= model.sizes
    assert found.denormals is not None
    assert (found.denormals.weights, found.denormals.num_weights) == (0, 4)


def test_a_single_setting_without_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stands that could be kept."""
    run = classes_run(tmp_path, ["clean", "pit"])
    monkeypatch.setattr(memory_limits, "count_free_bytes", lambda: 300 << 20)
    with pytest.raises(UserError, match="no memory for a batch of 2,000,000,000"):
        measure_run(restored(run, Seen()), [Setting(2_000_000_000, 1)], 0.01)
