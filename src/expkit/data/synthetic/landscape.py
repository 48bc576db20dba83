"""A generated landscape, so that the puzzle needs no download and no one's photograph.

The image has two readers. A person should see an alpine lake at first glance; a small network
should know each 64 x 64 cell from every other, so no place may be flat: the sky carries clouds,
the water a bent reflection, and a last veil of tint and grain differs from place to place.

The order is a painter's, far to near, and the cost is kept down the way painters do: what is soft
is painted small and enlarged, and only what stands in front is drawn at full size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from expkit.data.synthetic import palette
from expkit.data.synthetic.canvas import (
    clip_places,
    draw_triangles,
    grow_noise,
    halve,
    mark_centres,
    mix,
    ramp,
    slope,
    spread,
    to_image,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.synthetic.canvas import Field, Places
    from expkit.data.synthetic.palette import Colour, Light

SHORE_FRACTION = 0.575
"""Where the far bank lies, as a fraction of the height; the lake's mirror hangs on this line."""


class Meadow(NamedTuple):
    """Where plants grow: `near` (0 far, 1 close), `path` and `soil` are fields at half size."""

    top: int
    height: int
    width: int
    near: Field
    path: Field
    soil: Field


def draw_landscape(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    """An image of height x width x 3; the same arguments give the same bytes."""
    rng = np.random.default_rng(seed)
    light = palette.choose_light(rng)
    shore = max(1, round(height * SHORE_FRACTION))
    backdrop = _paint_sky(rng, *halve(shore, width), light)
    _paint_mountains(rng, backdrop, light)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(to_image(backdrop).resize((width, shore), Image.Resampling.BICUBIC))
    _plant_shore(rng, canvas, shore, light)
    crest = _shape_crest(rng, height, width, light)
    _flood_lake(rng, canvas, shore, int(crest.max()) + 1, light)
    meadow = _lay_meadow(rng, canvas, crest, light)
    draw = ImageDraw.Draw(canvas)
    _sow_grass(rng, draw, meadow)
    _plant_frame(rng, draw, crest, height, light)
    _sow_flowers(rng, draw, meadow)
    return np.array(_veil(rng, canvas))


def _paint_sky(rng: np.random.Generator, height: int, width: int, light: Light) -> Field:
    mood = light.mood
    down, across = mark_centres(height)[:, None], mark_centres(width)[None, :]
    wide = width / height
    far = ((across - light.sun_x) * wide) ** 2 + (down - light.sun_y / SHORE_FRACTION) ** 2
    glow = 1 / (1 + 14 * far)
    drift = 0.12 * grow_noise(rng, height, width, 2, octaves=4)
    fall = down * 1.35 + drift
    sky = mix(mood.zenith, mood.middle, ramp(fall, 0, 0.62))
    sky = mix(sky, mood.horizon, ramp(fall, 0.45, 1.05))
    sky = mix(sky, mood.glow, 0.75 * glow)

    mass = _grow_clouds(rng, height, width)
    wisps = grow_noise(rng, height, width, 12, stretch=7)
    step = max(1, height // 28)
    relief = slope(mass, step, 0) - light.side * slope(mass, -step, 1)
    lit = ramp(glow * 0.9 - relief * 0.8, -0.55, 0.75)
    clouds = mix(mood.cloud_shade, mood.cloud_lit, lit)
    clouds = mix(clouds, mood.glow, 0.6 * ramp(glow + 2.5 * drift, 0.15, 0.8))
    sky = mix(sky, mood.cloud_shade, 0.4 * ramp(-wisps, 0.0, 0.9))
    sky = mix(sky, mood.cloud_lit, 0.6 * ramp(wisps, 0.0, 0.8))
    sky = mix(sky, clouds, 0.92 * ramp(mass, 0.05, 0.5))
    return mix(sky, palette.SUN_DISC, 1 / (1 + (900 * far) ** 2))


def _grow_clouds(rng: np.random.Generator, height: int, width: int) -> Field:
    """Noise read through noise: the bends hide the grid, and banks flatten towards the horizon."""
    plain = grow_noise(rng, height, width, 6, stretch=2.2, roughness=0.5)
    bend_y = grow_noise(rng, height, width, 4, octaves=4)
    bend_x = grow_noise(rng, height, width, 4, octaves=4)
    down = mark_centres(height)[:, None]
    y = height * (down * (0.6 + 0.4 * down) + 0.05 * bend_y)
    x = np.arange(width) + 0.13 * height * bend_x
    return plain[clip_places(y, height), clip_places(x, width)]


def _paint_mountains(rng: np.random.Generator, backdrop: Field, light: Light) -> None:
    """Paints a height map seen from the front, slice behind slice, so that ridges hide ridges.

    A pixel j rows above the shore shows the first slice whose running skyline reaches j; counting
    the skylines below j finds that slice for all pixels at once, with no loop over depth.
    """
    _, height, width = backdrop.shape
    depth = height + 40
    ground, wood = _raise_ground(rng, depth, width)
    trees = rng.random(ground.shape, np.float32) ** 4
    colours = _colour_ground(rng, ground, wood, trees, light).reshape(3, -1)
    ground += wood * trees * (0.026 - 0.022 * mark_centres(depth)[:, None])
    rows = np.clip(np.maximum.accumulate(ground * height, axis=0), 0, height).astype(np.intp)
    flat = rows * width + np.arange(width)
    passed = np.bincount(flat.ravel(), minlength=(height + 1) * width).reshape(-1, width)
    nearest = np.cumsum(passed, axis=0)[:height][::-1]
    top = int(height - rows[-1].max())
    seen = nearest[top:] < depth
    places = np.minimum(nearest[top:], depth - 1) * width + np.arange(width)
    for plane, colour in zip(backdrop, colours, strict=True):
        np.copyto(plane[top:], colour.take(places), where=seen)


def _raise_ground(rng: np.random.Generator, depth: int, width: int) -> tuple[Field, Field]:
    """Heights in fractions of the sky, and where trees stand, from the near bank backwards."""
    away = mark_centres(depth)[:, None]
    crease = 1 - np.abs(grow_noise(rng, depth, width, 3, stretch=1.1)) * 1.5
    swell = grow_noise(rng, depth, width, 1.6, octaves=3)
    rise = np.interp(away, [0, 0.12, 0.3, 0.5, 0.8, 1], [0, 0.03, 0.09, 0.2, 0.36, 0.3])
    ground = (rise * (0.62 + 0.62 * crease + 0.5 * swell) + 0.06 * away).astype(np.float32)
    thicket = grow_noise(rng, depth, width, 3)
    wood = ramp(0.2 - ground + 0.05 * thicket, -0.02, 0.06)
    return ground, wood


def _colour_ground(
    rng: np.random.Generator, ground: Field, wood: Field, trees: Field, light: Light
) -> Field:
    depth, width = ground.shape
    away = mark_centres(depth)[:, None]
    steep = (-light.side * slope(ground, -2, 1) - 0.35 * slope(ground, 2, 0)) * (depth / 8)
    lit = ramp(0.52 + steep, 0.05, 0.95)
    patchy = grow_noise(rng, depth, width, 6)
    snow = ramp(ground + 0.06 * patchy - 0.12 * np.abs(steep), 0.27, 0.36)
    cold = mix(palette.SNOW_SHADE, light.mood.cloud_lit, lit)
    colours = mix(mix(palette.ROCK_SHADE, palette.ROCK_LIT, lit), cold, snow)
    leafy = np.clip(0.7 * lit + 0.3 * patchy + 0.5 * trees - 0.1, 0, 1)
    colours = mix(colours, mix(palette.WOOD_SHADE, palette.WOOD_LIT, leafy), wood)
    haze = np.clip(0.72 * away - 0.35 * ground, 0, 1) * (1 + 0.25 * patchy)
    return mix(colours, light.mood.haze, haze)


def _plant_conifers(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, trees: Field, boughs: int, light: Light
) -> None:
    """Draws trees given as rows of (x, foot, tall), each from its lowest boughs up."""
    shape = (len(trees), boughs)
    x, foot, tall = (trees[:, [k]] for k in range(3))
    fall = np.linspace(1, 0.02, boughs) + rng.uniform(-0.02, 0.02, shape)
    turn = rng.uniform(-1, 1, shape)
    tier = 0.62 + 0.38 * np.mod(11 * fall + rng.uniform(0, 1, (len(trees), 1)), 1)
    reach = turn * tier * (0.01 + 0.2 * np.abs(fall)) * rng.uniform(0.85, 1.15, shape)
    y = foot - tall * (1 - 0.95 * fall - 0.05 * fall * turn**2)
    tuft = tall * (0.4 + 0.8 * fall) * 1.2 / np.sqrt(boughs)
    out = np.sign(turn) * tuft
    inner, tip = x + reach * tall - 0.6 * out, x + reach * tall + 0.4 * out
    corners = np.stack(
        [inner, y - 0.4 * tuft, tip, y + 0.35 * tuft, inner + 0.3 * out, y + 0.45 * tuft], axis=-1
    )
    lit = np.clip(0.4 + 0.45 * light.side * turn + rng.normal(0, 0.2, shape), 0, 1)
    tones = mix(palette.CONIFER_SHADE, palette.CONIFER_LIT, lit)
    tones *= rng.uniform(0.8, 1.25, (len(trees), 1))
    core = 0.018 * tall
    cores = np.stack([x - core, foot, x + core, foot, x, foot - tall], axis=-1)
    corners = np.concatenate([cores, corners], axis=1).reshape(-1, 6)
    dark = np.broadcast_to(spread(palette.CONIFER_SHADE), (3, len(trees), 1))
    draw_triangles(draw, corners, np.concatenate([dark, tones], axis=2).reshape(3, -1).T)


def _plant_shore(rng: np.random.Generator, canvas: Image.Image, shore: int, light: Light) -> None:
    width, height = canvas.size
    x = rng.permutation(np.linspace(0, width, min(int(300 * width / height), width)))
    x += rng.normal(0, height / 200, x.size)
    grove = grow_noise(rng, 1, width, 1, stretch=0.4)[0]
    tall = rng.uniform(0.4, 1.2, x.size) * (1 + 0.8 * grove[clip_places(x, width)])
    trees = np.stack([x, np.full(x.size, shore), 0.034 * height * tall], axis=1)
    _plant_conifers(rng, ImageDraw.Draw(canvas), trees, 22, light)


def _shape_crest(rng: np.random.Generator, height: int, width: int, light: Light) -> Field:
    """The meadow's far edge in pixels per column, higher where the frame of trees stands."""
    tilt = light.side * (mark_centres(width) - 0.5)
    crest: Field = height * (0.75 + 0.05 * tilt + 0.02 * grow_noise(rng, 1, width, 0.6)[0])
    return np.minimum(crest, height - 1)


def _flood_lake(
    rng: np.random.Generator, canvas: Image.Image, shore: int, end: int, light: Light
) -> None:
    """Mirrors the far bank; the near water is rougher, so it bends the mirror more."""
    width, length = canvas.width, min(end, canvas.height) - shore
    if length <= 0:
        return
    near = mark_centres(length)[:, None]
    ripple = grow_noise(rng, length, width, 32, stretch=9, roughness=0.65)
    ripple = ripple[clip_places(length * np.sqrt(near[:, 0]), length)]
    bend = ripple * near * (0.06 * length)
    rows = shore - 1 - (2.1 * np.arange(length)[:, None] + bend).astype(np.intp)
    places = np.clip(rows, 0, shore - 1) * width + np.arange(width)
    mirror = np.stack([np.asarray(band).take(places) for band in canvas.split()])
    murk = np.clip(0.12 + 0.4 * near - 0.2 * ripple, 0, 1)
    water = mix(mirror.astype(np.float32), palette.WATER_DEEP, murk)
    off = np.abs(mark_centres(width)[None, :] - light.sun_x) * width / canvas.height
    glint = ramp(ripple, 0.35, 1.1) / (1 + 30 * off * off)
    canvas.paste(to_image(mix(water, palette.WATER_GLINT, 0.8 * glint)), (0, shore))


def _lay_meadow(
    rng: np.random.Generator, canvas: Image.Image, crest: Field, light: Light
) -> Meadow:
    width, height = canvas.size
    top = int(crest.min())
    length = height - top
    rows, columns = halve(length, width)
    edge = crest[(np.arange(columns) * width) // columns]
    down = top + mark_centres(rows)[:, None] * length
    near = np.clip((down - edge) / (height - edge), 0, 1)
    path = _lay_path(rng, near, width / height, light)
    soil = _colour_meadow(rng, near, path, light)
    below = np.arange(top, height, dtype=np.float32)[:, None] - crest
    ground = to_image(soil).resize((width, length), Image.Resampling.BICUBIC)
    canvas.paste(ground, (0, top), to_image(128 + 90 * below))
    return Meadow(top, height, width, near, path, soil)


def _lay_path(rng: np.random.Generator, near: Field, wide: float, light: Light) -> Field:
    rows, columns = near.shape
    across = (mark_centres(columns)[None, :] - 0.5) * wide * light.side
    wind = np.sin(rng.uniform(0, 1.2) + 8 * np.sqrt(near, dtype=np.float32))
    centre = 0.16 - 0.2 * near + 0.15 * wind * near**0.7
    half = 0.005 + 0.075 * near**1.4
    rough = 0.2 * grow_noise(rng, rows, columns, 20, stretch=2)
    return 1 - ramp(np.abs(across - centre) / half + rough, 0.75, 1.2)


def _colour_meadow(rng: np.random.Generator, near: Field, path: Field, light: Light) -> Field:
    rows, columns = near.shape
    patch = grow_noise(rng, rows, columns, 3, stretch=2, octaves=4)
    tuft = grow_noise(rng, rows, columns, 16, stretch=2)
    colours = mix(palette.MEADOW_FAR, palette.MEADOW_NEAR, np.clip(near**0.7 + 0.2 * tuft, 0, 1))
    colours = mix(colours, palette.MEADOW_WARM, 0.6 * ramp(patch, 0, 0.9))
    colours = mix(colours, palette.MEADOW_COOL, 0.6 * ramp(-patch, 0, 0.9))
    dust = spread(palette.PATH_DUST) * (1 + 0.22 * tuft)
    return mix(mix(colours, dust, path), light.mood.glow, 0.14 * (1 - near) ** 2)


def _plant_frame(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, crest: Field, height: int, light: Light
) -> None:
    """A few tall trees opposite the sun close the image and give it its depth."""
    inset = np.array((0.15, 0.02, 0.195, 0.105, 0.05)) + rng.normal(0, 0.008, 5)
    closer = np.array((0.0, 0.15, 0.2, 0.55, 0.9))
    x = crest.size * (inset if light.side > 0 else 1 - inset)
    foot = crest[clip_places(x, crest.size)] + height * (0.01 + 0.08 * closer)
    tall = height * (0.2 + 0.26 * closer) * rng.uniform(0.85, 1.15, x.size)
    _plant_conifers(rng, draw, np.stack([x, foot, tall], axis=1), 1500, light)


def _scatter(
    rng: np.random.Generator, meadow: Meadow, density: float
) -> tuple[Field, Places, Places]:
    """Random spots (y, x) off the path, then their rows and columns in the half-size fields.

    Far ones come first so that near plants cover them; tiny images get few, or plants hide all.
    """
    length = meadow.height - meadow.top
    count = int(min(density * meadow.width / meadow.height, 0.05 * length * meadow.width))
    down, across = np.sort(rng.random(count) ** 0.9), rng.random(count)
    spots = np.stack([meadow.top + down * length, across * meadow.width], axis=1)
    num_rows, num_columns = meadow.near.shape
    rows, columns = (down * num_rows).astype(np.intp), (across * num_columns).astype(np.intp)
    grows = (meadow.near[rows, columns] > 0) & (meadow.path[rows, columns] < 0.3)
    return spots[grows].astype(np.float32), rows[grows], columns[grows]


def _sow_grass(rng: np.random.Generator, draw: ImageDraw.ImageDraw, meadow: Meadow) -> None:
    spots, rows, columns = _scatter(rng, meadow, 6500)
    y, x = spots.T
    scale = meadow.height / 1600 * (0.1 + meadow.near[rows, columns])
    tall = scale * rng.uniform(22, 66, x.size)
    lean, half = tall * rng.normal(0.1, 0.3, x.size), 2.4 * scale
    blades = np.stack([x - half, y, x + half, y, x + lean, y - tall], axis=1)
    tones = meadow.soil[:, rows, columns].T * rng.uniform(0.65, 1.5, (x.size, 1))
    draw_triangles(draw, blades, tones + rng.uniform(-8, 14, tones.shape))


def _sow_flowers(rng: np.random.Generator, draw: ImageDraw.ImageDraw, meadow: Meadow) -> None:
    """Each kind keeps to its own patches, as in a real meadow, so that places differ."""
    num_rows, num_columns = meadow.near.shape
    for petal in palette.PETALS:
        likes = grow_noise(rng, -(-num_rows // 8), -(-num_columns // 8), 4, stretch=3)
        spots, rows, columns = _scatter(rng, meadow, 420)
        blooms = likes[rows // 8, columns // 8] > 0.1 + 0.4 * rng.random(len(spots))
        size = meadow.height / 1600 * (1.2 + 8 * meadow.near[rows, columns])
        size *= rng.uniform(0.6, 1.25, size.size)
        for (y, x), radius in zip(spots[blooms].tolist(), size[blooms].tolist(), strict=True):
            _draw_flower(draw, x, y, radius, petal)


def _draw_flower(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, petal: Colour) -> None:
    shade = tuple(int(0.72 * channel) for channel in petal)
    draw.ellipse((x - size, y - 0.6 * size, x + size, y + 0.8 * size), fill=shade)
    draw.ellipse((x - size, y - 0.8 * size, x + 0.9 * size, y + 0.4 * size), fill=petal)
    heart = 0.3 * size
    draw.ellipse((x - heart, y - 0.8 * heart, x + heart, y + 0.4 * heart), fill=palette.YELLOW)


def _veil(rng: np.random.Generator, canvas: Image.Image) -> Image.Image:
    """Lays a tint and a grain that differ from place to place over the whole image.

    For the network: the same cloud or wave never looks quite the same in two cells.
    """
    width, height = canvas.size
    small = halve(height, width)
    grid = (min(height, 24), min(width, max(1, 24 * width // height)))
    patches = np.clip(128 + rng.normal(0, 42, grid) + rng.normal(0, 19, (3, *grid)), 0, 255)
    tint = to_image(patches.astype(np.float32)).resize(small[::-1], Image.Resampling.BICUBIC)
    fine = grow_noise(rng, *small, 60, roughness=0.8)
    streaks = grow_noise(rng, *small, 90, stretch=5, roughness=0.8)
    place = ramp(grow_noise(rng, *small, 7, octaves=2), -0.3, 0.3)
    force = 28 + 62 * ramp(grow_noise(rng, *small, 9, octaves=2), -0.6, 0.6)
    grain = to_image(128 + force * (fine + place * (streaks - fine)))
    veil = ImageChops.add(tint, Image.merge("RGB", (grain, grain, grain)), scale=2)
    return ImageChops.soft_light(canvas, veil.resize(canvas.size, Image.Resampling.BILINEAR))
