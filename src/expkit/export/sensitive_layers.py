"""The layers that are left in float because 8 bits cost too much there, found by measuring."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from expkit.errors import UserError
from expkit.metrics.percentages import percent

SEARCH_SECONDS = 300.0  # to measure each layer alone; those not reached stay in 8 bits
MOST_IN_FLOAT = 0.5  # of the layers: beyond that, little is gained by 8 bits


@dataclass(frozen=True)
class Cost:
    """The predictions of a quantized file beside those of the one in fp32, on the same images."""

    agreement: float
    divergence: float  # mean Kullback-Leibler divergence, or squared difference over the variance


@dataclass(frozen=True)
class Choice:
    """The layers in float, and what the rest in 8 bits costs."""

    kept: Sequence[str]
    cost: Cost


Measure = Callable[[Collection[str]], Cost]
"""Quantizes all layers but these, and measures what comes of it."""


def choose_kept(
    layers: Sequence[str],
    measure: Measure,
    required: float,
    say: Callable[[str], None],
    seconds: float = SEARCH_SECONDS,
) -> Choice:
    """Leave the fewest of the most sensitive layers in float with which enough predictions agree.

    The sensitivity of a layer is what it costs to quantize it alone.
    """
    best = Choice((), measure(()))
    said = f"all {len(layers)} layers in 8 bits: {percent(best.cost.agreement)} agree"
    if best.cost.agreement >= required:
        say(said)
        return best
    say(f"{said}, {percent(required)} are required: each layer is measured alone")
    ordered = _by_sensitivity(layers, measure, say, seconds)
    fewest, most = 1, max(1, min(len(ordered), int(MOST_IN_FLOAT * len(layers))))
    while fewest <= most:  # bisection: more layers in float agree no worse, but for chance
        count = (fewest + most) // 2
        choice = Choice(tuple(ordered[:count]), measure(ordered[:count]))
        say(f"{count} of them in float: {percent(choice.cost.agreement)} agree")
        if choice.cost.agreement >= required:
            best, most = choice, count - 1
        else:
            fewest = count + 1
            if best.cost.agreement < min(required, choice.cost.agreement):
                best = choice
    if best.cost.agreement < required:
        say("half of the layers in float do not reach it: --precision fp32 or fp16 may be better")
    return best


def _by_sensitivity(
    layers: Sequence[str], measure: Measure, say: Callable[[str], None], seconds: float
) -> list[str]:
    """The layers that were measured in time, the most sensitive first."""
    began, alone = time.monotonic(), dict[str, float]()
    for layer in layers:
        if alone and time.monotonic() - began > seconds:
            say(f"{len(alone)} of {len(layers)} layers measured in {seconds:.0f} s: it stops here")
            break
        alone[layer] = measure([each for each in layers if each != layer]).divergence
    ordered = sorted(alone, key=lambda layer: -alone[layer])
    say(f"the most sensitive: {', '.join(ordered[:5])}")
    return ordered


def match_layers(globs: Sequence[str], layers: Sequence[str]) -> list[str]:
    """The layers that the user's globs name; one that matches none is refused."""
    for glob in globs:
        if not fnmatch.filter(layers, glob):
            raise UserError(
                f"no layer of the model is called '{glob}'",
                where=f"--keep-float {','.join(globs)}",
                allowed=f"globs of: {', '.join(layers)}",
                fix="--keep-float auto",
            )
    return [each for each in layers if any(fnmatch.fnmatchcase(each, glob) for glob in globs)]
