"""A generated landscape, so that the puzzle needs no download and no one's photograph.

The picture has two readers. A person should see an alpine lake at first glance; a small network
should know each 64 x 64 cell from every other, so no place may be flat: the sky carries clouds,
the water a bent reflection, and a last veil of tint and grain differs from place to place.

The order is a painter's, far to near, and the cost is kept down the way painters do: what is soft
is painted small and enlarged, and only what stands in front is drawn at full size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw

if TYPE_CHECKING:
    import numpy.typing as npt

    Field = npt.NDArray[np.floating[Any]]
    Pixels = npt.NDArray[np.uint8]
    Places = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    Colour = tuple[int, int, int]

SHORE_FRACTION = 0.575
"""Where the far bank lies, as a fraction of the height; the lake's mirror hangs on this line."""


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


class Light(NamedTuple):
    """Where the sun stands, in fractions of the picture, and the mood it makes."""

    sun_x: float
    sun_y: float
    mood: Mood

    @property
    def side(self) -> int:
        """Lit faces look this way along x: towards the sun, seen from the middle."""
        return 1 if self.sun_x > 0.5 else -1


class Meadow(NamedTuple):
    """The ground on which plants grow: `near` (0 far, 1 close), `path`, `soil` at half size."""

    top: int
    height: int
    width: int
    near: Field
    path: Field
    soil: Field


def draw_landscape(height: int, width: int, seed: int) -> Pixels:
    """A picture of height x width x 3 bytes; the same arguments give the same picture."""
    rng = np.random.default_rng(seed)
    sun_x = 0.5 + (1 - 2 * int(rng.integers(2))) * rng.uniform(0.14, 0.3)
    light = Light(sun_x, rng.uniform(0.22, 0.3), MOODS[int(rng.integers(len(MOODS)))])
    shore = max(1, round(height * SHORE_FRACTION))

    small_shape = (max(1, shore // 2), max(1, width // 2))
    backdrop = _paint_sky(rng, *small_shape, light)
    _paint_mountains(rng, backdrop, light)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(_to_image(backdrop).resize((width, shore), Image.Resampling.BICUBIC))
    _plant_shore(rng, canvas, shore, light)
    crest = _shape_crest(rng, height, width, light)
    _flood_lake(rng, canvas, shore, int(crest.max()) + 1, light)
    _grow_meadow(rng, canvas, crest, light)
    return np.array(_veil(rng, canvas))


def _grow_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cells: float,
    *,
    stretch: float = 1.0,
    roughness: float = 0.55,
    octaves: int = 12,
) -> Field:
    """Fractal noise of about unit spread; `cells` of the coarsest octave fit in the height.

    Each octave is added at its own small size and enlarged with the ones before it, so the whole
    sum costs little more than its last octave. `stretch` above 1 makes wide, flat features.
    """
    cells_x, cells_y = cells * width / height / stretch, cells
    field = np.zeros((1, 1), np.float32)
    for octave in range(octaves):
        columns, rows = round(cells_x * 2**octave), round(cells_y * 2**octave)
        size = (min(width, max(1, columns)), min(height, max(1, rows)))
        field = _enlarge(field, size)
        amplitude = 1.6 * roughness**octave
        field += amplitude * (rng.random(field.shape, np.float32) - np.float32(0.5))
        if size == (width, height):
            break
    return _enlarge(field, (width, height))


def _enlarge(field: Field, size: tuple[int, int]) -> Field:
    return np.array(Image.fromarray(field).resize(size, Image.Resampling.BICUBIC))


def _mix(start: Colour | Field, end: Colour | Field, amount: Field) -> Field:
    """Blends colours by a field of amounts; the result is 3 x H x W, which numpy walks fastest."""
    first, last = _spread(start), _spread(end)
    mixed: Field = (last - first) * amount
    mixed += first
    return mixed


def _spread(colour: Colour | Field) -> Field:
    return np.array(colour, np.float32).reshape(3, 1, 1) if isinstance(colour, tuple) else colour


def _ramp(field: Field, low: float, high: float) -> Field:
    """A smooth step: its soft ends keep masks from showing as cut paper."""
    step: Field = np.clip((field - low) * (1 / (high - low)), 0, 1)
    return step * step * (3 - 2 * step)


def _slope(field: Field, step: int, axis: int) -> Field:
    """The rise over `step` places along an axis, which light turns into relief."""
    length = field.shape[axis]
    return field - field.take(np.clip(np.arange(length) - step, 0, length - 1), axis)


def _to_image(field: Field) -> Image.Image:
    """A grey picture from H x W, a coloured one from 3 x H x W."""
    pixels = np.clip(field, 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        return Image.fromarray(pixels)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in pixels])


def _place(length: int) -> Field:
    return (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(length)


def _clip_places(field: Field, length: int) -> npt.NDArray[np.intp]:
    return np.clip(field, 0, length - 1).astype(np.intp)


def _paint_sky(rng: np.random.Generator, height: int, width: int, light: Light) -> Field:
    mood = light.mood
    down, across = _place(height)[:, None], _place(width)[None, :]
    wide = width / height
    far = ((across - light.sun_x) * wide) ** 2 + (down - light.sun_y / SHORE_FRACTION) ** 2
    glow = 1 / (1 + 14 * far)
    drift = 0.12 * _grow_noise(rng, height, width, 2, octaves=4)
    fall = down * 1.35 + drift
    sky = _mix(mood.zenith, mood.middle, _ramp(fall, 0, 0.62))
    sky = _mix(sky, mood.horizon, _ramp(fall, 0.45, 1.05))
    sky = _mix(sky, mood.glow, 0.75 * glow)

    mass = _grow_clouds(rng, height, width)
    wisps = _grow_noise(rng, height, width, 12, stretch=7)
    step = max(1, height // 28)
    relief = _slope(mass, step, 0) - light.side * _slope(mass, -step, 1)
    lit = _ramp(glow * 0.9 - relief * 0.8, -0.55, 0.75)
    clouds = _mix(mood.cloud_shade, mood.cloud_lit, lit)
    clouds = _mix(clouds, mood.glow, 0.6 * _ramp(glow + 2.5 * drift, 0.15, 0.8))
    sky = _mix(sky, mood.cloud_shade, 0.4 * _ramp(-wisps, 0.0, 0.9))
    sky = _mix(sky, mood.cloud_lit, 0.6 * _ramp(wisps, 0.0, 0.8))
    sky = _mix(sky, clouds, 0.92 * _ramp(mass, 0.05, 0.5))
    return _mix(sky, (255, 250, 230), 1 / (1 + (900 * far) ** 2))


def _grow_clouds(rng: np.random.Generator, height: int, width: int) -> Field:
    """Noise read through noise: the bends hide the grid, and banks flatten towards the horizon."""
    plain = _grow_noise(rng, height, width, 6, stretch=2.2, roughness=0.5)
    bend_y = _grow_noise(rng, height, width, 4, octaves=4)
    bend_x = _grow_noise(rng, height, width, 4, octaves=4)
    down = _place(height)[:, None]
    y = height * (down * (0.6 + 0.4 * down) + 0.05 * bend_y)
    x = np.arange(width) + 0.13 * height * bend_x
    return plain[_clip_places(y, height), _clip_places(x, width)]


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
    ground += wood * trees * (0.026 - 0.022 * _place(depth)[:, None])
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
    away = _place(depth)[:, None]
    crease = 1 - np.abs(_grow_noise(rng, depth, width, 3, stretch=1.1)) * 1.5
    swell = _grow_noise(rng, depth, width, 1.6, octaves=3)
    rise = np.interp(away, [0, 0.12, 0.3, 0.5, 0.8, 1], [0, 0.03, 0.09, 0.2, 0.36, 0.3])
    ground = (rise * (0.62 + 0.62 * crease + 0.5 * swell) + 0.06 * away).astype(np.float32)
    thicket = _grow_noise(rng, depth, width, 3)
    wood = _ramp(0.2 - ground + 0.05 * thicket, -0.02, 0.06)
    return ground, wood


def _colour_ground(
    rng: np.random.Generator, ground: Field, wood: Field, trees: Field, light: Light
) -> Field:
    depth, width = ground.shape
    away = _place(depth)[:, None]
    steep = (-light.side * _slope(ground, -2, 1) - 0.35 * _slope(ground, 2, 0)) * (depth / 8)
    lit = _ramp(0.52 + steep, 0.05, 0.95)
    patchy = _grow_noise(rng, depth, width, 6)
    snow = _ramp(ground + 0.06 * patchy - 0.12 * np.abs(steep), 0.27, 0.36)
    cold = _mix(SNOW_SHADE, light.mood.cloud_lit, lit)
    colours = _mix(_mix(ROCK_SHADE, ROCK_LIT, lit), cold, snow)
    leafy = np.clip(0.7 * lit + 0.3 * patchy + 0.5 * trees - 0.1, 0, 1)
    colours = _mix(colours, _mix(WOOD_SHADE, WOOD_LIT, leafy), wood)
    haze = np.clip(0.72 * away - 0.35 * ground, 0, 1) * (1 + 0.25 * patchy)
    return _mix(colours, light.mood.haze, haze)


def _stroke(draw: ImageDraw.ImageDraw, corners: Field, tones: Field) -> None:
    """Draws triangles of six numbers each; grass and boughs are nothing else."""
    fills = np.clip(tones, 0, 255).astype(np.uint8).tolist()
    for triangle, fill in zip(corners.tolist(), fills, strict=True):
        draw.polygon(triangle, fill=tuple(fill))


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
    tones = _mix(CONIFER_SHADE, CONIFER_LIT, lit) * rng.uniform(0.8, 1.25, (len(trees), 1))
    core = 0.018 * tall
    cores = np.stack([x - core, foot, x + core, foot, x, foot - tall], axis=-1)
    corners = np.concatenate([cores, corners], axis=1).reshape(-1, 6)
    dark = np.broadcast_to(_spread(CONIFER_SHADE), (3, len(trees), 1))
    _stroke(draw, corners, np.concatenate([dark, tones], axis=2).reshape(3, -1).T)


def _plant_shore(rng: np.random.Generator, canvas: Image.Image, shore: int, light: Light) -> None:
    width, height = canvas.size
    x = rng.permutation(np.linspace(0, width, min(int(300 * width / height), width)))
    x += rng.normal(0, height / 200, x.size)
    grove = _grow_noise(rng, 1, width, 1, stretch=0.4)[0]
    tall = rng.uniform(0.4, 1.2, x.size) * (1 + 0.8 * grove[_clip_places(x, width)])
    trees = np.stack([x, np.full(x.size, shore), 0.034 * height * tall], axis=1)
    _plant_conifers(rng, ImageDraw.Draw(canvas), trees, 22, light)


def _shape_crest(rng: np.random.Generator, height: int, width: int, light: Light) -> Field:
    """The meadow's far edge in pixels per column, higher where the frame of trees stands."""
    tilt = light.side * (_place(width) - 0.5)
    crest: Field = height * (0.75 + 0.05 * tilt + 0.02 * _grow_noise(rng, 1, width, 0.6)[0])
    return np.minimum(crest, height - 1)


def _flood_lake(
    rng: np.random.Generator, canvas: Image.Image, shore: int, end: int, light: Light
) -> None:
    """Mirrors the far bank; the near water is rougher, so it bends the mirror more."""
    width, length = canvas.width, min(end, canvas.height) - shore
    if length <= 0:
        return
    near = _place(length)[:, None]
    ripple = _grow_noise(rng, length, width, 32, stretch=9, roughness=0.65)
    ripple = ripple[_clip_places(length * np.sqrt(near[:, 0]), length)]
    bend = ripple * near * (0.06 * length)
    rows = shore - 1 - (2.1 * np.arange(length)[:, None] + bend).astype(np.intp)
    places = np.clip(rows, 0, shore - 1) * width + np.arange(width)
    mirror = np.stack([np.asarray(band).take(places) for band in canvas.split()])
    murk = np.clip(0.12 + 0.4 * near - 0.2 * ripple, 0, 1)
    water = _mix(mirror.astype(np.float32), WATER_DEEP, murk)
    off = np.abs(_place(width)[None, :] - light.sun_x) * width / canvas.height
    glint = _ramp(ripple, 0.35, 1.1) / (1 + 30 * off * off)
    canvas.paste(_to_image(_mix(water, WATER_GLINT, 0.8 * glint)), (0, shore))


def _grow_meadow(rng: np.random.Generator, canvas: Image.Image, crest: Field, light: Light) -> None:
    width, height = canvas.size
    top = int(crest.min())
    small = (max(1, (height - top) // 2), max(1, width // 2))
    columns = crest[(np.arange(small[1]) * width) // small[1]]
    rows = top + _place(small[0])[:, None] * (height - top)
    near = np.clip((rows - columns) / (height - columns), 0, 1)
    path = _lay_path(rng, near, width / height, light)
    soil = _colour_meadow(rng, near, path, light)
    size = (width, height - top)
    above = np.arange(top, height, dtype=np.float32)[:, None] - crest
    ground = _to_image(soil).resize(size, Image.Resampling.BICUBIC)
    canvas.paste(ground, (0, top), _to_image(128 + 90 * above))
    draw = ImageDraw.Draw(canvas)
    meadow = Meadow(top, height, width, near, path, soil)
    _sow_grass(rng, draw, meadow)
    _plant_frame(rng, draw, crest, height, light)
    _sow_flowers(rng, draw, meadow)


def _lay_path(rng: np.random.Generator, near: Field, wide: float, light: Light) -> Field:
    rows, columns = near.shape
    across = (_place(columns)[None, :] - 0.5) * wide * light.side
    wind = np.sin(rng.uniform(0, 1.2) + 8 * np.sqrt(near, dtype=np.float32))
    centre = 0.16 - 0.2 * near + 0.15 * wind * near**0.7
    half = 0.005 + 0.075 * near**1.4
    rough = 0.2 * _grow_noise(rng, rows, columns, 20, stretch=2)
    return 1 - _ramp(np.abs(across - centre) / half + rough, 0.75, 1.2)


def _colour_meadow(rng: np.random.Generator, near: Field, path: Field, light: Light) -> Field:
    rows, columns = near.shape
    patch = _grow_noise(rng, rows, columns, 3, stretch=2, octaves=4)
    tuft = _grow_noise(rng, rows, columns, 16, stretch=2)
    colours = _mix(MEADOW_FAR, MEADOW_NEAR, np.clip(near**0.7 + 0.2 * tuft, 0, 1))
    colours = _mix(colours, MEADOW_WARM, 0.6 * _ramp(patch, 0, 0.9))
    colours = _mix(colours, MEADOW_COOL, 0.6 * _ramp(-patch, 0, 0.9))
    dust = _spread(PATH_DUST) * (1 + 0.22 * tuft)
    return _mix(_mix(colours, dust, path), light.mood.glow, 0.14 * (1 - near) ** 2)


def _plant_frame(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, crest: Field, height: int, light: Light
) -> None:
    """A few tall trees opposite the sun close the picture and give it its depth."""
    inset = np.array((0.15, 0.02, 0.195, 0.105, 0.05)) + rng.normal(0, 0.008, 5)
    closer = np.array((0.0, 0.15, 0.2, 0.55, 0.9))
    x = crest.size * (inset if light.side > 0 else 1 - inset)
    foot = crest[_clip_places(x, crest.size)] + height * (0.01 + 0.08 * closer)
    tall = height * (0.2 + 0.26 * closer) * rng.uniform(0.85, 1.15, x.size)
    _plant_conifers(rng, draw, np.stack([x, foot, tall], axis=1), 1500, light)


def _scatter(rng: np.random.Generator, meadow: Meadow, density: float) -> tuple[Field, Places]:
    """Random pixels (rows of y, x) off the path, far ones first so that near plants cover them.

    Also their places in the half-size fields. Tiny pictures get fewer, or plants would be all.
    """
    length = meadow.height - meadow.top
    count = int(min(density * meadow.width / meadow.height, 0.05 * length * meadow.width))
    down, across = np.sort(rng.random(count) ** 0.9), rng.random(count)
    rows, columns = meadow.near.shape
    places = (down * rows).astype(np.intp), (across * columns).astype(np.intp)
    spots = np.stack([meadow.top + down * length, across * meadow.width], axis=1)
    grows = (meadow.near[places] > 0) & (meadow.path[places] < 0.3)
    return spots[grows].astype(np.float32), (places[0][grows], places[1][grows])


def _sow_grass(rng: np.random.Generator, draw: ImageDraw.ImageDraw, meadow: Meadow) -> None:
    spots, places = _scatter(rng, meadow, 6500)
    y, x = spots.T
    scale = meadow.height / 1600 * (0.1 + meadow.near[places])
    tall = scale * rng.uniform(22, 66, x.size)
    lean, half = tall * rng.normal(0.1, 0.3, x.size), 2.4 * scale
    blades = np.stack([x - half, y, x + half, y, x + lean, y - tall], axis=1)
    tones = meadow.soil[:, places[0], places[1]].T * rng.uniform(0.65, 1.5, (x.size, 1))
    _stroke(draw, blades, tones + rng.uniform(-8, 14, tones.shape))


def _sow_flowers(rng: np.random.Generator, draw: ImageDraw.ImageDraw, meadow: Meadow) -> None:
    """Each kind keeps to its own patches, as in a real meadow, so that places differ."""
    rows, columns = meadow.near.shape
    for petal in (RED, YELLOW, WHITE, VIOLET, PINK, BLUE):
        likes = _grow_noise(rng, -(-rows // 8), -(-columns // 8), 4, stretch=3)
        spots, places = _scatter(rng, meadow, 420)
        blooms = likes[places[0] // 8, places[1] // 8] > 0.1 + 0.4 * rng.random(len(spots))
        size = meadow.height / 1600 * (1.2 + 8 * meadow.near[places])
        size *= rng.uniform(0.6, 1.25, size.size)
        for (y, x), radius in zip(spots[blooms].tolist(), size[blooms].tolist(), strict=True):
            _draw_flower(draw, x, y, radius, petal)


def _draw_flower(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, petal: Colour) -> None:
    shade = tuple(int(0.72 * channel) for channel in petal)
    draw.ellipse((x - size, y - 0.6 * size, x + size, y + 0.8 * size), fill=shade)
    draw.ellipse((x - size, y - 0.8 * size, x + 0.9 * size, y + 0.4 * size), fill=petal)
    heart = 0.3 * size
    draw.ellipse((x - heart, y - 0.8 * heart, x + heart, y + 0.4 * heart), fill=YELLOW)


def _veil(rng: np.random.Generator, canvas: Image.Image) -> Image.Image:
    """Lays a tint and a grain that differ from place to place over the whole picture.

    This is for the network: the same cloud or wave never looks quite the same in two cells.
    """
    width, height = canvas.size
    small = (max(1, height // 2), max(1, width // 2))
    grid = (min(height, 24), min(width, max(1, 24 * width // height)))
    patches = np.clip(128 + rng.normal(0, 42, grid) + rng.normal(0, 19, (3, *grid)), 0, 255)
    tint = _to_image(patches.astype(np.float32)).resize(small[::-1], Image.Resampling.BICUBIC)
    fine = _grow_noise(rng, *small, 60, roughness=0.8)
    streaks = _grow_noise(rng, *small, 90, stretch=5, roughness=0.8)
    place = _ramp(_grow_noise(rng, *small, 7, octaves=2), -0.3, 0.3)
    force = 28 + 62 * _ramp(_grow_noise(rng, *small, 9, octaves=2), -0.6, 0.6)
    grain = _to_image(128 + force * (fine + place * (streaks - fine)))
    veil = ImageChops.add(tint, Image.merge("RGB", (grain, grain, grain)), scale=2)
    return ImageChops.soft_light(canvas, veil.resize(canvas.size, Image.Resampling.BILINEAR))
