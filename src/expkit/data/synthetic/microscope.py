"""Made-up images of a scanning tunnelling microscope, line by line, as its tip sees a surface.

A surface is a sum of waves: a hexagonal lattice of atoms (three directions and their second
harmonics) on slow undulations. A tip multiplies each wave by a number, its transfer function: a
blunt tip blurs, which weakens the short waves; a double tip adds a ghost about half a period
beside each atom, which weakens the lattice's waves and spares their harmonics; a changing tip
jumps sideways and becomes another one, at up to four lines.

None of this is what the eye sees first. The height of the lines wanders far more than an atom is
high, their gain drifts, the sample is tilted and the scanner creeps at the start of each line.
The grey levels are then spread over the whole range of heights, as an instrument's software does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Reals = npt.NDArray[np.floating]

TIPS = ("changing", "sharp", "double", "blunt")

PERIOD = 8.0  # pixels between the rows of atoms
PERIOD_SPREAD = 0.25  # pixels, from image to image
MAX_TURN = 0.06  # radians, of the lattice against the scan direction
HARMONIC = 0.6  # of the second harmonics, where the lattice's own waves are 1 high
UNDULATION = 0.6
SHORTEST_UNDULATION = 24.0  # pixels
BLURS = (0.7, 0.7, 2.0)  # pixels, of the tips after `changing`: standard deviations of their shapes
GHOSTS = (0.0, 0.9, 0.0)  # heights of the second tip beside the first
CREEPS = (3.0, 3.0, 5.0)  # at the start of a line: a blunt tip follows more slowly
CREEP_LENGTH = 6.0  # pixels
VARIATION = 0.15  # of all of these, as a fraction, from image to image
MAX_JUMPS = 4
MAX_TILT = 2.0  # from the middle of a line to its end
GAIN_DRIFT = 0.25
NOISE = 0.5
LEVELS_OF_A_WAVE = 4.0  # grey levels that a height of 1 comes to
LEVELS_OF_OFFSETS = 170.0  # grey levels between an image's lowest line and its highest


class Tips(NamedTuple):
    """The tip that scanned each line of each image, N x H: heights and pixels."""

    blur: Reals
    ghost: Reals
    ghost_x: Reals  # where the second tip is
    ghost_y: Reals
    shift_x: Reals  # where the whole tip is, since it jumped
    creep: Reals


def draw_scans(
    tips: npt.NDArray[np.int64], size: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """An image N x size x size for each class of tip; the same arguments give the same bytes."""
    count, by_line = len(tips), (len(tips), size, 1)
    drawn = _draw_tips(tips, size, rng)
    x, y, waves = _draw_surfaces(count, rng)
    waves = waves * _transfer(drawn, x, y) * np.exp(1j * y * np.arange(size)[:, None])
    gain = LEVELS_OF_A_WAVE * np.exp(GAIN_DRIFT * _wander(count, size, rng)).reshape(by_line)
    offset = LEVELS_OF_OFFSETS * _unit_range(_wander(count, size, rng)).reshape(by_line)
    tilt = np.broadcast_to(rng.uniform(-MAX_TILT, MAX_TILT, (count, 1, 1)), by_line)
    lines = [waves.real, -waves.imag, tilt, drawn.creep.reshape(by_line)]
    # every level is a sum of lines times columns: one product draws them all
    levels = np.matmul(
        np.concatenate(
            [*(gain * each for each in lines), 127.5 + offset], axis=2, dtype=np.float32
        ),
        _columns(x, size),
    )
    noise = rng.standard_normal(levels.shape, dtype=np.float32)
    levels += noise * (NOISE * gain).astype(np.float32)
    rounded: npt.NDArray[np.uint8] = np.rint(levels).clip(0, 255).astype(np.uint8)
    return rounded


def _columns(x: Reals, size: int) -> npt.NDArray[np.float32]:
    """Return how waves, tilt, creep and offset go along a line: N x terms x size."""
    pixels = np.arange(size)
    waves = np.exp(1j * x.swapaxes(1, 2) * pixels)
    straight = np.stack([np.linspace(-1, 1, size), np.exp(-pixels / CREEP_LENGTH), np.ones(size)])
    shared = np.broadcast_to(straight, (len(x), *straight.shape))
    return np.concatenate([waves.real, waves.imag, shared], axis=1, dtype=np.float32)


def _draw_tips(tips: npt.NDArray[np.int64], size: int, rng: np.random.Generator) -> Tips:
    """One tip an image, or where it changes one after another of the three that do not."""
    count, num_kinds = len(tips), len(TIPS) - 1
    shuffled = rng.permuted(np.tile(np.arange(num_kinds), (count, 1)), axis=1)
    changes = tips == TIPS.index("changing")
    kinds = np.where(changes[:, None], shuffled, tips[:, None] - 1)
    # jumps away from both ends, so that the first tip and the last are seen
    jumps = rng.uniform(0.15, 0.85, (count, MAX_JUMPS)) * size
    is_made = np.arange(MAX_JUMPS) < rng.integers(1, MAX_JUMPS + 1, (count, 1))
    passed = (
        (np.arange(size)[:, None] >= jumps[:, None]) & is_made[:, None] & changes[:, None, None]
    )
    state = passed.sum(2) % num_kinds

    def vary(values: tuple[float, ...]) -> Reals:
        return np.asarray(values)[kinds] * rng.normal(1, VARIATION, kinds.shape)

    def by_line(values: Reals) -> Reals:
        return np.take_along_axis(values, state, axis=1)

    return Tips(
        blur=by_line(vary(BLURS)),
        ghost=by_line(vary(GHOSTS)),
        ghost_x=by_line(PERIOD * rng.uniform(0.42, 0.58, kinds.shape)),
        ghost_y=by_line(PERIOD * rng.uniform(-0.2, 0.2, kinds.shape)),
        shift_x=by_line(PERIOD * rng.uniform(-0.5, 0.5, kinds.shape)),
        creep=by_line(vary(CREEPS)),
    )


def _draw_surfaces(
    count: int, rng: np.random.Generator
) -> tuple[Reals, Reals, npt.NDArray[np.complexfloating]]:
    """Wave vectors in radians a pixel and amplitudes with random phases, N x 1 x waves each."""
    turn = rng.uniform(-MAX_TURN, MAX_TURN, (count, 1))
    angles = np.tile(turn + np.arange(3) * np.pi / 3, 2)
    lengths = rng.normal(PERIOD, PERIOD_SPREAD, (count, 1)) / np.repeat([1, 2], 3)
    slow_angles = rng.uniform(0, 2 * np.pi, (count, 4))
    slow_lengths = SHORTEST_UNDULATION / rng.uniform(0.1, 1, (count, 4))
    angles = np.concatenate([angles, slow_angles], axis=1)
    numbers = 2 * np.pi / np.concatenate([lengths, slow_lengths], axis=1)
    heights = np.repeat([1, HARMONIC, UNDULATION], [3, 3, 4])
    amplitudes = heights * np.exp(2j * np.pi * rng.random(angles.shape))
    x, y = numbers * np.cos(angles), numbers * np.sin(angles)
    return x[:, None], y[:, None], amplitudes[:, None]


def _transfer(tips: Tips, x: Reals, y: Reals) -> npt.NDArray[np.complexfloating]:
    """The transfer function of each tip, N x H x waves: a blur, a ghost beside it, a shift."""
    blur, ghost, ghost_x, ghost_y, shift_x = (each[..., None] for each in tips[:5])
    seen = np.exp(-0.5 * (x**2 + y**2) * blur**2) * np.exp(-1j * x * shift_x)
    doubled = (1 + ghost * np.exp(-1j * (x * ghost_x + y * ghost_y))) / (1 + ghost)
    return np.asarray(seen * doubled)


def _wander(count: int, size: int, rng: np.random.Generator) -> Reals:
    """Random walks over the lines, N x H, of mean 0 and standard deviation 1 each."""
    walks = rng.standard_normal((count, size)).cumsum(1)
    walks += rng.standard_normal((count, size))
    return np.asarray((walks - walks.mean(1, keepdims=True)) / walks.std(1, keepdims=True))


def _unit_range(values: Reals) -> Reals:
    """Moved and scaled to lie between -1/2 and 1/2 in each row."""
    low, high = values.min(1, keepdims=True), values.max(1, keepdims=True)
    return np.asarray((values - low) / (high - low) - 0.5)
