"""A new project: the template beside this file, under the user's own name."""

from __future__ import annotations

import contextlib
import errno
import keyword
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePath

from expkit.errors import UserError
from expkit.records.files import made_whole, write_aside

TEMPLATE = Path(__file__).with_name("template")
PACKAGE, PROJECT = "my_project", "my-project"  # as the template is called
HIDDEN = ("gitignore", "github")  # have a dot before them in a project
MAX_NAME = 30
ALLOWED = f"at most {MAX_NAME} small letters, digits, - and _, from a letter on: birds, logo-net"
LEFT_ALONE = {".git", ".venv", ".DS_Store"}  # in a folder that counts as empty


def package_name(folder: Path) -> str:
    """The package of a project by its folder's name; a name that no package can have is refused."""
    name = folder.name or folder.resolve().name
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or len(name) > MAX_NAME:
        raise _refuse(name, "it cannot be the name of a Python package", _likely(name))
    package = name.replace("-", "_")
    if keyword.iskeyword(package):
        raise _refuse(name, "it is a word of Python's", f"my-{name}")
    if package in ("conf", "tests", "outputs"):
        raise _refuse(name, f"the project has a folder {package}/ for something else", f"my-{name}")
    if package in sys.stdlib_module_names or _is_installed(package):
        raise _refuse(name, f"a module '{package}' is installed, and is found first", f"my-{name}")
    return package


def _is_installed(package: str) -> bool:
    """Tell whether a package elsewhere has this name; one in this folder is the user's own."""
    spec = find_spec(package)
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return not all(Path(place).is_relative_to(Path.cwd()) for place in places)


def _likely(name: str) -> str | None:
    likely = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:MAX_NAME].lstrip("0123456789-_")
    return likely or None


def _refuse(name: str, why: str, nearest: str | None) -> UserError:
    return UserError(
        f"a project cannot be called '{name}': {why}",
        where=f"expkit init {name}",
        nearest=nearest,
        allowed=ALLOWED,
        fix=f"expkit init {nearest}" if nearest else None,
    )


def check_folder(folder: Path) -> None:
    """Refuse a place at which something is, or nothing can be made."""
    if folder.is_dir() and not folder.is_symlink():
        found = sorted(each.name for each in folder.iterdir() if each.name not in LEFT_ALONE)
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise UserError(
                f"the folder '{folder}' is not empty",
                where=f"it holds {', '.join(found[:3])}{more}",
                allowed="a new folder, or an empty one",
                fix="expkit init NAME   (a new folder here)",
            )
    elif os.path.lexists(folder):
        raise UserError(
            f"'{folder}' is there already, and is no folder",
            where=f"expkit init {folder}",
            allowed="a new folder, or an empty one",
        )


def create_project(folder: Path) -> list[PurePath]:
    """Write the project, whole or not at all; its files, by their paths within it."""
    package = package_name(folder)
    check_folder(folder)
    files = read_template(package)
    with _explained(folder), made_whole(folder), _undone(folder):
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_aside(folder / path, content.encode())
    return list(files)


def read_template(package: str) -> Mapping[PurePath, str]:
    """The files of a project by their paths within it, under its own name."""
    found = {}
    for path in sorted(TEMPLATE.rglob("*")):
        inner = path.relative_to(TEMPLATE)
        is_cache = any(part.startswith((".", "__pycache__")) for part in inner.parts)
        if path.is_file() and not is_cache:
            content = path.read_text("utf-8").replace(PACKAGE, package)
            place = _place_of(inner, package)
            found[place] = content.replace(PROJECT, package.replace("_", "-"))
    return found


def _place_of(path: PurePath, package: str) -> PurePath:
    first, *rest = path.parts
    if first in HIDDEN:
        first = f".{first}"
    return PurePath(package if first == PACKAGE else first, *rest)


@contextlib.contextmanager
def _undone(folder: Path) -> Iterator[None]:
    """Where it fails, take back what was put into a folder that was there before."""
    before = set(folder.iterdir())
    try:
        yield
    except BaseException:
        for each in set(folder.iterdir()) - before:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        raise


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise UserError(
            f"the project '{folder}' cannot be made: {reason}",
            where=str(error.filename or folder),
            fix="name a folder that you may write to: expkit init FOLDER/NAME",
        ) from error
