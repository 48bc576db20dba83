"""Images cut into pieces: where, how turned, from which files, and which are refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from expkit.data.datasets.puzzle import Puzzle
from expkit.data.store.progress import silent
from expkit.data.store.split import place_splits
from expkit.errors import UserError

SIZE = 4  # pixels of a piece


def telling_pixels(height: int, width: int) -> np.ndarray:
    """Each pixel says where it lies: its row in red, its column in green."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=-1).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """2 x 3 cells, at the very size of its pieces."""
    return save(tmp_path / "picture.png", telling_pixels(2 * SIZE, 3 * SIZE))


def small(image: str | None, **options: object) -> Puzzle:
    return Puzzle(image, **{"rows": 2, "columns": 3, "piece_size": SIZE, **options})


def test_cells_are_cut_where_they_lie(picture: str) -> None:
    """Piece row * columns + column holds just the pixels of that cell, and is named after it."""
    dataset = small(picture).read(silent)
    train = dataset.splits["train"]
    assert train.images.shape == (6, SIZE, SIZE, 3)
    for cell, image in enumerate(train.images):
        row, column = divmod(cell, 3)
        assert image[0, 0].tolist() == [row * SIZE, column * SIZE, 7]
        assert image[-1, -1].tolist() == [(row + 1) * SIZE - 1, (column + 1) * SIZE - 1, 7]
    assert train.targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert list(train.names) == ["r0c0", "r0c1", "r0c2", "r1c0", "r1c1", "r1c2"]
    assert dataset.class_names == train.names
    assert dataset.class_counts("train") == (1,) * 6
    assert list(dataset.splits) == ["train"]


def test_the_whole_picture_is_kept_for_the_pages(picture: str) -> None:
    """The cutting holds the image that the pieces come from, and the cell of each."""
    cutting = small(picture).read(silent).cuttings["train"]
    assert np.array_equal(cutting.image, telling_pixels(2 * SIZE, 3 * SIZE))
    assert (cutting.rows, cutting.columns, list(cutting.cells)) == (2, 3, [0, 1, 2, 3, 4, 5])


def test_names_sort_as_the_cells_lie() -> None:
    """Eleven columns need two digits, or column 10 would sort before column 2."""
    names = list(Puzzle(rows=2, columns=11, piece_size=1).read(silent).splits["train"].names)
    assert names[:3] == ["r0c00", "r0c01", "r0c02"]
    assert names == sorted(names)


@pytest.mark.parametrize("block", [(1, 1), (13, 9), (40, 3), (5, 64)], ids=str)
def test_any_picture_size_fits_the_grid(tmp_path: Path, block: tuple[int, int]) -> None:
    """Six blocks of one colour each, at any size and shape, come out as six such pieces."""
    colours = np.array([[9, 0, 0], [0, 90, 0], [0, 0, 180], [250, 0, 9], [7, 250, 0], [0, 9, 250]])
    blocks = colours.reshape(2, 3, 3).astype(np.uint8).repeat(block[0], 0).repeat(block[1], 1)
    pieces = small(save(tmp_path / "blocks.png", blocks), piece_size=9).read(silent).splits["train"]
    assert pieces.images.shape == (6, 9, 9, 3)
    # the centre of a piece, away from where Lanczos blends neighbours
    assert np.abs(pieces.images[:, 4, 4].astype(int) - colours).max() <= 3


def test_default_is_a_landscape_in_950_pieces() -> None:
    """With no file 25 x 38 pieces of 64 x 64 are drawn, the same each time."""
    train = Puzzle().read(silent).splits["train"]
    assert train.images.shape == (950, 64, 64, 3)
    assert train.images.dtype == np.uint8
    again = small(None, landscape_seed=5).read(silent).splits["train"].fingerprint()
    assert again == small(None, landscape_seed=5).read(silent).splits["train"].fingerprint()
    assert again != small(None, landscape_seed=6).read(silent).splits["train"].fingerprint()


def test_rotation_turns_each_piece_four_ways(picture: str) -> None:
    """Class k is the piece turned by k quarters anticlockwise; four samples share a cell."""
    upright = small(picture).read(silent).splits["train"].images
    dataset = small(picture, target="rotation").read(silent)
    turned = dataset.splits["train"]
    assert len(turned) == 24
    for index in range(24):
        assert np.array_equal(turned.images[index], np.rot90(upright[index // 4], index % 4))
    # by hand: a quarter turned anticlockwise, the right upper corner comes to the left upper one
    assert turned.images[1][0, 0].tolist() == upright[0][0, -1].tolist() == [0, SIZE - 1, 7]
    assert turned.targets.tolist() == [0, 1, 2, 3] * 6
    assert dataset.class_names == ["0", "90", "180", "270"]
    assert turned.names[5] == "r0c1_90"
    assert list(dataset.cuttings["train"].cells) == [cell for cell in range(6) for _ in range(4)]


def test_positions_are_the_centres_of_cells(picture: str) -> None:
    """x and y as fractions of width and height, of the middle of each cell."""
    dataset = small(picture, target="position").read(silent)
    targets = dataset.splits["train"].targets
    expected = [[x, y] for y in (1 / 4, 3 / 4) for x in (1 / 6, 1 / 2, 5 / 6)]
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets, expected, rtol=1e-6)
    assert dataset.class_names is None
    assert dataset.target_names == ("x", "y")


def test_held_out_image_is_cut_alike_as_val(tmp_path: Path, picture: str) -> None:
    """The second image gives the split val with the same classes, and its own pixels."""
    other = save(tmp_path / "other.png", 200 - telling_pixels(2 * SIZE, 3 * SIZE))
    dataset = small(picture, held_out_image=other).read(silent)
    assert list(dataset.splits) == ["train", "val"]
    train, val = dataset.splits["train"], dataset.splits["val"]
    assert np.array_equal(val.images, 200 - train.images)
    assert np.array_equal(val.targets, train.targets)
    assert np.array_equal(dataset.cuttings["val"].image, 200 - dataset.cuttings["train"].image)


@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (6, 1), (3, 2), (8, 3)])
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, quarters: int) -> None:
    """A photograph taken with the camera turned is cut upright."""
    upright = telling_pixels(2 * SIZE, 3 * SIZE)
    exif = Image.Exif()
    exif[0x0112] = orientation  # 6: to be turned clockwise by a quarter before it is shown
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright, quarters).copy()).save(path, exif=exif)
    assert np.array_equal(small(str(path)).read(silent).cuttings["train"].image, upright)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_other_kinds_of_pictures_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    """Grey, transparent, palette, black-and-white and print images mean the same in RGB."""
    pixels = np.zeros((2 * SIZE, 3 * SIZE, 3), np.uint8)
    pixels[:, SIZE:] = 255  # black and white, which every mode can say
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    Image.fromarray(pixels).convert(mode).save(path)
    with Image.open(path) as opened:
        assert opened.mode == mode
    assert np.array_equal(small(str(path)).read(silent).cuttings["train"].image, pixels)


def test_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    """Pillow remarks on a palette's transparency; the user need not hear it."""
    palette = Image.new("P", (6, 6))
    palette.putpalette([10, 20, 30, 200, 200, 200])
    palette.save(tmp_path / "p.png", transparency=bytes([0, 128]))
    picture = small(str(tmp_path / "p.png")).read(silent).cuttings["train"].image
    assert (picture == [10, 20, 30]).all()


def refusal(image: str | Path, key: str = "image", **options: object) -> UserError:
    given = {"image": None, key: str(image)}
    with pytest.raises(UserError) as caught:
        small(**given, **options).read(silent)
    return caught.value


def test_missing_picture_is_refused(tmp_path: Path) -> None:
    """The path that is not there is said, with its key."""
    error = refusal(tmp_path / "none.png")
    assert error.what == f"there is no file '{tmp_path / 'none.png'}'"
    assert error.details["where"] == f"dataset.image={tmp_path / 'none.png'}"


def test_directory_is_refused(tmp_path: Path) -> None:
    """A folder is no image, and the message says that it is one."""
    assert refusal(tmp_path).what == f"'{tmp_path}' is a directory"


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    """Other files, even ones that begin like an image, end in the same sentence."""
    (tmp_path / "text.png").write_bytes(content)
    assert "cannot be read as an image" in refusal(tmp_path / "text.png").what


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp"])
def test_truncated_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    """Half a download is not trained on, in any format: its grey rest would be false pieces."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    path = Path(save(tmp_path / f"half.{suffix}", pixels))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read as an image" in refusal(path).what


@pytest.mark.parametrize("shape", [(1, 3), (2, 2)], ids=str)
def test_picture_smaller_than_its_grid_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    """A cell needs at least a pixel; the grid that would fit is proposed."""
    error = refusal(save(tmp_path / "tiny.png", telling_pixels(*shape)))
    assert error.what.endswith(f"has {shape[1]} x {shape[0]} pixels, too few for 3 x 2 pieces")
    fitting = f"dataset.rows={shape[0]} dataset.columns={shape[1]}"
    assert (error.details["do"] or "").startswith(fitting)


def test_wrong_held_out_image_is_refused_by_its_own_key(tmp_path: Path) -> None:
    """The user is told which of the two files is wrong."""
    error = refusal(tmp_path / "none.png", "held_out_image")
    assert error.details["where"] == f"dataset.held_out_image={tmp_path / 'none.png'}"


def test_puzzle_of_one_piece_is_refused() -> None:
    """One class cannot be told from others; turned, the same piece has four."""
    with pytest.raises(UserError, match="one class"):
        Puzzle(rows=1, columns=1)
    assert (
        len(Puzzle(rows=1, columns=1, target="rotation", piece_size=2).read(silent).splits["train"])
        == 4
    )


@pytest.mark.parametrize(
    ("suffix", "dtype", "top"), [("png", np.uint16, 65535), ("tif", np.uint16, 65535)]
)
def test_16_bit_grey_keeps_its_levels(tmp_path: Path, suffix: str, dtype: type, top: int) -> None:
    """A scan in 16 bits is scaled to 8, not clipped to white."""
    pixels = np.tile(np.array([0, 64 * 257, 128 * 257, top], dtype), (4, 1))
    Image.fromarray(pixels).save(tmp_path / f"scan.{suffix}")
    puzzle = Puzzle(str(tmp_path / f"scan.{suffix}"), rows=2, columns=2, piece_size=2)
    assert puzzle.read(silent).cuttings["train"].image[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (1, 2), (2, 2)])
def test_any_grid_of_a_file_reaches_the_device(tmp_path: Path, rows: int, columns: int) -> None:
    """torch warns of read-only arrays, and an image from Pillow is one."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "p.png")
    puzzle = Puzzle(str(tmp_path / "p.png"), rows=rows, columns=columns, piece_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        place_splits(puzzle.read(silent), torch.device("cpu"))


def test_overlong_path_is_refused(tmp_path: Path) -> None:
    """A name that no file can have is no file."""
    with pytest.raises(UserError):
        Puzzle("x" * 300, rows=1, columns=2).read(silent)


@pytest.mark.skipif(".avif" not in Image.registered_extensions(), reason="this Pillow has no AVIF")
def test_corrupt_avif_is_refused(tmp_path: Path) -> None:
    """Pillow's AVIF reader raises RuntimeError where the others raise OSError."""
    path = tmp_path / "p.avif"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    broken = 0
    for place in range(60, 300):
        (tmp_path / "q.avif").write_bytes(
            bytes(content[:place]) + b"\xff\xff" + bytes(content[place + 2 :])
        )
        try:
            Puzzle(str(tmp_path / "q.avif"), rows=1, columns=2, piece_size=2).read(silent)
        except UserError:
            broken += 1
    assert broken
