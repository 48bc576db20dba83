"""Training samples as they are stored beside what the model sees, drawn before it sees them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from expkit.cleaning import one_line
from expkit.records.files import write_aside
from expkit.records.run import Run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

# matplotlib would cost more time to load than all of this takes
PAIRS_IN_A_ROW = 4
MIN_SIDE, MAX_SIDE = 96, 160  # pixels of one picture
GAP, CAPTION, HEAD = 12, 18, 26
INK, PAPER, FAINT = (17, 17, 17), (255, 255, 255), (119, 119, 119)


def draw_mosaic(run: Run, folder: Path) -> list[Path]:
    """Pairs of pictures with their classes, from the run's record of augmented samples."""
    arrays = run.samples("augmented")
    if arrays is None or len(arrays["stored"]) == 0:
        return []
    names = [_caption(run, target) for target in arrays["targets"]]
    tiles = [
        _pair(stored, seen, name)
        for stored, seen, name in zip(arrays["stored"], arrays["seen"], names, strict=True)
    ]
    width, height = tiles[0].size
    columns = min(PAIRS_IN_A_ROW, len(tiles))
    rows = -(-len(tiles) // columns)
    size = (columns * (width + GAP) + GAP, HEAD + rows * (height + GAP))
    canvas = Image.new("RGB", size, PAPER)
    head = "each pair: stored | as the model sees it"
    ImageDraw.Draw(canvas).text((GAP, 7), head, INK, _font(13))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        canvas.paste(tile, (GAP + column * (width + GAP), HEAD + row * (height + GAP)))
    folder.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    canvas.save(stream, "PNG", compress_level=3)
    path = folder / "augmented.png"
    write_aside(path, stream.getvalue())
    return [path]


def _caption(run: Run, target: np.generic) -> str:
    """The class's name; a regression's samples have none."""
    names = run.dataset.class_names
    return "" if names is None else one_line(names[int(target)])


def _pair(stored_HWC: Pixels, seen_HWC: Pixels, name: str) -> Image.Image:
    left, right = enlarge(stored_HWC), enlarge(seen_HWC)
    width, height = left.width + 2 + right.width, max(left.height, right.height)
    tile = Image.new("RGB", (width, height + CAPTION), PAPER)
    tile.paste(left, (0, 0))
    tile.paste(right, (left.width + 2, 0))
    font, text = _font(12), name
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2] + "…"
    ImageDraw.Draw(tile).text((0, height + 2), text, FAINT, font)
    return tile


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def enlarge(image_HWC: Pixels) -> Image.Image:
    """By whole steps, so that every pixel stays a square; a large picture is made smaller."""
    grey = image_HWC.shape[-1] != 3
    image = Image.fromarray(image_HWC[..., 0] if grey else image_HWC).convert("RGB")
    longest = max(image.size)
    if longest > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        return image
    factor = max(1, -(-MIN_SIDE // longest))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
