"""Runs and sweeps copied as a whole, into a tar file or a folder, and proved to be the same."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from expkit.errors import UserError
from expkit.records.files import CHUNK
from expkit.records.run.writer import LEFTOVER
from expkit.records.safe_open import not_a_file, open_regular
from expkit.sanitize import one_line

SUMS = "SHA256SUMS"  # of all files of an archive, as `sha256sum -c` reads them
SUFFIXES = (".tar.gz", ".tgz", ".tar")
Sums = Mapping[str, str]  # by the file's place in the archive


def is_tar(target: Path) -> bool:
    """Tell whether a target is a tar file by its name, and not a folder."""
    return target.name.endswith(SUFFIXES)


def archive(folders: Sequence[Path], target: Path) -> Sums:
    """Write the folders into a new tar file, or into a folder; return the proved SHA-256 sums.

    It is there as a whole or not at all; what was written is read again, and held against what
    was read.
    """
    if is_tar(target):
        return _into_tar(folders, target)
    target.mkdir(parents=True, exist_ok=True)
    sums: dict[str, str] = {}
    for folder in folders:
        sums |= _into_folder(folder, target)
    return sums


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder, without its lock and what a killed writer left; a link is refused."""
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or path.name == ".lock" or LEFTOVER.fullmatch(path.name):
            continue
        if not stat.S_ISREG(mode):
            raise not_a_file(path)
        yield path


def _into_tar(folders: Sequence[Path], target: Path) -> Sums:
    descriptor, aside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            mode = "w" if target.name.endswith(".tar") else "w:gz"
            with tarfile.open(fileobj=stream, mode=mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
                sums = {}
                for folder in folders:
                    for path in _files(folder):
                        place = f"{folder.name}/{path.relative_to(folder).as_posix()}"
                        sums[place] = _add(tar, path, folder, place)
                _add_sums(tar, sums)
            stream.flush()
            os.fsync(stream.fileno())
        _refuse_unlike(sums, _sums_of_tar(Path(aside)), target)
        Path(aside).chmod(0o644)
        _refuse_there(target)
        Path(aside).replace(target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return sums


def _add(tar: tarfile.TarFile, path: Path, folder: Path, place: str) -> str:
    """Add a file, of which nothing but its content, its time and its permissions is kept."""
    with os.fdopen(open_regular(path, os.O_RDONLY, folder), "rb") as stream:
        state = os.fstat(stream.fileno())
        info = tarfile.TarInfo(place)
        info.size, info.mtime, info.mode = state.st_size, int(state.st_mtime), 0o644
        tar.addfile(info, stream)
        stream.seek(0)
        return _sum_of(stream)


def _add_sums(tar: tarfile.TarFile, sums: Sums) -> None:
    text = "".join(f"{digest}  {place}\n" for place, digest in sums.items())
    content = text.encode(errors="surrogateescape")
    info = tarfile.TarInfo(SUMS)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


def _sums_of_tar(path: Path) -> Sums:
    sums = {}
    with tarfile.open(path) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if stream is not None and member.name != SUMS:
                sums[member.name] = _sum_of(stream)
    return sums


def _sum_of(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _into_folder(folder: Path, parent: Path) -> Sums:
    _refuse_there(parent / folder.name)
    with _made_aside(parent) as aside:
        sums, copies = {}, {}
        for path in _files(folder):
            copy = aside / folder.name / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            place = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            sums[place] = _copy(path, folder, copy)
            with copy.open("rb") as stream:
                copies[place] = _sum_of(stream)
        _refuse_unlike(sums, copies, parent / folder.name)
        _refuse_there(parent / folder.name)
        (aside / folder.name).rename(parent / folder.name)
    return sums


@contextlib.contextmanager
def _made_aside(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".new_", dir=parent) as name:
        yield Path(name)


def _copy(path: Path, folder: Path, copy: Path) -> str:
    """Copy a file with its time; return the sum of what was read."""
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path, os.O_RDONLY, folder), "rb") as stream, copy.open("xb") as to:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            to.write(chunk)
        to.flush()
        os.fsync(to.fileno())
        state = os.fstat(stream.fileno())
    os.utime(copy, ns=(state.st_atime_ns, state.st_mtime_ns))
    return digest.hexdigest()


def _refuse_unlike(written: Sums, read: Sums, target: Path) -> None:
    if written != read:
        place = next(each for each in {**written, **read} if written.get(each) != read.get(each))
        raise UserError(
            f"the archive is not what was written into it: '{one_line(place)}' differs",
            where=str(target),
            fix="nothing was removed; try another disk",
        )


def _refuse_there(target: Path) -> None:
    if os.path.lexists(target):
        raise UserError(
            f"'{one_line(target.name)}' is there already, and is not written over",
            where=f"--to {target}",
            fix="name a new file or another folder",
        )
