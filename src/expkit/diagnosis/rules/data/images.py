"""Images that show nothing, and splits whose images were made in different ways."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, counted
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.sampling import Split, held_out_names, listed, splits_of
from expkit.metrics.percentages import percent


@dataclass(frozen=True, kw_only=True)
class ConstantImages(Rule):
    """Images of one level throughout: nothing can be seen in them."""

    least_fraction: Annotated[float, Gt(0), Le(1)] = 0.01  # of a split's images, to be a warning

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        splits = splits_of(evidence)
        if not splits:
            return
        if splits["train"]["num_distinct"] == 1 and splits["train"]["num_looked_at"] > 1:
            yield _all_alike(splits["train"])
            return
        worst = max(splits, key=lambda name: self._fraction(splits[name]))
        fraction, plain = self._fraction(splits[worst]), splits[worst]["constant_images"]
        if fraction:
            yield Finding(
                severity="warning" if fraction >= self.least_fraction else "info",
                sentence=f"{counted(plain['count'], 'image')} of {worst} "
                f"({percent(fraction, 1)}) {'has' if plain['count'] == 1 else 'have'} one level "
                f"throughout: {listed(plain['names'], 3)}",
                evidence={"count": plain["count"], "fraction": fraction, "images": plain["names"]},
                cause="empty or broken images: what they are labelled as cannot be seen",
                command="look at the listed images, and leave them out",
            )

    def _fraction(self, split: Split) -> float:
        return float(split["constant_images"]["count"] / split["num_looked_at"])


def _all_alike(train: Split) -> Finding:
    return Finding(
        severity="fatal",
        sentence=f"all {train['num_looked_at']} training images are the same",
        evidence={"num_distinct": 1, "num_looked_at": train["num_looked_at"], "max": train["max"]},
        cause="the images were lost when they were read or written: no label can be learnt",
        command="look at a few of the images as files",
    )


@dataclass(frozen=True, kw_only=True)
class ConstantChannel(Rule):
    """A channel that is the same everywhere: it costs time, and dividing by its spread fails."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        train = splits_of(evidence).get("train")
        if train is None:
            return
        constant, channels = train["constant_channels"], len(train["mean"])
        if not constant or len(constant) == channels:
            return
        names = ("red", "green", "blue") if channels == 3 else tuple(map(str, range(channels)))
        which = " and ".join(names[i] for i in constant)
        levels = [train["min"][i] for i in constant]
        can_be_grey = "channels" in evidence.config["dataset"] and len(constant) == 2
        yield Finding(
            severity="info",
            sentence=f"the {which} channel of every training image is {levels[0]:g}",
            evidence={"channels": constant, "levels": levels, "num_channels": channels},
            cause="the images were put together from fewer channels than they have",
            remedies=[["dataset.channels=1"]] if can_be_grey else [],
            command="" if can_be_grey else "nothing: normalizing leaves a constant channel at zero",
        )


@dataclass(frozen=True, kw_only=True)
class SplitsPreparedDifferently(Rule):
    """Held-out images that differ from the training images as a whole, not one by one."""

    least_deviations: Annotated[float, Gt(0)] = 6.0  # of a split's mean, by chance
    # Splits of one kind of image differ by hundredths of the spread, other scales by tenths.
    least_shift: Annotated[float, Gt(0)] = 0.4  # of a mean, in spreads of the training pixels
    least_ratio: Annotated[float, Gt(1)] = 1.6  # of the spreads
    least_swap: Annotated[float, Gt(0)] = 0.08  # of means that another order of channels explains
    least_negative: Annotated[float, Gt(0), Le(1)] = 0.7  # correlation of the mean images
    # Mean images of random halves agree by 0.95 and more; where they tell nothing, none is kept.
    least_turned: Annotated[float, Gt(0), Le(1)] = 0.85  # correlation, once turned back
    least_gain_by_turning: Annotated[float, Gt(0)] = 0.4
    # Nearly symmetric mean images gain little by it, but then all that chance leaves to gain.
    most_left: Annotated[float, Gt(0), Le(1)] = 0.25  # of the disagreement, once turned back
    least_excess: Annotated[float, Gt(1)] = 4.0  # of the disagreement to the most by chance
    # Ratio of how far apart images' own means lie, by spread and by quartiles alike.
    least_ratio_of_means: Annotated[float, Gt(1)] = 2.5
    least_grain_ratio: Annotated[float, Gt(1)] = 2.0  # of quartiles apart, a level added to each
    least_count: Annotated[int, Ge(2)] = 30  # images of each

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        splits = splits_of(evidence)
        for name in held_out_names(evidence):
            if name not in splits or name in evidence.metadata.layouts:
                continue  # the pieces of another image are other images
            found = self._compare(splits["train"], splits[name], name)
            if found:
                yield found
                return

    def _compare(self, train: Split, other: Split, name: str) -> Finding | None:
        if min(train["num_looked_at"], other["num_looked_at"]) < self.least_count:
            return None
        # a sky that lies below is the negative of one above, too, but its levels are the same
        turned = "" if self._is_other_scale(train, other) else self._turned(other)
        correlation = other.get("mean_image_correlation", 0)
        is_negative = not turned and correlation < -self.least_negative
        order = None if is_negative else self._swapped_order(train, other)
        if is_negative:
            what, cause = "the negative of train's", "the levels of one split are inverted"
        elif order:
            what, cause = "train's with other channels", f"channels are in the order {order}"
        elif turned:
            what, cause = f"train's, {turned}", "rows were taken for columns, or an end for another"
        elif max(other["max"]) <= 1 < max(train["max"]):
            what, cause = "0 and 1 alone", "scaled to 0 to 1 before they became bytes"
        elif self._is_other_scale(train, other):
            what = "of other levels than train's"
            cause = "another range, brightness or normalization, or another kind of image"
        elif grain := self._other_grain(train, other) or self._other_contrast(train, other):
            what = f"{grain} than train's"
            cause = "noise, blur, another size before resizing, or another compression"
        else:
            return None
        return Finding(
            severity="warning",
            sentence=f"the images of {name} are {what}: mean {_told(other['mean'])} and std "
            f"{_told(other['std'])}, in train {_told(train['mean'])} and "
            f"{_told(train['std'])}",
            evidence={
                "train/mean": train["mean"],
                "train/std": train["std"],
                f"{name}/mean": other["mean"],
                f"{name}/std": other["std"],
                "mean_image_correlation": other.get("mean_image_correlation"),
                "best_symmetry": other.get("best_symmetry"),
                "train/grain": train.get("grain"),
                f"{name}/grain": other.get("grain"),
            },
            cause=f"{name} was prepared otherwise than train: {cause}",
            command=f"prepare the images of {name} as those of train",
        )

    def _turned(self, other: Split) -> str:
        best = other.get("best_symmetry")
        if best is None or best["correlation"] < self.least_turned:
            return ""
        gain = best["correlation"] - other["mean_image_correlation"]
        is_turned = gain >= self.least_gain_by_turning or self._is_slightly_turned(other)
        return str(best["name"]) if is_turned else ""

    def _is_slightly_turned(self, other: Split) -> bool:
        """Turned back it agrees as well as parts of train do; as it is, far less."""
        if "least_correlation_by_chance" not in other:
            return False
        by_chance = 1 - other["least_correlation_by_chance"]
        left = 1 - other["best_symmetry"]["correlation"]
        departs = 1 - other["mean_image_correlation"]
        is_explained = left <= self.most_left * departs and left <= 2 * by_chance
        return bool(is_explained and departs > self.least_excess * by_chance)

    def _other_contrast(self, train: Split, other: Split) -> str:
        """Whole images differ far more in brightness: fewer pixels, or a range each."""
        if "quartiles_of_means" not in train or "quartiles_of_means" not in other:
            return ""
        apart = [
            each["quartiles_of_means"][2] - each["quartiles_of_means"][0] + 1
            for each in (train, other)
        ]
        stds = [statistics.fmean(each["std_of_means"]) + 1 for each in (train, other)]
        if min(apart[1] / apart[0], stds[1] / stds[0]) > self.least_ratio_of_means:
            return "less alike in brightness"
        is_less = min(apart[0] / apart[1], stds[0] / stds[1]) > self.least_ratio_of_means
        return "more alike in brightness" if is_less else ""

    def _other_grain(self, train: Split, other: Split) -> str:
        """Three quarters of a split's images are far rougher than three quarters of another's."""
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
        """The order of channels that explains a difference, where one does tenfold better."""
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
        is_better = errors[best] * 10 < errors[tuple(channels)]
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


def _told(levels: Sequence[float]) -> str:
    return "/".join(f"{level:.0f}" for level in levels)
