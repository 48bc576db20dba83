"""A user's own folder gone wrong: broken choices in conf/, images and arrays that are none."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_arena import FAILED, LONG, PASSED, REFUSED, Arena, without_override
from hostile_folders import (
    DEEP,
    YAML_BOMB,
    fifo,
    folder,
    link_dangling,
    link_to_endless_device,
    link_to_itself,
    npy_header,
    object_npz,
    pickled,
    unix_socket,
    zip_bomb,
)
from PIL import Image

pytestmark = pytest.mark.broad(2)

# conf/model/odd.yaml, which the user chooses
CHOICES: dict[str, str | bytes] = {
    "nothing": "",
    "a comment alone": "# nothing\n",
    "a scalar": "x\n",
    "a list": "- 1\n",
    "a null": "~\n",
    "a number": "7\n",
    "an open bracket": "# x\na: [\n",
    "an open quote": "# x\na: 'b\n",
    "a tab": "# x\na:\n\tb: 1\n",
    "a key twice": "# x\na: 1\na: 2\n",
    "anchors that multiply": f"# x\n{YAML_BOMB}",
    "merges that multiply": "# x\na0: &a0 {x0: 1, y0: 2}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)),
    "an anchor within itself": "# x\na: &a {b: *a}\n",
    "an alias of nothing": "# x\na: *b\n",
    "deep brackets": f"# x\na: {DEEP}\n",
    "an object of Python": "# x\na: !!python/object/apply:os.system ['touch ../ran']\n",
    "binary": bytes(range(256)),
    "UTF-16": "# x\na: 1\n".encode("utf-16"),
    "Latin-1": "# \xe9\na: 1\n".encode("latin-1"),
    "a NUL": "# x\na: b\0c\n",
    "terminal codes": '# \x1b[2J\x1b]0;owned\x07\na: "\\e[2J"\n',
    "a choice of itself": "# x\ndefaults:\n  - odd\n",
    "choices of nothing": "# x\ndefaults:\n  - nowhere\n",
    "choices of a path": "# x\ndefaults:\n  - ../../../etc/passwd\n",
    "choices of a text": "# x\ndefaults: simple_conv\n",
    "choices of numbers": "# x\ndefaults: [1, 2]\n",
    "choices of lists": "# x\ndefaults: [[1]]\n",
    "an override of nothing": "# x\ndefaults:\n  - override /optimizer: nowhere\n",
    "an odd package": "# @package ...\n# x\na: 1\n",
    "a package of Hydra": "# @package hydra\n# x\nrun: {dir: ../beside/new}\n",
    "an interpolation of itself": "# x\n_target_: ${model._target_}\n",
    "an interpolation of nothing": "# x\n_target_: ${nowhere}\n",
    "a resolver that is none": "# x\n_target_: ${os.system:ls}\n",
    "a target that is none": "# x\n_target_: nowhere.at_all\n",
    "a target of the system": "# x\n_target_: os.system\ncommand: touch ../ran\n",
    "a missing value": "# x\n_target_: expkit.models.conv.ConvNet\nwidths: ???\n",
    "a date": "# x\n_target_: 2026-01-01\n",
    "a very long text": f"# {LONG}\n_target_: {LONG}\n",
    "a two-document text": "# x\na: 1\n---\nb: 2\n",
    "numeric keys": "# x\n7: 1\ntrue: 2\nnull: 3\n",
}


def own(arena: Arena, group: str, name: str, text: str | bytes) -> Path:
    path = arena.work / "conf" / group / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("kind", CHOICES)
def test_a_choice_of_ones_own_is_broken(kind: str, arena: Arena) -> None:
    """Told by its file where it is chosen, and no end of a listing or a completion."""
    own(arena, "model", "odd", CHOICES[kind])
    arena.ask("train", "model=odd", codes=(REFUSED,))
    arena.ask("list", "model", codes=(PASSED,))
    arena.ask("completion", "--answer", "expkit train model=o", codes=(PASSED,))
    arena.ask("train", "model=nowhere", codes=(REFUSED,))


@pytest.mark.slow
def test_choices_that_take_from_each_other(arena: Arena) -> None:
    """In a circle of two, which listing and completion follow no further."""
    own(arena, "model", "odd", "# x\ndefaults: [even]\n")
    own(arena, "model", "even", "# x\ndefaults: [odd]\n")
    arena.ask("train", "model=odd", codes=(REFUSED,))
    arena.ask("train", "-m", "model=glob(*)", "seed=x", codes=(REFUSED,))
    arena.ask("list", "model", codes=(PASSED,))


def test_multiplying_anchors_are_told_by_file_and_line(arena: Arena) -> None:
    """Before OmegaConf writes them out, which would never end."""
    path = own(arena, "model", "odd", f"# x\n{YAML_BOMB}")
    said = arena.ask("train", "model=odd", codes=(REFUSED,)).err
    assert path.name in said
    assert "line 6" in said  # nine texts, sevenfold in each line: 28,911 values in the sixth
    own(arena, "model", "odd", "defaults: [simple_conv]\nwidths: &few [4, 4]\nhidden: *few\n")
    said = arena.ask("train", "model=odd", "--cfg", "job", "--package", "model", codes=(PASSED,))
    assert "hidden:\n- 4\n- 4\n" in said.out


GROUPS = ("experiment", "dataset", "diagnosis", "ablation", "launcher", "criteria", "procedure")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", ["nothing", "a list", "an open bracket", "binary", "a key twice"])
def test_a_choice_of_each_group_is_broken(group: str, kind: str, arena: Arena) -> None:
    """One bad file is no end of everything else."""
    own(arena, group, "odd", CHOICES[kind])
    word = "+ablation=odd" if group == "ablation" else f"{group}=odd"
    flags = ("-m",) if group == "ablation" else ()
    if group != "diagnosis":
        arena.ask("train", *flags, word, "seed=x", codes=(REFUSED,))
    arena.ask("list", codes=(PASSED,))
    arena.have()
    arena.ask("diagnose", "honest", codes=(PASSED, FAILED))


SHAPES: dict[str, Callable[[Path, Arena], object]] = {
    "a FIFO": fifo,
    "a folder": folder,
    "a socket": unix_socket,
    "a link to nowhere": link_dangling,
    "a link to itself": link_to_itself,
    "a link to an endless device": link_to_endless_device,
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_choice_is_no_file(kind: str, arena: Arena) -> None:
    """A pipe would be waited for."""
    path = own(arena, "model", "odd", "")
    path.unlink()
    SHAPES[kind](path, arena)
    arena.ask("train", "model=odd", codes=(REFUSED,))
    arena.ask("list", "model", codes=(PASSED, REFUSED))


@pytest.mark.parametrize("kind", ["a FIFO", "a folder", "a link to itself", "nothing"])
def test_the_conf_folder_is_none(kind: str, arena: Arena) -> None:
    path = arena.work / "conf"
    if kind != "nothing":
        SHAPES[kind](path, arena)
    arena.ask("train", "seed=x", codes=(REFUSED,))
    arena.ask("list", "model", codes=(PASSED,))


# Images.


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG's header, and what is said to be its pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def saved(mode: str, kind: str, size: tuple[int, int] = (8, 8), **more: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind, **more)
    return stream.getvalue()


def animated() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("P", (8, 8), color) for color in range(5)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "a text": b"not an image",
    "a header alone": png(8, 8)[:33],
    "half of itself": saved("RGB", "PNG", (64, 64))[:-60],
    "a JPEG cut off": saved("RGB", "JPEG", (64, 64))[:300],
    "enormous": png(60000, 60000),
    "of no size": png(0, 0),
    "of 2^31 pixels a side": png(2**31 - 1, 2**31 - 1),
    "pixels too few": png(8, 8, b"abc"),
    "zeros": bytes(500),
    "garbage": bytes(range(256)) * 4,
    "a pickle": b"\x80\x04\x95",
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(../ran) (w) file\n",
    "an open TIFF": b"II*\x00\xff\xff\xff\xff",
    "an open GIF": b"GIF89a\xff\xff\xff\xff\x00\x00\x00",
    "a wide BMP": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 2**30, 2**30, 1, 24,
                                      0, 0, 0, 0, 0, 0),
}  # fmt: skip
SOUND: dict[str, bytes] = {
    "animated": animated(),
    "of 16 bits": saved("I;16", "PNG"),
    "in CMYK": saved("CMYK", "JPEG"),
    "with a palette": saved("P", "PNG"),
    "with transparency": saved("RGBA", "PNG"),
    "of one bit": saved("1", "PNG"),
    "of one pixel": saved("RGB", "PNG", (1, 1)),
    "of one row": saved("RGB", "PNG", (3000, 1)),
    "in grey": saved("L", "PNG"),
}


@pytest.mark.parametrize("kind", [*BROKEN, *SOUND])
def test_predict_on_an_odd_picture(kind: str, arena: Arena) -> None:
    """One that cannot be read is said, and does not stop the others."""
    arena.have()
    (arena.work / "odd.png").write_bytes({**BROKEN, **SOUND}[kind])
    code = FAILED if kind in BROKEN else PASSED
    arena.ask("predict", "honest", "odd.png", "images/val/cat/0.png", codes=(code,))


@pytest.mark.parametrize("kind", ["half of itself", "enormous", "nothing", "PostScript"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_broken_picture_among_the_data(kind: str, command: str, arena: Arena) -> None:
    """Refused by its path before anything is trained."""
    arena.have()
    (arena.work / "images" / "val" / "cat" / "odd.png").write_bytes(BROKEN[kind])
    words = ("train", "dataset=image_folder", "dataset.root=images")
    arena.ask(*(words if command == "train" else ("evaluate", "honest")), codes=(REFUSED,))


@pytest.mark.parametrize("kind", SHAPES)
def test_a_picture_that_is_no_file(kind: str, arena: Arena) -> None:
    arena.have()
    SHAPES[kind](arena.work / "odd.png", arena)
    arena.ask("predict", "honest", "odd.png", codes=(FAILED, REFUSED))
    SHAPES[kind](arena.work / "images" / "val" / "cat" / "odd.png", arena)
    arena.ask("predict", "honest", "images/val", codes=(PASSED, FAILED))
    arena.ask("evaluate", "honest")


def test_picture_names_of_strangers(arena: Arena) -> None:
    """File names reach the terminal and the table."""
    arena.have()
    many = arena.work / "many"
    many.mkdir()
    source = (arena.work / "images" / "val" / "cat" / "0.png").read_bytes()
    for name in (
        "\x1b[2J.png",
        "\u202egnp.png",
        "=1+1.png",
        "a\nb.png",
        "-rf.png",
        "w" * 200 + ".png",
    ):
        (many / name).write_bytes(source)
        (many / f"x{name}").write_bytes(b"")
    with open(os.fsencode(many) + b"/\xff\xfe.png", "wb") as file:  # noqa: PTH123
        file.write(source)
    arena.ask("predict", "honest", "many", codes=(FAILED,), is_screen=False)
    arena.ask("predict", "honest", "many", "--csv", "table.csv", codes=(FAILED,), is_screen=False)


FOLDERS: dict[str, Callable[[Path], object]] = {
    "an empty class": lambda root: (root / "train" / "cow").mkdir(),
    "an empty class everywhere": lambda root: [
        (root / split / "cow").mkdir() for split in ("train", "val", "test")
    ],
    "a class of texts": lambda root: _put(root / "train" / "cow" / "a.txt", b"x"),
    "a class of codes": lambda root: _put(root / "train" / "\x1b[2J" / "a.png", b"x"),
    "a class in a link to itself": lambda root: (root / "train" / "cow").symlink_to("cow"),
    "a class in a link to the root": lambda root: (root / "train" / "cow").symlink_to("/"),
    "no images at all": lambda root: [path.unlink() for path in root.rglob("*.png")],
    "one class": lambda root: [(path.unlink()) for path in root.glob("*/dog/*.png")],
    "val twice": lambda root: (root / "valid").mkdir(),
    "no train": lambda root: (root / "train").rename(root.parent / "train"),
}  # fmt: skip


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_of_pictures_that_is_none(kind: str, arena: Arena) -> None:
    """Refused, or said; an empty class is no class."""
    FOLDERS[kind](arena.work / "images")
    # the criterion cannot be met, so that nothing is trained where the folder is taken
    words = ("dataset=image_folder", "dataset.root=images", "loss=mse")
    arena.ask("train", *words, codes=(REFUSED,))


# Arrays.


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


IMAGES = np.zeros((6, 8, 8, 3), np.uint8)
ARRAYS: dict[str, Callable[[Arena], bytes]] = {
    "nothing": lambda _: b"",
    "a text": lambda _: b"x",
    "a pickle": pickled,
    "objects": lambda arena: object_npz(arena, "train_images", "train_labels"),
    "a ZIP bomb": lambda _: zip_bomb("train_images", "train_labels"),
    "an open ZIP": lambda _: npz(train_images=IMAGES)[:200],
    "no arrays": lambda _: npz(),
    "other names": lambda _: npz(a=IMAGES),
    "no labels": lambda _: npz(train_images=IMAGES),
    "labels below none": lambda _: npz(train_images=IMAGES, train_labels=np.full(6, -1)),
    "labels of 2^62": lambda _: npz(train_images=IMAGES, train_labels=np.full(6, 2**62)),
    "labels that are none": lambda _: npz(train_images=IMAGES, train_labels=np.full(6, np.nan)),
    "one label": lambda _: npz(train_images=IMAGES, train_labels=np.zeros(6, int)),
    "labels too few": lambda _: npz(train_images=IMAGES, train_labels=np.arange(3)),
    "labels of codes": lambda _: npz(
        train_images=IMAGES[:2], train_labels=np.array(["\x1b[2J", "\u202e"])
    ),
    "images of nothing": lambda _: npz(
        train_images=np.zeros((0, 8, 8, 3), np.uint8), train_labels=np.zeros(0, int)
    ),
    "images of no size": lambda _: npz(
        train_images=np.zeros((6, 0, 0, 3), np.uint8), train_labels=np.arange(6) % 2
    ),
    "images of numbers": lambda _: npz(
        train_images=np.zeros((6, 8, 8, 3), complex), train_labels=np.arange(6) % 2
    ),
    "images that are none": lambda _: npz(
        train_images=np.full((6, 8, 8, 3), np.nan), train_labels=np.arange(6) % 2
    ),
    "images of seven axes": lambda _: npz(
        train_images=np.zeros((6, 1, 1, 1, 1, 8, 8), np.uint8), train_labels=np.arange(6) % 2
    ),
    "a header of code": lambda _: npy_header("__import__('os')"),
    "a header that is too large": lambda _: npy_header("(1000000, 1000000)"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_are_none(kind: str, arena: Arena) -> None:
    """Refused before anything is trained, and never unpickled."""
    (arena.work / "odd.npz").write_bytes(ARRAYS[kind](arena))
    arena.ask("train", "dataset=arrays", "dataset.images=odd.npz", codes=(REFUSED,))


# Where results go.


def test_a_table_into_a_fifo_is_written_to_it(arena: Arena) -> None:
    """Special files are written to, and not replaced by a file of the same name."""
    arena.have()
    pipe = arena.work / "pipe"
    os.mkfifo(pipe)
    came: list[bytes] = []
    reader = threading.Thread(target=lambda: came.append(pipe.read_bytes()), daemon=True)
    reader.start()
    arena.ask("predict", "honest", "images/val", "--csv", "pipe", codes=(PASSED,))
    assert pipe.is_fifo(), "the pipe was replaced"
    reader.join(5)
    assert came
    assert b"prediction" in came[0]


def test_a_table_into_a_device_leaves_the_device(arena: Arena) -> None:
    """A device of the user's own, and a link to the real one."""
    arena.have()
    device = arena.work / "null"
    device.symlink_to("/dev/null")
    arena.ask("predict", "honest", "images/val", "--csv", "null", codes=(PASSED, REFUSED))
    assert device.is_symlink(), "the link to a device was replaced"


@pytest.mark.parametrize("command", ["predict", "compare", "report", "train", "evaluate"])
def test_a_folder_that_must_not_be_written(command: str, arena: Arena) -> None:
    """Said before anything is paid for."""
    arena.have()
    arena.have("finished", name="other")
    closed = arena.work / "closed"
    closed.mkdir(mode=0o500)
    words = {
        "predict": ("predict", "honest", "images/val", "--csv", "closed/x.csv"),
        "compare": ("compare", "honest", "other", "--to", "closed/x"),
        "report": ("report", "honest", "--to", "closed/x"),
        "train": ("train", "output_dir=closed/x", "dataset.rows=2", "dataset.columns=2"),
        "evaluate": ("evaluate", "honest", "criteria=none"),
    }[command]
    if command == "evaluate":
        (arena.work / "outputs").chmod(0o500)
    with without_override():
        arena.ask(*words, codes=(REFUSED,))


def test_a_run_that_must_not_be_read(arena: Arena) -> None:
    """Permissions count; they are told as such."""
    arena.have()
    path = arena.give()
    path.chmod(0)
    with without_override():
        for words in (("show",), ("diagnose",), ("predict",)):
            more = ("images/val",) if words[0] == "predict" else ()
            arena.ask(*words, "gift", *more)
    path.chmod(0o700)


@pytest.mark.slow
def test_modules_of_the_gift_are_not_imported_by_torch(arena: Arena) -> None:
    """torch asks for optional packages by name; the first import of a process decides."""
    path = arena.give()
    for name in ("dill", "sitecustomize", "usercustomize", "pandas", "yaml", "numpy", "optree"):
        (path / f"{name}.py").write_text(arena.stranger())
    image = arena.work / "images" / "val" / "cat" / "0.png"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("expkit")), "predict", ".", str(image)],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not arena.ran.exists(), "a module of the gift was imported"
