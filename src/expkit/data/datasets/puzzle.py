"""An image cut into pieces: which cell does each come from, where is it, how is it turned?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from expkit.data.store.decoding import UnreadableImageError, open_image, without_remarks
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Cutting, Dataset, Normalization, Samples
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000
TURNED = "a mirrored piece is turned another way, which is another class"
QUARTER_TURNS = ("0", "90", "180", "270")  # degrees, anticlockwise


@dataclass(frozen=True)
class Puzzle:
    """Cuts one image into rows x columns pieces, and a second one alike as the split val."""

    image: str | None = None
    held_out_image: str | None = None
    rows: Annotated[int, Ge(1)] = 25
    columns: Annotated[int, Ge(1)] = 38
    piece_size: Annotated[int, Ge(1)] = 64
    target: Literal["cell", "position", "rotation"] = "cell"
    normalize: Normalization = "dataset"
    landscape_seed: Annotated[int, Ge(0)] = 2

    def __post_init__(self) -> None:
        if self.target == "cell" and self.rows * self.columns < 2:
            raise UserError(
                "a puzzle of one piece has one class, and a classifier needs two",
                where=f"dataset.rows={self.rows}, dataset.columns={self.columns}",
                allowed="rows x columns >= 2",
            )

        num_pixels = self.rows * self.columns * self.piece_size**2
        if num_pixels > MAX_PIXELS:
            raise UserError(
                f"an image of {num_pixels:,} pixels is too large to keep in memory",
                where=f"dataset.rows={self.rows}, dataset.columns={self.columns}, "
                f"dataset.piece_size={self.piece_size}",
                allowed=f"rows x columns x piece_size^2 <= {MAX_PIXELS:,}",
            )

    def read(self, on_progress: ProgressCallback) -> Dataset:
        images = {"train": self._whole_image(self.image, "image")}
        if self.held_out_image is not None:
            images["val"] = self._whole_image(self.held_out_image, "held_out_image")
        splits = {name: self._cut(image) for name, image in images.items()}
        return Dataset(
            splits=splits,
            normalize=self.normalize,
            class_names=self._class_names(),
            target_names=("x", "y") if self.target == "position" else None,
            unsuitable_views=dict.fromkeys(("horizontal_flip", "vertical_flip"), TURNED)
            if self.target == "rotation"
            else {},
            cuttings={
                name: Cutting(image, self.rows, self.columns, self._cells_of_samples())
                for name, image in images.items()
            },
        )

    def _whole_image(self, path: str | None, key: str) -> Pixels:
        """The whole image at the size of its pieces put together."""
        from expkit.data.synthetic.landscape import draw_landscape

        height, width = self.rows * self.piece_size, self.columns * self.piece_size
        if path is None:
            return draw_landscape(height, width, self.landscape_seed)
        return load_image(Path(path), height, width, (self.rows, self.columns), f"dataset.{key}")

    def _cut(self, image: Pixels) -> Samples:
        import numpy as np

        rows, columns, size = self.rows, self.columns, self.piece_size
        pieces = image.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        pieces = pieces.reshape(rows * columns, size, size, 3)
        names = self._cell_names()
        if self.target == "rotation":
            turned = np.stack([np.rot90(pieces, turn, axes=(1, 2)) for turn in range(4)], axis=1)
            turns = np.tile(np.arange(4), len(pieces))
            names = [f"{name}_{turn}" for name in names for turn in QUARTER_TURNS]
            return Samples(turned.reshape(-1, size, size, 3), turns, names)
        cells = np.arange(rows * columns)
        if self.target == "position":
            # centres of the cells, as fractions of the image's width and height
            x, y = (cells % columns + 0.5) / columns, (cells // columns + 0.5) / rows
            return Samples(pieces, np.stack([x, y], axis=1).astype(np.float32), names)
        return Samples(pieces, cells, names)

    def _cell_names(self) -> list[str]:
        """`r07c12`: wide enough that they sort as they lie."""
        tall, wide = len(str(self.rows - 1)), len(str(self.columns - 1))
        return [
            f"r{row:0{tall}}c{column:0{wide}}"
            for row in range(self.rows)
            for column in range(self.columns)
        ]

    def _class_names(self) -> list[str] | None:
        if self.target == "position":
            return None
        return self._cell_names() if self.target == "cell" else list(QUARTER_TURNS)

    def _cells_of_samples(self) -> list[int]:
        repeats = 4 if self.target == "rotation" else 1
        return [cell for cell in range(self.rows * self.columns) for _ in range(repeats)]


def load_image(path: Path, height: int, width: int, grid: tuple[int, int], key: str) -> Pixels:
    """Any image that Pillow reads, upright, in RGB, fitted to height x width."""
    import numpy as np
    from PIL import Image

    where = f"{key}={path}"
    try:
        if path.is_dir():
            raise UserError(f"'{path}' is a directory", where=where, allowed="one image file")
        if not path.exists():
            raise UserError(f"there is no file '{path}'", where=where, fix=f"{key}=FILE")
        with without_remarks():
            image = open_image(path).convert("RGB")
    except (UnreadableImageError, OSError) as error:  # a path may be too long to look for
        raise UserError(
            f"'{path}' cannot be read as an image: {error}",
            where=where,
            allowed="a whole image file that Pillow reads: PNG, JPEG, TIFF, WebP, ...",
        ) from error
    rows, columns = grid
    if image.height < rows or image.width < columns:
        raise UserError(
            f"'{path}' has {image.width} x {image.height} pixels, "
            f"too few for {columns} x {rows} pieces",
            where=where,
            fix=f"dataset.rows={min(rows, image.height)} "
            f"dataset.columns={min(columns, image.width)}, or a larger image",
        )
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS))
