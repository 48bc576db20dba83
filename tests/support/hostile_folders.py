"""How a gift is spoilt: its config, a record, or a file of it, edited as a stranger would."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import socket
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hostile_arena import ANSWERED, REFUSED, Arena, remove

from expkit.runner.run import hash_text

G = "gift"
COMMANDS = {
    "show": ("show", G),
    "analyze": ("analyze", G),
    "diagnose": ("diagnose", G),
    "events": ("events", G),
    "show as JSON": ("show", G, "--json"),
    "compare as JSON": ("compare", G, "honest", "--json"),
    "compare": ("compare", G, "honest"),
    "threshold": ("threshold", G, "--class", "cat", "--recall", "0.5"),
    "plot": ("plot", G),
    "report": ("report", G, "--to", "page"),
    "predict": ("predict", G, "images/val"),
    "evaluate": ("evaluate", G),
    "ensemble": ("ensemble", G, "honest"),
    "latency": ("latency", G, "--seconds", "0.01"),
    "resume": ("resume", G),
}
BUILDING = ("predict", "evaluate", "ensemble", "resume")  # what makes parts from a config
AS_JSON = ("events", "show as JSON", "compare as JSON")
READING = ("show", "analyze", "diagnose", "compare", "threshold", *AS_JSON)
DRAWING = ("plot", "report")

Spoil = Callable[["Gift"], object]


class Gift:
    """A run folder in a stranger's hands."""

    def __init__(self, path: Path, arena: Arena) -> None:
        self.path, self.arena = path, arena

    def file(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def config(self, edit: Callable[[dict[str, Any]], object]) -> None:
        """Change the config and what vouches for it."""
        config = yaml.safe_load((self.path / "config.yaml").read_text())
        edit(config)
        self.config_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def config_text(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        (self.path / "config.yaml").write_bytes(data)
        digest = hash_text(data.decode("utf-8", "replace"))
        self.json("environment.json", lambda record: record.update(config_hash=digest))

    def json(self, name: str, edit: Callable[[Any], object]) -> None:
        record = json.loads((self.path / name).read_text())
        edit(record)
        (self.path / name).write_text(json.dumps(record))

    def lines(self, name: str, edit: Callable[[Any], object]) -> None:
        """Change the last record of a JSON-lines file."""
        *others, last = (self.path / name).read_text().splitlines()
        record = json.loads(last)
        edit(record)
        (self.path / name).write_text("\n".join([*others, json.dumps(record)]) + "\n")

    def without_summaries(self) -> None:
        """So that everything is computed anew from the records."""
        for name in ("summary.json", "digest.json"):
            (self.path / name).unlink(missing_ok=True)


def in_turn(commands: tuple[str, ...]) -> tuple[str, ...]:
    """One of the commands, another for each case; all of them where HOSTILE=all."""
    if os.environ.get("HOSTILE") == "all":
        return commands
    turn = zlib.crc32(os.environ["PYTEST_CURRENT_TEST"].encode(errors="replace"))
    return (commands[turn % len(commands)],)


def ask_of_gift(
    arena: Arena, commands: tuple[str, ...], spoil: Spoil, refused: tuple[str, ...] = ()
) -> None:
    """Each command on a freshly spoilt gift; those that are named must refuse it."""
    arena.have()
    for command in in_turn(commands):
        path = arena.give("interrupted" if command == "resume" else "finished")
        spoil(Gift(path, arena))
        codes = (REFUSED,) if command in refused else ANSWERED
        # their own pages may be drawn anew before a record is found that cannot be
        keeps = command in ("plot", "resume")
        arena.ask(*COMMANDS[command], codes=codes, keeps=keeps)


# Contents that a file may have instead of its own.


class Bomb:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"echo unpickled >> {self.ran}",)


def pickled(arena: Arena) -> bytes:
    return pickle.dumps(Bomb(arena.ran))


def torch_pickled(arena: Arena) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(Bomb(arena.ran), stream)
    return stream.getvalue()


def object_npz(arena: Arena, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            inner = io.BytesIO()
            array = np.empty(1, dtype=object)
            array[0] = Bomb(arena.ran)
            np.save(inner, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", inner.getvalue())
    return stream.getvalue()


def npy_header(shape: str, descr: str = "<f4", data: bytes = b"") -> bytes:
    """An array that says it is larger than its file."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (64 - (len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def zip_bomb(*names: str, size: int = 2**33) -> bytes:
    """Members of zeros that take gigabytes when they are read."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            header = npy_header(f"({size // 4},)")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(header)
                member.write(bytes(20_000_000))
    return stream.getvalue()


def safetensors_with(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


DEEP = "[" * 100_000 + "]" * 100_000
DEEP_OBJECT = '{"a":' * 50_000 + "1" + "}" * 50_000
YAML_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n"
    for n in range(1, 12)
)

# What may stand where a file should be. Each is laid over every file of a run.


def link_outside(path: Path, arena: Arena) -> None:
    suffix = ".json" if path.suffix.startswith(".json") else ".txt"
    path.symlink_to(arena.beside / f"precious{suffix}")


def link_dangling(path: Path, arena: Arena) -> None:
    path.symlink_to(arena.beside / "not_there")


def link_to_itself(path: Path, _: Arena) -> None:
    path.symlink_to(path.name)


def link_to_endless_device(path: Path, _: Arena) -> None:
    path.symlink_to("/dev/zero")


def fifo(path: Path, _: Arena) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, _: Arena) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def folder(path: Path, _: Arena) -> None:
    path.mkdir()


def content(data: bytes | str) -> Callable[[Path, Arena], object]:
    def write(path: Path, _: Arena) -> None:
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    return write


def absent(path: Path, _: Arena) -> None:
    assert not path.exists()


def a_pickle(path: Path, arena: Arena) -> None:
    path.write_bytes(pickled(arena))


INSTEAD: dict[str, Callable[[Path, Arena], object]] = {
    "a link outside": link_outside,
    "a link to nowhere": link_dangling,
    "a link to itself": link_to_itself,
    "a link to an endless device": link_to_endless_device,
    "a FIFO": fifo,
    "a socket": unix_socket,
    "a folder": folder,
    "nothing": absent,
    "an empty file": content(b""),
    "zeros": content(bytes(5000)),
    "binary garbage": content(bytes(range(256)) * 40),
    "a pickle": a_pickle,
    "deep brackets": content(DEEP),
    "a deep object": content(DEEP_OBJECT),
    "a YAML bomb": content(YAML_BOMB),
    "a list": content("[1, 2, 3]\n"),
    "null": content("null\n"),
    "a number": content("-1\n"),
    "an object": content('{"a": {"b": []}}\n'),
    "a huge number": content('{"epoch": ' + "9" * 10_000 + "}\n"),
    "UTF-16": content("{}\n".encode("utf-16")),
    "Latin-1": content('{"a": "\xe9"}\n'.encode("latin-1")),
    "a byte-order mark": content(b"\xef\xbb\xbf{}\n"),
    "a lone surrogate": content('{"a": "\\ud800"}\n'),
    "a NUL": content('{"a": "\\u0000"}\x00\n'),
    "terminal codes": content('"\x1b]0;owned\x07\x1b[2J\u202eabc"\n'),
    "a very long line": content("x" * 3_000_000),
}


def lay(name: str, kind: str) -> Spoil:
    """Put something else in the place of a run's file, and let nothing hide it."""

    def spoil(gift: Gift) -> None:
        path = gift.file(name)
        remove(path)
        if name not in ("summary.json", "digest.json"):
            gift.without_summaries()
        INSTEAD[kind](path, gift.arena)

    return spoil


def copy_tree_beside(gift: Gift, name: str) -> Path:
    """Move a folder of the gift into the user's, and link to it from where it was."""
    target = gift.arena.beside / name
    if target.exists():
        shutil.rmtree(target)
    shutil.move(gift.path / name, target)
    (gift.path / name).symlink_to(target)
    return target
