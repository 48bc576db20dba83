"""The most confident errors: samples that the model was sure of and wrong about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from expkit.records.run.reader import Run
from expkit.reports.formatting import percent, samples_of
from expkit.reports.plots import style

COLUMNS = 6
LINE_LENGTH = 24


def draw_confident_errors(run: Run, folder: Path) -> list[Path]:
    """A grid of images of the judged split, the most confident error first."""
    split, class_names = run.dataset.judged_split, run.dataset.class_names
    arrays = run.samples(f"wrong_{split}")
    if arrays is None or class_names is None or len(arrays["images"]) == 0:
        return []
    images = arrays["images"]
    rows = -(-len(images) // COLUMNS)
    figure = style.new_figure(1.85 * COLUMNS, 2.55 * rows + 0.8)
    where = samples_of(split, run.dataset.splits[split].num_samples)
    title = f"{run.name}\nthe {len(images)} most confident errors on {where}: target → predicted"
    figure.suptitle(style.wrapped(title, 1.8 * COLUMNS), fontsize=11)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    outcomes = zip(*(arrays[key] for key in ("targets", "predictions", "confidences")), strict=True)
    for panel, image, name, (target, predicted, confidence) in zip(
        panels, images, arrays["names"], outcomes, strict=False
    ):
        _draw_image(panel, image)
        true, said = (style.shortened(class_names[i], LINE_LENGTH - 2) for i in (target, predicted))
        panel.set_title(f"{true}\n→ {said}\n{percent(float(confidence))}", fontsize=8)
        text = style.shortened(Path(str(name)).name, LINE_LENGTH)
        panel.text(0.5, -0.03, text, transform=panel.transAxes, ha="center", va="top", fontsize=6)
    return [style.save(figure, folder / "wrong.png")]


def _draw_image(axes: Axes, image_HWC: npt.NDArray[np.uint8]) -> None:
    axes.imshow(as_colours(image_HWC), interpolation="nearest", vmin=0, vmax=255)


def as_colours(image_HWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Three channels: of one channel grey; of another number the first is shown."""
    channels = image_HWC.shape[-1]
    return image_HWC if channels == 3 else np.repeat(image_HWC[..., :1], 3, axis=-1)
