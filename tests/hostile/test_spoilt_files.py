"""Run folders of which a file is a link, a pipe, a device, torn, deep, huge, or another thing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hostile_arena import ANSWERED, Arena
from hostile_folders import (
    BUILDING,
    INSTEAD,
    READING,
    Gift,
    ask_of_gift,
    copy_tree_beside,
    lay,
    npy_header,
    object_npz,
    pickled,
    safetensors_with,
    torch_pickled,
    zip_bomb,
)

pytestmark = pytest.mark.broad(2)

# each file of a run, and the commands that read or write it
FILES = {
    "config.yaml": (*READING, "resume", "predict"),
    "environment.json": ("show", "compare", "resume", "predict"),
    "dataset.json": ("show", "compare", "diagnose", "predict", "resume"),
    "overrides.yaml": ("show", "plot"),
    "history.jsonl": ("show", "analyze", "diagnose", "events", "resume"),
    "findings.jsonl": ("events", "resume"),
    "signals.jsonl": ("diagnose", "show"),
    "stages.jsonl": ("show", "diagnose", "events", "resume"),
    "predictions.csv": ("show", "diagnose", "threshold"),
    "summary.json": ("show", "show as JSON", "compare", "resume"),
    "digest.json": ("compare", "plot"),
    "threshold.json": ("predict", "plot"),
    "calibration.json": ("predict", "plot"),
    "predictions_plain.csv": ("show", "threshold"),
    "labels.json": ("show", "diagnose"),
    "latency.json": ("latency", "plot"),
    "log.txt": ("resume",),
    "report.md": ("plot",),
    "metrics.csv": ("plot",),
    ".lock": ("resume", "show"),
    "checkpoints/train/best.safetensors": ("predict", "resume"),
    "checkpoints/train/last.safetensors": ("predict", "resume"),
    "samples/augmented.npz": ("plot", "resume"),
    "snapshots/train/epoch_0001.npz": ("plot",),
    "plots/confusion.png": ("plot",),
}
# what no file may be, and what some of those that are read as text may be
SPECIAL = ("a link outside", "a link to nowhere", "a FIFO", "a folder", "nothing", "a socket")
ODD = (
    "an empty file",
    "binary garbage",
    "deep brackets",
    "a huge number",
    "a list",
    "null",
    "terminal codes",
    "a lone surrogate",
)
ALWAYS_ODD = ("config.yaml", "dataset.json", "summary.json", "stages.jsonl", "history.jsonl")


def _pairs() -> list[tuple[str, str]]:
    """Every special thing for every file; of the odd contents a few each, all for the main ones."""
    pairs = list(itertools.product(FILES, SPECIAL))
    others = [kind for kind in INSTEAD if kind not in SPECIAL]
    for number, name in enumerate(FILES):
        kinds = others if name == "config.yaml" else ODD if name in ALWAYS_ODD else ()
        turn = [others[(number * 5 + step) % len(others)] for step in range(3)]
        pairs += [(name, kind) for kind in dict.fromkeys([*kinds, *turn])]
    return pairs


@pytest.mark.parametrize(("name", "kind"), _pairs())
def test_something_else_lies_where_a_file_should(name: str, kind: str, arena: Arena) -> None:
    """Every command that opens the file answers, and nothing outside is read or written."""
    ask_of_gift(arena, FILES[name], lay(name, kind))


FOLDERS = {
    "plots": ("plot", "resume"),
    "checkpoints": ("predict", "resume"),
    "checkpoints/train": ("predict", "resume"),
    "samples": ("plot", "resume"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_the_run_is_a_link_to_the_users(name: str, arena: Arena) -> None:
    """Nothing is drawn, deleted or appended through it."""
    arena.have()
    for command in FOLDERS[name]:
        path = arena.give("interrupted" if command == "resume" else "finished")
        copy_tree_beside(Gift(path, arena), Path(name).name if "/" not in name else name)
        (arena.beside / Path(name) / "holiday.png").write_bytes(b"mine")
        arena.ask(*_words(command), keeps=True)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("kind", ["a file", "a FIFO", "a link to itself", "a link outside"])
def test_something_else_lies_where_a_folder_should(name: str, kind: str, arena: Arena) -> None:
    """Answered, as of files."""
    lie = lay(name, kind) if kind in INSTEAD else lay(name, "an empty file")
    ask_of_gift(arena, FOLDERS[name], lie)


def test_a_run_that_is_a_link_is_the_users_choice(arena: Arena) -> None:
    """The folder that the user names may be reached by a link; the files within may not."""
    arena.have()
    arena.give().rename(arena.work / "elsewhere")
    arena.gift.symlink_to("elsewhere")
    for command in ("show", "predict", "diagnose"):
        arena.ask(*_words(command), codes=(0,))


def _words(command: str) -> Sequence[str]:
    from hostile_folders import COMMANDS

    return COMMANDS[command]


BEST = "checkpoints/train/best.safetensors"


def _bytes(name: str, make: Callable[[Gift], bytes]) -> Callable[[Gift], object]:
    def spoil(gift: Gift) -> None:
        gift.file(name).write_bytes(make(gift))

    return spoil


def _flip(gift: Gift) -> bytes:
    data = bytearray((gift.path / BEST).read_bytes())
    data[-3] ^= 0x10
    return bytes(data)


def _tensor(shape: object, offsets: object = (0, 4), dtype: str = "F32") -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return safetensors_with({"layers.0.weight": entry}, bytes(4))


def _told(facts: dict[str, object]) -> Callable[[Gift], bytes]:
    """The weights as they are, with other words of their own on them."""

    def make(gift: Gift) -> bytes:
        from safetensors.torch import load_file, save

        return save(load_file(gift.path / BEST), {"facts": json.dumps(facts)})

    return make


CHECKPOINTS: dict[str, Callable[[Gift], bytes]] = {
    "a pickle": lambda gift: pickled(gift.arena),
    "torch's pickle": lambda gift: torch_pickled(gift.arena),
    "half of itself": lambda gift: (gift.path / BEST).read_bytes()[:-50],
    "more than itself": lambda gift: (gift.path / BEST).read_bytes() + bytes(50),
    "one bit flipped": _flip,
    "a header of a terabyte": lambda _: (2**40).to_bytes(8, "little") + b"{}",
    "a header of all bits": lambda _: b"\xff" * 16,
    "an empty header": lambda _: safetensors_with(b""),
    "a list for a header": lambda _: safetensors_with([]),
    "a deep header": lambda _: safetensors_with(b'{"a":' * 50_000),
    "no tensors": lambda _: safetensors_with({}),
    "a tensor that is too large": lambda _: _tensor([10**6, 10**6]),
    "a tensor below none": lambda _: _tensor([-1]),
    "a tensor of huge numbers": lambda _: _tensor([2**63]),
    "a tensor outside": lambda _: _tensor([1], [100, 104]),
    "a tensor backwards": lambda _: _tensor([1], [4, 0]),
    "a tensor of objects": lambda _: _tensor([1], [0, 4], "OBJECT"),
    "a tensor with codes in its name": lambda _: safetensors_with(
        {"\x1b[2J": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "metadata of a list": lambda _: safetensors_with({"__metadata__": [1]}),
    "facts that are none": lambda _: safetensors_with({"__metadata__": {"facts": "{"}}),
    "its own weights of no epoch": _told({}),
    "its own weights of an epoch of a text": _told({"epoch": "last"}),
    "its own weights of an epoch of 400 digits": _told({"epoch": 10**400}),
    "deep facts": lambda _: safetensors_with({"__metadata__": {"facts": "[" * 100_000}}),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.parametrize("which", ["best", "last"])
def test_a_checkpoint_is_something_else(which: str, kind: str, arena: Arena) -> None:
    """Tensors only, and whole; told on one screen."""
    name = f"checkpoints/train/{which}.safetensors"
    commands = BUILDING if which == "best" else ("resume",)

    def spoil(gift: Gift) -> None:
        _bytes(name, CHECKPOINTS[kind])(gift)
        if kind != "one bit flipped":
            (gift.path / "checkpoints/train/digests.jsonl").unlink()  # it would tell at once

    ask_of_gift(arena, commands, spoil, refused=("predict", "evaluate") if which == "best" else ())


ARRAYS: dict[str, Callable[[Gift], bytes]] = {
    "arrays of objects": lambda gift: object_npz(gift.arena, "images", "names", "targets"),
    "a pickle": lambda gift: pickled(gift.arena),
    "a ZIP bomb": lambda _: zip_bomb("images", "targets"),
    "an open ZIP": lambda _: b"PK\x03\x04" + bytes(100),
    "an array that is too large": lambda _: npy_header("(1000000, 1000000)"),
    "an array below none": lambda _: npy_header("(-1,)", data=bytes(4)),
    "an array of a type that is none": lambda _: npy_header("(1,)", "|Z9", bytes(4)),
    "an array of code": lambda _: npy_header("__import__('os').getpid()"),
    "a deep header": lambda _: npy_header("(" * 3000 + ")" * 3000),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("name", ["samples/augmented.npz", "snapshots/train/epoch_0001.npz"])
def test_an_array_is_something_else(name: str, kind: str, arena: Arena) -> None:
    """Numbers only, of no more than an image of them needs."""
    ask_of_gift(arena, ("plot",), _bytes(name, ARRAYS[kind]))


NAMES = {
    "a snapshot of no epoch": "snapshots/train/epoch_last.npz",
    "a snapshot of a stage of codes": "snapshots/\x1b[2J/epoch_0001.npz",
    "a plot of codes": "plots/\x1b[2J.png",
    "a plot of a newline": "plots/a\n![x](http://a.b).png",
    "a plot of a hundred digits": "plots/" + "9" * 100 + ".png",
    "a sample of codes": "samples/wrong_\x1b[2J.npz",
    "a half-made file": "checkpoints/train/.last.safetensors.abcdefgh",
    "a trial": "trials/trials.json",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_that_no_run_has(kind: str, arena: Arena) -> None:
    """Names are a stranger's, too."""
    ask_of_gift(arena, ("show", "plot", "resume"), _bytes(NAMES[kind], lambda _: b"x"))


def test_everything_is_in_one_folder_at_once(arena: Arena) -> None:
    """Many faults together are one screen."""

    def spoil(gift: Gift) -> None:
        for number, name in enumerate(FILES):
            lay(name, [*INSTEAD][number % len(INSTEAD)])(gift)

    ask_of_gift(arena, (*READING, "predict", "resume", "plot"), spoil)
    assert ANSWERED
