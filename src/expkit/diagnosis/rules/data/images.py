"""Images that show nothing, and splits whose images were made in different ways."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.recorded_profile import Split, held_out_names, splits_of
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class ConstantImages(Rule):
    """Images of one level throughout: nothing can be seen in them."""

    least_fraction: Annotated[float, Gt(0), Le(1)] = 0.01

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        splits = splits_of(evidence)
        if not splits:
            return
        train = splits["train"]
        if train["num_distinct"] == 1 and train["num_looked_at"] > 1:
            numbers = {"num_distinct": 1, "num_looked_at": train["num_looked_at"]}
            yield self.finding("all_alike", {**numbers, "max": train["max"]})
            return
        worst = max(splits, key=lambda name: self._fraction(splits[name]))
        fraction, constant = self._fraction(splits[worst]), splits[worst]["constant_images"]
        if fraction:
            names = constant["names"]
            yield self.finding(
                "some",
                {"count": constant["count"], "fraction": fraction, "images": names},
                severity="warning" if fraction >= self.least_fraction else "info",
                split=worst,
                names=listed(names),
            )

    def _fraction(self, split: Split) -> float:
        return float(split["constant_images"]["count"] / split["num_looked_at"])


@dataclass(frozen=True, kw_only=True)
class ConstantChannel(Rule):
    """A channel that is the same everywhere: it costs time, and dividing by its std fails."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        train = splits_of(evidence).get("train")
        if train is None:
            return
        constant, channels = train["constant_channels"], len(train["mean"])
        if not constant or len(constant) == channels:
            return
        names = ("red", "green", "blue") if channels == 3 else tuple(map(str, range(channels)))
        levels = [train["min"][i] for i in constant]
        yield self.finding(
            "constant",
            {"channels": constant, "levels": levels, "num_channels": channels},
            parts={"grey": "channels" in evidence.config["dataset"] and len(constant) == 2},
            names=" and ".join(names[i] for i in constant),
            level=levels[0],
        )


@dataclass(frozen=True, kw_only=True)
class SplitsPreparedDifferently(Rule):
    """Held-out images that differ from the training images as a whole, not one by one."""

    least_deviations: Annotated[float, Gt(0)] = 6.0
    # Splits of one kind of image differ by hundredths of the std, other scales by tenths.
    least_shift: Annotated[float, Gt(0)] = 0.4
    least_ratio: Annotated[float, Gt(1)] = 1.6
    least_swap: Annotated[float, Gt(0)] = 0.08
    least_gain_by_swapping: Annotated[float, Gt(1)] = 10.0
    least_negative: Annotated[float, Gt(0), Le(1)] = 0.7
    # Mean images of random halves agree by 0.95 and more; where they tell nothing, none is kept.
    least_turned: Annotated[float, Gt(0), Le(1)] = 0.85
    least_gain_by_turning: Annotated[float, Gt(0)] = 0.4
    # Nearly symmetric mean images gain little by it, but then all that chance leaves to gain.
    most_left: Annotated[float, Gt(0), Le(1)] = 0.25
    most_left_by_chance: Annotated[float, Gt(0)] = 2.0
    least_excess: Annotated[float, Gt(1)] = 4.0
    # Ratio of how far apart images' own means lie, by std and by quartiles alike.
    least_ratio_of_means: Annotated[float, Gt(1)] = 2.5
    least_grain_ratio: Annotated[float, Gt(1)] = 2.0  # of quartiles apart, a level added to each
    least_count: Annotated[int, Ge(2)] = 30

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        splits = splits_of(evidence)
        for name in held_out_names(evidence):
            if name not in splits or name in evidence.metadata.layouts:
                continue  # the pieces of another image are other images
            train, other = splits["train"], splits[name]
            if min(train["num_looked_at"], other["num_looked_at"]) < self.least_count:
                continue
            if difference := self._difference(train, other):
                case, words = difference
                yield self._finding(case, train, other, name, **words)
                return

    def _difference(self, train: Split, other: Split) -> tuple[str, dict[str, Any]] | None:
        """The case that tells two splits apart, with its words; None where they are alike."""
        # a sky that lies below is the negative of one above, too, but its levels are the same
        turned = "" if self._is_other_scale(train, other) else self._turned(other)
        if not turned and other.get("mean_image_correlation", 0) < -self.least_negative:
            return "negative", {}
        if order := self._swapped_order(train, other):
            return "other_channels", {"order": order}
        if turned:
            return "turned", {"turned": turned}
        if max(other["max"]) <= 1 < max(train["max"]):
            return "zeros_and_ones", {}
        if self._is_other_scale(train, other):
            return "other_levels", {}
        grain = self._other_grain(train, other) or self._other_contrast(train, other)
        return (grain, {}) if grain else None

    def _finding(self, case: str, train: Split, other: Split, name: str, **words: Any) -> Finding:
        return self.finding(
            case,
            {
                "train/mean": train["mean"],
                "train/std": train["std"],
                f"{name}/mean": other["mean"],
                f"{name}/std": other["std"],
                "mean_image_correlation": other.get("mean_image_correlation"),
                "best_symmetry": other.get("best_symmetry"),
                "train/grain": train.get("grain"),
                f"{name}/grain": other.get("grain"),
            },
            parts={"levels": True},
            split=name,
            mean=_levels(other["mean"]),
            std=_levels(other["std"]),
            train_mean=_levels(train["mean"]),
            train_std=_levels(train["std"]),
            **words,
        )

    def _turned(self, other: Split) -> str:
        best = other.get("best_symmetry")
        if best is None or best["correlation"] < self.least_turned:
            return ""
        gain = best["correlation"] - other["mean_image_correlation"]
        is_turned = gain >= self.least_gain_by_turning or self._is_slightly_turned(other)
        return str(best["name"]) if is_turned else ""

    def _is_slightly_turned(self, other: Split) -> bool:
        """Tell whether mean images agree far better once turned back: as parts of train do."""
        if "least_correlation_by_chance" not in other:
            return False
        by_chance = 1 - other["least_correlation_by_chance"]
        left = 1 - other["best_symmetry"]["correlation"]
        departs = 1 - other["mean_image_correlation"]
        most_left = min(self.most_left * departs, self.most_left_by_chance * by_chance)
        return bool(left <= most_left and departs > self.least_excess * by_chance)

    def _other_contrast(self, train: Split, other: Split) -> str:
        """The case of images that differ far more, or less, in brightness."""
        if "quartiles_of_means" not in train or "quartiles_of_means" not in other:
            return ""
        apart = [
            each["quartiles_of_means"][2] - each["quartiles_of_means"][0] + 1
            for each in (train, other)
        ]
        stds = [statistics.fmean(each["std_of_means"]) + 1 for each in (train, other)]
        if min(apart[1] / apart[0], stds[1] / stds[0]) > self.least_ratio_of_means:
            return "less_alike"
        is_less = min(apart[0] / apart[1], stds[0] / stds[1]) > self.least_ratio_of_means
        return "more_alike" if is_less else ""

    def _other_grain(self, train: Split, other: Split) -> str:
        """The case of a split with three quarters far rougher than three quarters of the other."""
        if "grain" not in train or "grain" not in other:
            return ""
        (low, _, high), (others_low, _, others_high) = train["grain"], other["grain"]
        if (others_low + 1) / (high + 1) > self.least_grain_ratio:
            return "rougher"
        return "smoother" if (low + 1) / (others_high + 1) > self.least_grain_ratio else ""

    def _is_other_scale(self, train: Split, other: Split) -> bool:
        for channel, std in enumerate(train["std"]):
            if channel in train["constant_channels"]:
                continue
            shift = abs(other["mean"][channel] - train["mean"][channel])
            ratio = (other["std"][channel] + 1) / (std + 1)  # a level more: of rounding
            is_sure = shift > self.least_deviations * _error(train, other, channel)
            if is_sure and (shift > self.least_shift * std):
                return True
            if max(ratio, 1 / ratio) > self.least_ratio:
                return True
        return False

    def _swapped_order(self, train: Split, other: Split) -> str:
        """The order of channels that explains a difference, where one does far better."""
        channels = range(len(train["mean"]))
        if len(channels) < 3:
            return ""
        errors = {
            order: sum(_square(train, other, c, o) for c, o in zip(channels, order, strict=True))
            for order in itertools.permutations(channels)
        }
        best = min(errors, key=lambda order: errors[order])
        shift = max(
            abs(other["mean"][c] - train["mean"][c]) / (train["std"][c] + 1) for c in channels
        )
        is_sure = errors[tuple(channels)] > 2 * self.least_deviations**2
        is_better = errors[best] * self.least_gain_by_swapping < errors[tuple(channels)]
        return (
            ", ".join(map(str, best)) if is_sure and is_better and shift > self.least_swap else ""
        )


def _error(train: Split, other: Split, channel: int) -> float:
    """The standard deviation of the difference of two splits' means, images being drawn."""
    variances = [
        each["std_of_means"][channel] ** 2 / each["num_looked_at"] for each in (train, other)
    ]
    return math.sqrt(sum(variances)) + 0.05  # levels: two equal splits have no error


def _square(train: Split, other: Split, channel: int, other_channel: int) -> float:
    difference = other["mean"][other_channel] - train["mean"][channel]
    return float(difference / _error(train, other, channel)) ** 2


def _levels(levels: Sequence[float]) -> str:
    return "/".join(f"{level:.0f}" for level in levels)
