"""Training samples as they are stored beside what the model sees, drawn before it sees them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from expkit.records.files import write_aside
from expkit.records.run.reader import Run
from expkit.reports.plots.files import format_of
from expkit.sanitize import one_line

Pixels = npt.NDArray[np.uint8]
Arrays = Mapping[str, npt.NDArray[Any]]

MOSAIC = "augmented"  # the plot, and the samples that it is made of
# matplotlib would cost more time to load than all of this takes
PAIRS_IN_A_ROW, SINGLES_IN_A_ROW = 4, 8
MIN_ALIKE = 0.999  # correlation, but for rounding
MIN_SIDE, MAX_SIDE = 96, 160  # pixels of one image
GAP, CAPTION, HEAD = 12, 18, 26
INK, PAPER, FAINT = (17, 17, 17), (255, 255, 255), (119, 119, 119)


def draw_mosaic(run: Run, folder: Path, plot_format: str | None = None) -> list[Path]:
    """The mosaic as a file of a folder; none of a run that kept no such samples."""
    canvas = make_mosaic(run)
    if canvas is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{MOSAIC}.{plot_format or format_of(run.config)}"
    write_aside(path, _encode(canvas, path.suffix))
    return [path]


def make_mosaic(run: Run) -> Image.Image | None:
    """Pairs of images with their classes, from the run's record of augmented samples."""
    arrays = run.samples(MOSAIC)
    if arrays is None or len(arrays["stored"]) == 0:
        return None
    columns, head, tiles = _choose_tiles(run, arrays)
    return arrange_tiles(tiles, columns, head)


def _choose_tiles(run: Run, arrays: Arrays) -> tuple[int, str, list[Image.Image]]:
    """Pairs, or single images where a pair would show the same one twice; how many in a row."""
    stored, seen = arrays["stored"], arrays["seen"]
    changed = np.asarray(arrays.get("changed", True), bool)
    if changed.shape != (len(stored),):  # an older run's records do not tell
        changed = np.ones(len(stored), bool)
    names = [_caption(run, target) for target in arrays["targets"]]
    if not changed.any() and _looks_alike(stored, seen):
        tiles = [tile_images([image], name) for image, name in zip(stored, names, strict=True)]
        return SINGLES_IN_A_ROW, "as stored, and as the model sees it: no augmentation", tiles
    if changed.any():
        head = "each pair: stored | as the model sees it"
        marks = ["" if each else "unchanged" for each in changed.tolist()]
        names = [", ".join(filter(None, pair)) for pair in zip(names, marks, strict=True)]
    else:
        head = "each pair: stored | as the model sees it, normalized; no augmentation"
    tiles = [tile_images(pair, name) for *pair, name in zip(stored, seen, names, strict=True)]
    return PAIRS_IN_A_ROW, head, tiles


def arrange_tiles(tiles: Sequence[Image.Image], columns: int, head: str) -> Image.Image:
    width, height = (max(sizes) for sizes in zip(*(tile.size for tile in tiles), strict=True))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    font = _font(13)
    wide = max(columns * (width + GAP) + GAP, math.ceil(font.getlength(head)) + 2 * GAP)
    canvas = Image.new("RGB", (wide, HEAD + rows * (height + GAP)), PAPER)
    ImageDraw.Draw(canvas).text((GAP, 7), head, INK, font)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        canvas.paste(tile, (GAP + column * (width + GAP), HEAD + row * (height + GAP)))
    return canvas


def _looks_alike(stored_NHWC: Pixels, seen_NHWC: Pixels) -> bool:
    """Tell whether what is seen is what is stored, but for a channel's contrast and brightness."""
    for channel in range(stored_NHWC.shape[-1]):
        ours, theirs = (each[..., channel].ravel() for each in (stored_NHWC, seen_NHWC))
        is_flat = ours.min() == ours.max() or theirs.min() == theirs.max()
        if not is_flat and np.corrcoef(ours, theirs)[0, 1] < MIN_ALIKE:
            return False
    return True


def _encode(canvas: Image.Image, suffix: str) -> bytes:
    """The image's bytes; an SVG holds its pixels as a PNG."""
    stream = io.BytesIO()
    if suffix == ".pdf":
        canvas.save(stream, "PDF")
        return stream.getvalue()
    canvas.save(stream, "PNG", compress_level=3)
    if suffix == ".png":
        return stream.getvalue()
    width, height = canvas.size
    pixels = base64.b64encode(stream.getvalue()).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{pixels}"/></svg>'
    ).encode()


def _caption(run: Run, target: np.generic) -> str:
    """The class's name; a regression's samples have none."""
    names = run.dataset.class_names
    return "" if names is None else one_line(names[int(target)])


def tile_images(images_HWC: Sequence[Pixels], name: str) -> Image.Image:
    """Images side by side over a name, which is cut where it is too long."""
    enlarged = [enlarge(image) for image in images_HWC]
    width = sum(each.width for each in enlarged) + 2 * (len(enlarged) - 1)
    height = max(each.height for each in enlarged)
    tile = Image.new("RGB", (width, height + CAPTION), PAPER)
    left = 0
    for each in enlarged:
        tile.paste(each, (left, 0))
        left += each.width + 2
    font, text = _font(12), name[:width]  # of characters that are a pixel wide at least
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2] + "…"
    ImageDraw.Draw(tile).text((0, height + 2), text, FAINT, font)
    return tile


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def enlarge(image_HWC: Pixels) -> Image.Image:
    """By whole steps, so that every pixel stays a square; a large image is made smaller."""
    grey = image_HWC.shape[-1] != 3
    image = Image.fromarray(image_HWC[..., 0] if grey else image_HWC).convert("RGB")
    longest = max(image.size)
    if longest > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        return image
    factor = max(1, -(-MIN_SIDE // longest))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
