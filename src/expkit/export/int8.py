"""From a file in fp32 to one in 8 bits, and what that costs and gains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from expkit.data.store.split import Split
from expkit.errors import UserError
from expkit.export.quantization import NUM_IMAGES, Quantizer
from expkit.export.sensitive_layers import Choice, Cost, choose_kept, match_layers
from expkit.export.speed import time_calls
from expkit.export.verification import (
    NUMBERS_AGREE,
    BesideFp32,
    Floats,
    Quantization,
    collect_outputs,
    compare_accuracy,
    hold_together,
)
from expkit.models.exported import ExportedModel

KeepFloat = Literal["auto"] | Sequence[str]
"""Layers to leave in float, as globs of their paths; `auto` finds them by measuring."""

STRICTER = 0.5  # of the allowed disagreement: training images are predicted surer than new ones


def write_int8(
    fp32_file: Path,
    open_file: Callable[[Path], ExportedModel],
    layer_prefix: str,
    splits: Mapping[str, Split],
    keep_float: KeepFloat,
    required: float,
    to: Path,
    say: Callable[[str], None],
) -> Quantization:
    """Write an ONNX file in 8 bits; the layers in float are chosen on training images set aside.

    `splits` give bytes.
    """
    calibration, aside = _training_images(splits)
    fp32 = open_file(fp32_file)
    images = fp32.with_border(next(iter(calibration.batches(len(calibration))))[0])
    quantizer = Quantizer(fp32_file, layer_prefix, images, fp32.batch)
    say(f"ranges of {len(quantizer.layers)} layers measured on {len(calibration):,} images")
    layers = list(quantizer.layers)
    measure = _Measure(quantizer, fp32, aside, to, open_file)
    if keep_float == "auto":
        choice = choose_kept(layers, measure, 1 - STRICTER * (1 - required), say)
    else:
        kept = match_layers(keep_float, layers)
        choice = Choice(kept, measure(kept))
    quantizer.write(choice.kept, to)
    return Quantization(
        num_layers=len(layers),
        kept_in_float=choice.kept,
        calibrated_on=len(calibration),
        set_aside=len(aside),
        agreement_set_aside=choice.cost.agreement,
        weight_bits=7 if quantizer.has_7_bits else 8,
    )


class _Measure:
    """Holds a file with some layers in float against the one in fp32, on images set aside."""

    def __init__(
        self,
        quantizer: Quantizer,
        fp32: ExportedModel,
        aside: Split,
        to: Path,
        open_file: Callable[[Path], ExportedModel],
    ) -> None:
        self.quantizer, self.aside, self.to, self.open_file = quantizer, aside, to, open_file
        self.expected = self._outputs(fp32)

    def __call__(self, kept_in_float: Collection[str]) -> Cost:
        self.quantizer.write(kept_in_float, self.to)
        found = self._outputs(self.open_file(self.to))
        classifies = self.aside.class_names is not None
        equal = hold_together(
            self.expected, found, classifies=classifies, numbers_agree=NUMBERS_AGREE["int8"]
        ).num_equal
        divergence = divergence_of(self.expected, found, classifies=classifies)
        return Cost(equal / len(self.aside), divergence)

    def _outputs(self, model: ExportedModel) -> Floats:
        return collect_outputs(model, self.aside, 16, classifies=self.aside.class_names is not None)


def divergence_of(expected: Floats, found: Floats, *, classifies: bool) -> float:
    """Mean Kullback-Leibler divergence; of numbers the squared difference over the variance."""
    if not classifies:
        return float(((expected - found) ** 2 / np.maximum(expected.var(0), 1e-12)).mean())
    logs = np.log(np.maximum(expected, 1e-12)) - np.log(np.maximum(found, 1e-12))
    return float((expected * logs).sum(1).mean())


def _training_images(splits: Mapping[str, Split]) -> tuple[Split, Split]:
    """Images to calibrate on, and others to choose layers by, spread over the classes."""
    train = splits.get("train")
    if train is None or len(train) < 2:
        raise UserError(
            "int8 is calibrated on training images, and there are none",
            where="--precision int8",
            fix="dataset.root=FOLDER   (one with train in it)\n--precision fp16",
        )
    classes = train.targets if train.class_names is not None else None
    order = spread_over_classes(classes, len(train))
    num = min(NUM_IMAGES, (len(train) + 1) // 2)
    return train.select(order[:num]), train.select(order[num : num + NUM_IMAGES])


def spread_over_classes(classes: Tensor | None, count: int) -> Tensor:
    """Samples in an order by which each stretch has as many of every class as there are."""
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    if classes is None:
        return drawn
    seen: dict[int, int] = {}
    turns = []
    for label in classes[drawn].tolist():
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    return drawn[torch.tensor(turns).argsort(stable=True)]


def beside_fp32(
    exported: ExportedModel,
    fp32: ExportedModel,
    split: Split,
    outputs: Floats,
    sizes: tuple[int, int],
) -> BesideFp32:
    """Hold both files against each other: what 8 bits cost in accuracy, and gain in time and size.

    `outputs` are those of the file in 8 bits.
    """
    accuracy = None
    if split.class_names is not None:
        targets = split.targets.tolist()
        plain = collect_outputs(fp32, split, 7, classifies=True).argmax(1)
        accuracy = compare_accuracy(targets, plain == np.asarray(targets), outputs.argmax(1))
    image = exported.with_border(next(iter(split.batches(1)))[0][:1])
    calls = {"int8": lambda: exported.run(image), "fp32": lambda: fp32.run(image)}
    times = time_calls(calls)
    return BesideFp32(accuracy, *sizes, times["int8"].median_ms, times["fp32"].median_ms)
