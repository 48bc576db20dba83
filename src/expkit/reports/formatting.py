"""Numbers in words: never rounded to the good side, never without a unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.diagnosis.finding import counted
from expkit.metrics.criteria import shown_bound, value_beside
from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.names import FRACTION, LATENCY, Measure
from expkit.metrics.p_values import p_value
from expkit.metrics.percentages import hundredths, percent_range, points
from expkit.metrics.percentages import percent as percent


def is_fraction(name: str) -> bool:
    """Tell whether a metric, with or without its split and class, is written in percent."""
    return Measure.parse(name).metric in FRACTION


def figure(name: str, value: float | None) -> str:
    """A metric's value in its unit; summary.json has null where a number was not finite."""
    if value is None or not math.isfinite(value):
        return "not finite"
    return percent(value) if is_fraction(name) else f"{value:.4g}"


def spread(name: str, mean: float | None, deviation: float | None, absent: str = "-") -> str:
    """`91.20 ± 0.35 %`; of one seed nothing is known of the spread."""
    if mean is None:
        return absent
    if deviation is None:
        return figure(name, mean)
    if is_fraction(name):
        return f"{hundredths(mean)} ± {hundredths(deviation)} %"
    return f"{mean:.4g} ± {deviation:.2g}"


def interval(name: str, ends: Sequence[float] | None) -> str:
    """`92.8 to 95.4 %`, with so many digits that the ends differ; a dash where there is none."""
    if ends is None:
        return "-"
    if is_fraction(name):
        return percent_range(*ends)
    for digits in range(3, 10):
        low, high = (f"{end:.{digits}g}" for end in ends)
        if low != high:
            break
    return f"{low} to {high}"


def difference(name: str, ours: float | None, theirs: float | None) -> str:
    """Write how much larger the first is, in points of a percent where the metric is a fraction."""
    if ours is None or theirs is None:
        return "-"
    if is_fraction(name):
        return points(ours - theirs)
    return f"{ours - theirs:+.4g}"


def against_ignorance(summary: Mapping[str, Any]) -> str | None:
    """Said where the accuracy is no better than that of a model that never looks."""
    accuracy = summary["metrics"].get(summary["judged_split"], {}).get("accuracy")
    majority = summary["majority_accuracy"]
    if accuracy is None or majority is None or accuracy > majority:
        return None
    return f"no better than always predicting the largest class, {percent(majority)}"


def beside_metrics(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on what the metrics of the judged split hide: maybes, and a decisive sample."""
    split = summary["judged_split"]
    sentences = []
    if sealed := summary.get("sealed"):
        sentences.append(f"test, {sealed['num_samples']} samples, is sealed: expkit unseal RUN")
    if look := summary.get("test_look"):
        sentences.append(
            f"look {look['number']} at a test set that was sealed: each interval is of "
            f"{interval_percent(summary, look['split'])}, so that those of all {look['number']} "
            "looks hold at 95 % together (Bonferroni)"
            if look["number"] > 1
            else "the first look at a test set that was sealed"
        )
    if (temperature := summary.get("temperature")) is not None:
        sentences.append(f"probabilities at temperature {temperature:.4g}")
    if tta := summary.get("tta"):
        sentences.append(_tta(tta))
    if sure := summary.get("sure", {}).get(split):  # older summaries tell of neither
        sentences.append(_sure(sure))
    if decisive := summary.get("decisive_samples", {}).get(split):
        sentences.append(
            f"one sample decides log_loss: {decisive['sample']} is {percent(decisive['fraction'])} "
            f"of it (-ln p = {decisive['loss']:.4g}); without it {decisive['without']:.4g}"
        )
    return sentences


def interval_percent(summary: Mapping[str, Any], split: str) -> str:
    """How much an interval of a split covers: `95 %`, and more after some looks at a test set."""
    look = summary.get("test_look")
    number = look["number"] if look and look["split"] == split else 1
    return f"{100 - 100 * LEVEL / number:.4g} %"


def _tta(tta: Mapping[str, Any]) -> str:
    """What averaging over views costs, and what it gains on the same samples."""
    text = f"averaged with views of each image ({', '.join(tta['views'])})"
    if passes := tta.get("passes"):
        text += f": {passes:.0f} passes"
    ours, plain = tta.get("seconds_per_image"), tta.get("plain_seconds_per_image")
    if ours and plain:
        text += f", {ours / plain:.2g} x the time ({1000 * ours:.3g} ms, plain {1000 * plain:.3g})"
    if "gain" not in tta:
        return text
    low, high = (points(end).removesuffix(" points") for end in tta["gain_interval"])
    shown = "" if tta["p"] < LEVEL else ": no evidence of a gain"
    if not shown and tta["gain"] < 0:
        shown = ": it is worse"
    return (
        f"{text}; accuracy {points(tta['gain'])} beside the plain model on the same "
        f"{tta['num_samples']} samples ({low} to {high}, p {p_value(tta['p'])}){shown}"
    )


def _sure(sure: Mapping[str, Any]) -> str:
    """Coverage, and the accuracy where the model commits itself."""
    covered = (
        f"coverage {percent(sure['coverage'])} ({interval('accuracy', sure['coverage_interval'])})"
    )
    are = "is" if sure["num_sure"] == 1 else "are"
    text = f"{sure['num_sure']} of {sure['num_samples']} samples {are} predicted surely: {covered}"
    if sure["accuracy"] is not None:
        ends = interval("accuracy", sure["accuracy_interval"])
        text += f"; accuracy among them {percent(sure['accuracy'])} ({ends})"
    return f"{text}; all other metrics count each {sure['label']} as wrong"


def gap(held_out_gap: Mapping[str, Any]) -> str:
    """Return how far the held-out samples lie behind those that were trained on."""
    name, value = held_out_gap["metric"], held_out_gap["gap"]
    shown = difference(name, abs(value), 0.0).removeprefix("+")
    if not float(shown.split()[0]):
        return f"train is as good as {held_out_gap['split']} in {name}"
    side = "better" if value >= 0 else "worse"
    return f"train is {shown} {side} in {name} than {held_out_gap['split']}"


def bound(criterion: Mapping[str, Any]) -> str:
    """Write the bound of a criterion: `> 94.5 %`."""
    shown = shown_bound(criterion["bound"], is_fraction=is_fraction(criterion["metric"]))
    return f"{criterion['relation']} {shown}"


def asked(criterion: Mapping[str, Any]) -> str:
    """A criterion with its split: `test/accuracy > 94.5 %`; a latency is of no split."""
    of = "" if criterion["metric"] in LATENCY else f"{criterion['split']}/"
    return f"{of}{criterion['metric']} {bound(criterion)}"


def reached(criterion: Mapping[str, Any]) -> str:
    """Write the value of a criterion, with so many digits that the verdict can be read from it."""
    value = criterion["value"]
    if value is None:
        text = "not measured" if criterion["met"] is None else "not finite"
    else:
        text = value_beside(
            value,
            criterion["relation"],
            criterion["bound"],
            is_fraction=is_fraction(criterion["metric"]),
        )
        if criterion["metric"] in LATENCY and abs(value) < abs(criterion["bound"]) / 10:
            text = f"{value:.3g}"  # a small part of its bound, of which 0.0001 says little
    return f"{text}{_details(criterion)}"


def _details(criterion: Mapping[str, Any]) -> str:
    """The class that a criterion of several fell to, or the tail behind a median."""
    if (p95 := criterion.get("p95")) is not None:
        return f" (median; 95 % within {p95:.4g})"
    name, count = criterion.get("worst_class"), criterion.get("num_classes")
    if name is None:
        return ""
    return (
        f" ({name}, the worst of {counted(count, 'class', 'classes')})" if count else f" ({name})"
    )


def verdict_of(criterion: Mapping[str, Any]) -> str:
    """A criterion as a table or a screen names it."""
    return {True: "MET", False: "NOT MET", None: "not measured"}[criterion["met"]]


def noise_of(criterion: Mapping[str, Any]) -> str:
    """Words for a verdict that other samples of the same kind might have turned; else nothing."""
    ends, p95 = criterion["interval"], criterion.get("p95")
    if criterion["met"] and p95 is not None and p95 > criterion["bound"]:
        return f"but 5 % of the predictions took longer than {p95:.4g} s"
    if criterion["met"] is None or ends is None or not ends[0] <= criterion["bound"] <= ends[1]:
        return ""
    count = criterion["num_samples"]
    samples, shown = counted(count, "sample"), interval(criterion["metric"], ends)
    return f"but within the noise of {samples}: {shown}"


def stage_verdict(stage: Mapping[str, Any]) -> str:
    """A stage in a word; a dash where it did not end."""
    return {True: "PASS", False: "FAIL", None: "-"}[stage["passed"]]


def samples_of(split: str, count: int) -> str:
    """Return how many samples of which kind an image shows: never a training figure unmarked."""
    noun = "sample" if count == 1 else "samples"
    return f"{count} training {noun}" if split == "train" else f"{count} held-out {noun} ({split})"


def duration(seconds: float) -> str:
    """Write a duration: 0.42 s, 12.3 s, 4 min 05 s, 3 h 07 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def memory(num_bytes: int) -> str:
    """Bytes in the unit that keeps them short."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


def level_names(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Name the two baselines: guessing, and always predicting the same."""
    return "chance", "always the mean" if summary["chance_accuracy"] is None else "largest class"


def is_worth_showing(name: str, summary: Mapping[str, Any]) -> bool:
    """Tell whether a metric says something: top-5 accuracy of six classes is 83 % by chance."""
    chance = summary["levels"]["chance"].get(name)
    return name != "top5_accuracy" or chance is None or chance <= 0.5


def levels_of(name: str, summary: Mapping[str, Any]) -> dict[str, str]:
    """The baselines of a metric, by name."""
    found = (summary["levels"][kind].get(name) for kind in ("chance", "constant"))
    named = zip(level_names(summary), found, strict=True)
    return {label: figure(name, level) for label, level in named if level is not None}


def extensions(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on the trainings that went on beyond their end."""
    return [
        f"{each['stage']} was extended after epoch {each['num_epochs']} on {each['at'][:10]} "
        f"({' '.join(each['words'])})"
        for each in summary.get("extensions", ())
    ]
