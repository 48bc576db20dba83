"""A picture cut into pieces: which cell does each come from, where is it, how is it turned?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from expkit.data.store.decoding import UnreadablePictureError, open_picture, without_remarks
from expkit.data.store.progress import Watch
from expkit.data.store.samples import Cutting, Dataset, Normalisation, Samples
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Picture = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000
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
    normalise: Normalisation = "dataset"
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
                f"a picture of {num_pixels:,} pixels is too large to keep in memory",
                where=f"dataset.rows={self.rows}, dataset.columns={self.columns}, "
                f"dataset.piece_size={self.piece_size}",
                allowed=f"rows x columns x piece_size^2 <= {MAX_PIXELS:,}",
            )

    def read(self, watch: Watch) -> Dataset:
        pictures = {"train": self._picture(self.image, "image")}
        if self.held_out_image is not None:
            pictures["val"] = self._picture(self.held_out_image, "held_out_image")
        splits = {name: self._cut(picture) for name, picture in pictures.items()}
        return Dataset(
            splits=splits,
            normalise=self.normalise,
            class_names=self._class_names(),
            target_names=("x", "y") if self.target == "position" else None,
            cuttings={
                name: Cutting(picture, self.rows, self.columns, self._cells_of_samples())
                for name, picture in pictures.items()
            },
        )

    def _picture(self, path: str | None, key: str) -> Picture:
        """The whole picture at the size of its pieces put together."""
        from expkit.data.synthetic.landscape import draw_landscape

        height, width = self.rows * self.piece_size, self.columns * self.piece_size
        if path is None:
            return draw_landscape(height, width, self.landscape_seed)
        return load_picture(Path(path), height, width, (self.rows, self.columns), f"dataset.{key}")

    def _cut(self, picture: Picture) -> Samples:
        import numpy as np

        rows, columns, size = self.rows, self.columns, self.piece_size
        pieces = picture.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        pieces = pieces.reshape(rows * columns, size, size, 3)
        names = self._cell_names()
        if self.target == "rotation":
            turned = np.stack([np.rot90(pieces, turn, axes=(1, 2)) for turn in range(4)], axis=1)
            turns = np.tile(np.arange(4), len(pieces))
            names = [f"{name}_{turn}" for name in names for turn in QUARTER_TURNS]
            return Samples(turned.reshape(-1, size, size, 3), turns, names)
        cells = np.arange(rows * columns)
        if self.target == "position":
            # centres of the cells, as fractions of the picture's width and height
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


def load_picture(path: Path, height: int, width: int, grid: tuple[int, int], key: str) -> Picture:
    """Any picture that Pillow reads, upright, in RGB, fitted to height x width."""
    import numpy as np
    from PIL import Image

    where = f"{key}={path}"
    try:
        if path.is_dir():
            raise UserError(f"'{path}' is a directory", where=where, allowed="one picture file")
        if not path.exists():
            raise UserError(f"there is no file '{path}'", where=where, fix=f"{key}=FILE")
        with without_remarks():
            picture = open_picture(path).convert("RGB")
    except (UnreadablePictureError, OSError) as error:  # a path may be too long to look for
        raise UserError(
            f"'{path}' cannot be read as a picture: {error}",
            where=where,
            allowed="a whole picture file that Pillow reads: PNG, JPEG, TIFF, WebP, ...",
        ) from error
    rows, columns = grid
    if picture.height < rows or picture.width < columns:
        raise UserError(
            f"'{path}' has {picture.width} x {picture.height} pixels, "
            f"too few for {columns} x {rows} pieces",
            where=where,
            fix=f"dataset.rows={min(rows, picture.height)} "
            f"dataset.columns={min(columns, picture.width)}, or a larger picture",
        )
    return np.array(picture.resize((width, height), Image.Resampling.LANCZOS))
