"""The colours of the landscape, and the light that tints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Colour = tuple[int, int, int]

SUN_DISC = (255, 250, 230)
SNOW_SHADE = (136, 156, 204)
ROCK_LIT, ROCK_SHADE = (158, 134, 118), (52, 56, 82)
WOOD_LIT, WOOD_SHADE = (96, 122, 58), (18, 44, 46)
CONIFER_LIT, CONIFER_SHADE = (72, 104, 52), (14, 36, 36)
WATER_DEEP, WATER_GLINT = (18, 62, 84), (255, 236, 196)
MEADOW_FAR, MEADOW_NEAR = (168, 178, 74), (36, 74, 30)
MEADOW_WARM, MEADOW_COOL = (206, 184, 84), (62, 120, 70)
PATH_DUST = (206, 176, 132)
RED, YELLOW, WHITE = (226, 52, 56), (250, 206, 60), (250, 246, 240)
VIOLET, PINK, BLUE = (146, 96, 206), (240, 130, 170), (84, 116, 220)
PETALS = (RED, YELLOW, WHITE, VIOLET, PINK, BLUE)


class Mood(NamedTuple):
    """The light of one hour: everything in the scene takes its haze and glow from here."""

    zenith: Colour
    middle: Colour
    horizon: Colour
    glow: Colour
    cloud_lit: Colour
    cloud_shade: Colour
    haze: Colour


GOLDEN_HOUR = Mood(
    zenith=(38, 84, 150),
    middle=(112, 164, 206),
    horizon=(250, 208, 158),
    glow=(255, 214, 140),
    cloud_lit=(250, 230, 200),
    cloud_shade=(150, 146, 178),
    haze=(196, 190, 204),
)
ROSE_DUSK = Mood(
    zenith=(52, 56, 122),
    middle=(150, 124, 178),
    horizon=(255, 180, 150),
    glow=(255, 178, 128),
    cloud_lit=(255, 206, 186),
    cloud_shade=(116, 96, 148),
    haze=(190, 156, 186),
)
CLEAR_MORNING = Mood(
    zenith=(24, 92, 172),
    middle=(96, 174, 222),
    horizon=(222, 232, 226),
    glow=(255, 244, 204),
    cloud_lit=(246, 243, 236),
    cloud_shade=(146, 164, 196),
    haze=(178, 204, 224),
)
MOODS = (GOLDEN_HOUR, CLEAR_MORNING, ROSE_DUSK)


class Light(NamedTuple):
    """Where the sun stands, in fractions of the image, and the mood it makes."""

    sun_x: float
    sun_y: float
    mood: Mood

    @property
    def side(self) -> int:
        """Lit faces look this way along x: towards the sun, seen from the middle."""
        return 1 if self.sun_x > 0.5 else -1


def choose_light(rng: np.random.Generator) -> Light:
    """The sun is never in the middle: tall trees on the other side balance it."""
    side = 1 - 2 * int(rng.integers(2))
    sun_x, sun_y = 0.5 + side * rng.uniform(0.14, 0.3), rng.uniform(0.22, 0.3)
    return Light(sun_x, sun_y, MOODS[int(rng.integers(len(MOODS)))])
