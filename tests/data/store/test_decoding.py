"""Files to images: every kind that Pillow reads, upright, and by timm's rules of size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform

from expkit.data.store.decoding import Decoding, UnreadableImageError, decode_all, open_image
from expkit.data.store.progress import silent


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def noise(*shape: int) -> np.ndarray:
    """Soft noise: what resampling does to it depends on every pixel."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """Black and white, which every mode can say, come out as 0 and 255 in three channels."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 3:] = 255
    Image.fromarray(pixels).convert(mode).save(tmp_path / "p.png")
    decoded = Decoding().decode(tmp_path / "p.png")
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels)


def test_one_channel_is_grey(tmp_path: Path) -> None:
    """By ITU-R 601: 0.299 of a pure red of 255 is 76."""
    red = np.zeros((2, 3, 3), np.uint8)
    red[..., 0] = 255
    decoded = Decoding(channels=1).decode(save(tmp_path / "red.png", red))
    assert decoded.shape == (2, 3, 1)
    assert set(decoded.flatten()) == {76}


def test_16_bits_keep_their_levels(tmp_path: Path) -> None:
    """The high byte of each, where Pillow alone would clip all to white."""
    levels = np.array([[0, 256, 0x8000, 0xFFFF]], np.uint16)
    decoded = Decoding(channels=1).decode(save(tmp_path / "deep.png", levels))
    assert decoded[0, :, 0].tolist() == [0, 1, 128, 255]


def test_exif_turns_before_the_crop(tmp_path: Path) -> None:
    """A turned photograph has the height and width that its viewer sees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = noise(4, 10, 3)
    path = save(tmp_path / "turned.png", pixels, exif=exif)
    assert np.array_equal(Decoding().decode(path), np.rot90(pixels, -1))


@pytest.mark.parametrize("shape", [(90, 120), (120, 90), (50, 133), (64, 64), (20, 31)], ids=str)
@pytest.mark.parametrize("crop_fraction", [0.875, 0.95, 1.0])
@pytest.mark.parametrize(("resize", "timm_mode"), [("crop", "center"), ("squash", "squash")])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_sizes_are_timm_s(
    tmp_path: Path,
    shape: tuple[int, int],
    crop_fraction: float,
    resize: str,
    timm_mode: str,
    interpolation: str,
) -> None:
    """Byte for byte what timm's own evaluation transform makes of the file."""
    path = save(tmp_path / "p.png", noise(*shape, 3))
    given = {"crop_fraction": crop_fraction, "resize": resize, "interpolation": interpolation}
    decoded = Decoding(size=(56, 56), **given).decode(path)
    transform = create_transform(
        (3, 56, 56), crop_pct=crop_fraction, crop_mode=timm_mode, interpolation=interpolation
    )
    transform.transforms = transform.transforms[:2]  # resize and crop; not to floats
    with Image.open(path) as opened:
        expected = np.asarray(transform(opened))
    assert np.array_equal(decoded, expected)


def test_crop_takes_the_middle_of_an_oblong(tmp_path: Path) -> None:
    """By hand: of 4 x 8, a crop of 2 x 2 keeps the two middle of four blocks when halved."""
    pixels = np.repeat([10, 60, 120, 250], 2)[None].repeat(4, 0).astype(np.uint8)
    decoding = Decoding(size=(2, 2), interpolation="box", channels=1)
    assert decoding.decode(save(tmp_path / "p.png", pixels))[0, :, 0].tolist() == [60, 120]
    squash = Decoding(size=(2, 2), interpolation="box", channels=1, resize="squash")
    assert squash.decode(tmp_path / "p.png")[0, :, 0].tolist() == [35, 185]


@pytest.mark.parametrize("size", [(10, 30), (30, 10), (7, 7), (1, 1)], ids=str)
@pytest.mark.parametrize("shape", [(3, 500), (500, 3), (1, 1), (29, 31)], ids=str)
@pytest.mark.parametrize("crop_fraction", [0.1, 0.3, 0.7, 1.0])
def test_any_shape_gives_the_asked_size(
    tmp_path: Path, size: tuple[int, int], shape: tuple[int, int], crop_fraction: float
) -> None:
    """Rounding never leaves an image a pixel short of its crop."""
    path = save(tmp_path / "p.png", np.full((*shape, 3), 200, np.uint8))
    decoded = Decoding(size=size, crop_fraction=crop_fraction).decode(path)
    assert decoded.shape == (*size, 3)
    assert (decoded == 200).all()  # nothing is cut from beyond the image, which would be black


@pytest.mark.parametrize("size", [None, (5, 7)])
def test_decoding_is_written_and_read_as_plain_values(size: tuple[int, int] | None) -> None:
    """What a run writes down of its decoding is that decoding when it is read."""
    decoding = Decoding(size=size, crop_fraction=0.9, resize="squash", channels=1)
    record = decoding.to_json()
    record["size"] = None if size is None else list(size)  # as JSON brings it back
    assert Decoding.from_json(record) == decoding


def test_all_are_decoded_in_order_with_reasons(tmp_path: Path) -> None:
    """Each file's image stands in its place, and so does the reason where there is none."""
    paths = [save(tmp_path / f"{i}.png", np.full((2, 2), i, np.uint8)) for i in range(200)]
    paths[7].write_bytes(paths[7].read_bytes()[:40])
    paths[9] = tmp_path / "missing.png"
    told: list[tuple[str, int, int]] = []
    results = list(decode_all(paths, Decoding(channels=1), lambda *metadata: told.append(metadata)))
    values = [
        i if isinstance(each, np.ndarray) and (each == i).all() else None
        for i, each in enumerate(results)
    ]
    assert values == [None if i in (7, 9) else i for i in range(200)]
    assert "no such file" in str(results[9])
    assert told[-1] == ("decoding", 200, 200)
    assert len(told) < 50  # now and then, not for each


def test_broken_files_are_reasons_and_not_tracebacks(tmp_path: Path) -> None:
    """Whatever a plugin raises for a broken file, one kind of error comes out."""
    for suffix in ("png", "jpg", "gif", "tif", "webp", "bmp", "qoi", "ico"):
        path = tmp_path / f"p.{suffix}"
        path.write_bytes(b"\0" * 50)
        (result,) = decode_all([path], Decoding(), silent)
        assert isinstance(result, UnreadableImageError)
        assert str(path) not in str(result)  # it stands beside the path, which need not be twice


def test_a_program_is_no_image(tmp_path: Path) -> None:
    """Pillow would hand a PostScript file to Ghostscript, whatever it is called."""
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path, format="EPS")
    with pytest.raises(UnreadableImageError, match="EPS is a program"):
        open_image(path)


def test_an_open_image_is_decoded_as_its_file_is(tmp_path: Path) -> None:
    """Upright, in 8 bits and in its size; one that was opened lazily may turn out broken."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    path = tmp_path / "p.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(pixels).save(path, exif=exif)
    decoding = Decoding(size=(10, 6), channels=3)
    with Image.open(path) as opened:
        ours, theirs = decode_all([opened, path], decoding, silent)
    np.testing.assert_array_equal(ours, theirs)
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as opened:
        (broken,) = decode_all([opened], decoding, silent)
    assert isinstance(broken, UnreadableImageError)
