"""Made-up logos of four kinds: simple, text, gradient and complex.

What makes the kind is what a person sees: one to three plain shapes; a word; shapes or grounds
whose colour runs into another; a dozen parts and more. Nothing else tells them apart: palettes,
grounds, places, patterns, frames, marks, contrast, blur and noise are drawn alike for all, a plain
logo may hold a letter, a word may stand on a tinted ground, and parts of a complex one may be
anything. Lengths are fractions of the side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from expkit.data.synthetic.glyphs import draw_word, set_word
from expkit.data.synthetic.logo_canvas import (
    LUMINANCE,
    Canvas,
    Paint,
    Palette,
    draw_any_colour,
    draw_colour,
    draw_palette,
    tell_apart,
)
from expkit.data.synthetic.outlines import OUTLINES, bar, disc, ring

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.synthetic.outlines import Outline

KINDS = ("simple", "text", "gradient", "complex")

LEAST_RUN = 0.7  # how far apart the ends of a gradient are that makes the kind
TINT = 0.05  # the most that a ground's colour runs where it does not
PATTERN = 0.03  # the most that a pattern lifts the ground
NOISE_LEVELS = 4.0  # of 255
BLUR = 0.8  # the most, in pixels of an image of 64
MEANS, STDS = (0.36, 0.64), (0.16, 0.24)  # of luminance, whatever the kind


def draw_logo(kind: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """An image size x size x 3; the same arguments give the same bytes."""
    canvas, palette = Canvas(size), draw_palette(rng)
    _prepare_ground(canvas, palette, rng)
    (_draw_simple, _draw_text, _draw_gradient, _draw_complex)[kind](canvas, palette, rng)
    _add_marks(canvas, palette, rng)
    return _photograph(canvas.image, rng)


def _prepare_ground(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """The background, often a little tinted from one side, sometimes with a faint pattern."""
    tint = palette.background + rng.uniform(-TINT, TINT) * (rng.random() < 0.6)
    canvas.cover(Paint(palette.background, tint, rng.uniform(0, 2 * np.pi), rng.random() < 0.3))
    if rng.random() < 0.3:
        period = rng.uniform(0.06, 0.2)
        strength = rng.uniform(0.4, 1) * PATTERN
        canvas.weave(int(rng.integers(3)), period, rng.uniform(0, np.pi), strength)


def _draw_simple(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """One plain shape, one within another, or two or three beside each other."""
    way = rng.integers(4)
    first, last = Paint(palette.colours[0]), Paint(palette.colours[1])
    if way <= 1:
        x, y = rng.uniform(0.42, 0.58, 2)
        radius, turn = rng.uniform(0.2, 0.4), _turn(rng)
        canvas.fill(_outline(rng), x, y, radius, turn, first)
        if way == 1:
            inner = Paint(palette.background) if rng.random() < 0.5 else last
            canvas.fill(_outline(rng), x, y, radius * rng.uniform(0.3, 0.5), _turn(rng), inner)
        elif rng.random() < 0.5:
            _letter(canvas, x, y, radius * 0.7, Paint(palette.background), rng)
        return
    outline, count = _outline(rng), int(way)
    places = _spread(count, rng)
    radius = rng.uniform(0.16, 0.22) if count == 2 else rng.uniform(0.12, 0.16)
    turn = _turn(rng)
    for (x, y), paint in zip(places, (first, last, first), strict=False):
        canvas.fill(outline, x, y, radius, turn, paint)


def _draw_text(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """A word or two lines of them, with a plate, a line or a small shape in half the cases."""
    ink = Paint(palette.colours[0])
    two_lines = rng.random() < 0.35
    middle = rng.uniform(0.42, 0.58)
    extra = rng.integers(6)
    if extra == 0:
        canvas.fill(bar, 0.5, middle, 0.53, 0.0, Paint(palette.colours[1]))
        ink = Paint(draw_colour(rng, rng.random(), away_from=palette.colours[1]))
    tall = _write(canvas, 0.5, middle, rng.uniform(0.74, 0.9), ink, rng, heights=(0.18, 0.3))
    if two_lines:
        second = Paint(palette.pick(rng)) if extra else ink
        down = middle + tall * 0.6 + 0.1
        _write(canvas, 0.5, down, rng.uniform(0.4, 0.8), second, rng, heights=(0.1, 0.13))
    elif extra == 1:
        down = middle + tall * 0.5 + 0.08
        canvas.stroke(np.array([[0.12, down, 0.88, down]]), 0.03, Paint(palette.pick(rng)))
    if extra in (2, 3):
        up = max(0.13, middle - tall * 0.5 - 0.15)
        canvas.fill(
            _outline(rng), rng.uniform(0.2, 0.8), up, 0.1, _turn(rng), Paint(palette.pick(rng))
        )


def _draw_gradient(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """A gradient on one to three shapes, on the ground, or on both."""
    is_on_ground, is_on_shapes = ((False, True), (True, False), (True, True), (True, True))[
        int(rng.integers(4))
    ]
    if is_on_ground:
        ground = _gradient(rng)
        canvas.cover(ground)
        between = (ground.first + (ground.first if ground.last is None else ground.last)) / 2
        palette = palette._replace(
            colours=[draw_colour(rng, rng.random(), away_from=between) for _ in palette.colours]
        )
    count = int(rng.integers(1, 4))
    radius = (rng.uniform(0.32, 0.42), rng.uniform(0.2, 0.24), rng.uniform(0.16, 0.19))[count - 1]
    outline, turn = _outline(rng), _turn(rng)
    for x, y in _spread(count, rng):
        plain = palette.pick(rng)
        paint = _gradient(rng) if is_on_shapes else Paint(plain)
        canvas.fill(outline, x, y, radius, turn, paint)
        if rng.random() < 0.15:
            _letter(canvas, x, y, radius * 0.7, Paint(palette.background), rng)


def _draw_complex(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """A dozen parts and more: a crest, a mosaic, a heap or a drawing of lines."""
    (_draw_crest, _draw_mosaic, _draw_heap, _draw_lines)[int(rng.integers(4))](canvas, palette, rng)
    if rng.random() < 0.3:
        down = rng.uniform(0.75, 0.9)
        canvas.fill(bar, 0.5, down, 0.4, 0.0, Paint(palette.background))
        _write(canvas, 0.5, down, 0.6, Paint(palette.colours[0]), rng, heights=(0.1, 0.14))


def _draw_crest(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """Shapes within a ring of many others."""
    x, y = rng.uniform(0.46, 0.54, 2)
    outer = rng.uniform(0.36, 0.44)
    canvas.fill(_outline(rng), x, y, outer, _turn(rng), _any_paint(palette, rng))
    count, outline = int(rng.integers(7, 14)), _outline(rng)
    radius = min(0.09, 0.62 * np.pi * outer / count * 0.8)
    start, paints = rng.uniform(0, 2 * np.pi), [_any_paint(palette, rng) for _ in range(3)]
    for place in range(count):
        angle = start + 2 * np.pi * place / count
        at_x, at_y = x + 0.78 * outer * np.cos(angle), y + 0.78 * outer * np.sin(angle)
        canvas.fill(outline, at_x, at_y, radius, angle, paints[place % len(paints)])
    for scale in (0.5, 0.36, 0.2):
        canvas.fill(_outline(rng), x, y, outer * scale, _turn(rng), _any_paint(palette, rng))


def _draw_mosaic(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """Rows of shapes, each in a colour of its own."""
    rows, columns = rng.integers(3, 5, 2).tolist()
    pitch = rng.uniform(0.76, 0.9) / max(rows, columns)
    outlines = [_outline(rng) for _ in range(int(rng.integers(2, 4)))]
    for row in range(rows):
        for column in range(columns):
            x = 0.5 + (column - (columns - 1) / 2) * pitch
            y = 0.5 + (row - (rows - 1) / 2) * pitch
            outline = outlines[int(rng.integers(len(outlines)))]
            radius = pitch * rng.uniform(0.36, 0.52)
            canvas.fill(outline, x, y, radius, _turn(rng), _any_paint(palette, rng))


def _draw_heap(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """Shapes of all sizes over and beside each other."""
    count = int(rng.integers(14, 26))
    for radius in np.geomspace(rng.uniform(0.22, 0.32), 0.06, count):
        x, y = rng.uniform(0.16, 0.84, 2)
        canvas.fill(_outline(rng), x, y, float(radius), _turn(rng), _any_paint(palette, rng))


def _draw_lines(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """A net of strokes over shapes, as of a skyline, a web or a circuit."""
    for _ in range(int(rng.integers(4, 8))):
        x, y = rng.uniform(0.2, 0.8, 2)
        radius = rng.uniform(0.08, 0.2)
        canvas.fill(_outline(rng), x, y, radius, _turn(rng), _any_paint(palette, rng))
    knots = rng.uniform(0.1, 0.9, (int(rng.integers(7, 12)), 2))
    width = rng.uniform(0.018, 0.035)
    for place in range(2 * len(knots)):
        first, last = knots[place % len(knots)], knots[int(rng.integers(len(knots)))]
        canvas.stroke(np.array([[*first, *last]]), width, Paint(palette.pick(rng)))
    for x, y in knots:
        canvas.fill(disc, float(x), float(y), 0.035, 0.0, Paint(palette.pick(rng)))


def _add_marks(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    """A frame around it, or a small sign in a corner, of any kind of logo."""
    if rng.random() < 0.25:
        inset, end = 0.04, 0.96
        corners = [(inset, inset), (end, inset), (end, end), (inset, end), (inset, inset)]
        sides = [(*corners[i], *corners[i + 1]) for i in range(4)]
        canvas.stroke(np.array(sides), rng.uniform(0.015, 0.04), Paint(palette.pick(rng)))
    if rng.random() < 0.3:
        x, y = rng.choice([0.12, 0.88], 2)
        if rng.random() < 0.5:
            _letter(canvas, float(x), float(y), 0.06, Paint(palette.pick(rng)), rng)
        else:
            canvas.fill(ring, float(x), float(y), 0.05, 0.0, Paint(palette.pick(rng)))


def _photograph(
    image: npt.NDArray[np.floating[Any]], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Bytes of an image whose brightness, contrast, blur and noise do not tell its kind."""
    size = len(image)
    if rng.random() < 0.5:
        image = gaussian_filter(image, (rng.uniform(0.2, BLUR) * size / 64,) * 2 + (0,))
    luminance = image @ LUMINANCE
    gain = rng.uniform(*STDS) / max(float(luminance.std()), 0.02)
    middle = rng.uniform(*MEANS)
    image = (image - luminance.mean()) * min(gain, 1.6) + middle
    noise = rng.standard_normal(image.shape) * abs(rng.normal(0, NOISE_LEVELS))
    levels: npt.NDArray[np.uint8] = np.rint(image * 255 + noise).clip(0, 255).astype(np.uint8)
    return levels


def _write(
    canvas: Canvas,
    x: float,
    y: float,
    width: float,
    ink: Paint,
    rng: np.random.Generator,
    *,
    heights: tuple[float, float],
) -> float:
    """A word of at most this width around a place; the height that it has."""
    letters = draw_word(rng, int(rng.integers(4, 8)))
    narrow, gap = rng.uniform(0.45, 0.7), rng.uniform(0.22, 0.32)
    word = set_word(letters, width=narrow, gap=gap, slant=rng.choice([0.0, 0.0, 0.2]))
    wide = len(letters) * (narrow + gap)
    tall = min(rng.uniform(*heights), width / wide)
    thick = tall * rng.uniform(0.13, 0.2)
    canvas.stroke(word * tall + [x, y, x, y], max(thick, 0.02), ink)
    return tall


def _letter(
    canvas: Canvas, x: float, y: float, height: float, ink: Paint, rng: np.random.Generator
) -> None:
    letter = set_word(draw_word(rng, 1), width=0.6, gap=0.0, slant=0.0)
    canvas.stroke(letter * height + [x, y, x, y], height * rng.uniform(0.15, 0.24), ink)


def _gradient(rng: np.random.Generator) -> Paint:
    """From a colour to one that is far from it."""
    first, last = draw_any_colour(rng), draw_any_colour(rng)
    while tell_apart(first, last) < LEAST_RUN:
        first, last = draw_any_colour(rng), draw_any_colour(rng)
    return Paint(first, last, rng.uniform(0, 2 * np.pi), rng.random() < 0.35)


def _any_paint(palette: Palette, rng: np.random.Generator) -> Paint:
    """A plain colour, of the palette or beside it; of one part in six a gradient."""
    if rng.random() < 0.3:
        plain = draw_colour(rng, rng.random(), away_from=palette.background)
    else:
        plain = palette.pick(rng)
    return _gradient(rng) if rng.random() < 0.16 else Paint(plain)


def _outline(rng: np.random.Generator) -> Outline:
    return OUTLINES[int(rng.integers(len(OUTLINES)))]


def _turn(rng: np.random.Generator) -> float:
    """Upright, or at any angle."""
    return 0.0 if rng.random() < 0.5 else float(rng.uniform(0, 2 * np.pi))


def _spread(count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Places of one to three shapes that do not touch."""
    x, y = rng.uniform(0.45, 0.55, 2).tolist()
    if count == 1:
        return [(x, y)]
    angle, far = rng.uniform(0, 2 * np.pi), 0.24 if count == 2 else 0.23
    angles = angle + 2 * np.pi * np.arange(count) / count
    return [(x + far * float(np.cos(each)), y + far * float(np.sin(each))) for each in angles]
