"""The folder that sorting leaves: a manifest, a contact sheet a class, and images where asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from expkit.data.sorting.manifest import COLUMNS, Entry
from expkit.data.store.samples import UNWRITABLE
from expkit.errors import UserError
from expkit.records.csv_cells import csv_of_safe_cells, safe_row
from expkit.reports.plots.augmentation import arrange_tiles, tile_images
from expkit.sanitize import one_line

if TYPE_CHECKING:
    import numpy.typing as npt

MANIFEST, SHEETS, IMAGES = "manifest.csv", "sheets", "images"
MOST_SHOWN, IN_A_ROW = 64, 8
SHOWN_SIDE = 96  # pixels
MAX_FILE_NAME = 240  # bytes, which leaves room for a number


@contextlib.contextmanager
def whole_folder(to: Path) -> Iterator[Path]:
    """Yield a folder to fill that bears its name once it is whole; a failure leaves nothing."""
    new = [each for each in (to.parent, *to.parent.parents) if not each.exists()]
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    try:
        yield aside
        aside.chmod(0o755)
        _refuse_existing(to)
        aside.rename(to)
    except BaseException:
        shutil.rmtree(new[-1] if new else aside, ignore_errors=True)
        raise


def write_sorted(
    folder: Path,
    to: Path,
    entries: Sequence[Entry],
    images_NHWC: npt.NDArray[np.uint8],
    source: Path,
    place_images: Literal["link", "copy"] | None,
) -> None:
    """Fill a folder that will be called `to`."""
    (folder / MANIFEST).write_text(_manifest_text(entries, to), encoding="utf-8", newline="")
    by_label = _by_label(entries)
    of_none = next(name for name in ("unsure", "set aside", "of no class") if name not in by_label)
    for label, members in by_label.items():
        sheet = folder / SHEETS / f"{label or of_none}.png"
        sheet.parent.mkdir(exist_ok=True)
        _draw_sheet(label, members, images_NHWC).save(sheet)
    if place_images is None:
        return
    taken: set[Path] = set()
    for entry in entries:
        if not entry.is_aside:
            place = folder / IMAGES / entry.split / entry.label
            target = _unlike(taken, place / _flat_name(entry.path, source))
            target.parent.mkdir(parents=True, exist_ok=True)
            if place_images == "link":
                target.symlink_to(entry.path.resolve())
            else:
                shutil.copy2(entry.path, target)


def _refuse_existing(to: Path) -> None:
    if os.path.lexists(to):
        raise UserError(
            f"'{to}' is there already, and nothing is overwritten",
            where=f"--to {to}",
            fix="--to FOLDER, a new one; or remove it",
        )


def check_target(source: Path, to: Path) -> None:
    """Refuse a target that exists, or lies in the folder that is sorted."""
    ours, theirs = source.resolve(), to.resolve()
    if theirs == ours or theirs.is_relative_to(ours):
        raise UserError(
            f"'{to}' lies in the folder that is sorted: the next sorting would find its own images",
            where=f"--to {to}",
            fix=f"--to {source.resolve().parent / (source.resolve().name + '_sorted')}",
        )
    _refuse_existing(to)


def _manifest_text(entries: Sequence[Entry], to: Path) -> str:
    """The table; paths are relative to the folder in which it will stand."""
    place = to.resolve()
    rows = [
        [
            _told(os.path.relpath(entry.path.resolve(), place)),
            entry.label,
            entry.split,
            "" if entry.score is None else f"{entry.score:.4f}",
            entry.reason,
        ]
        for entry in entries
    ]
    # a path begins with .., which no spreadsheet obeys, and must be found as it is
    return csv_of_safe_cells([COLUMNS, *([path, *safe_row(rest)] for path, *rest in rows)])


def _told(path: str) -> str:
    """The path as it is, but one that no table can hold, which is set aside, in safe letters."""
    return one_line(path) if UNWRITABLE.search(path) else path


def _by_label(entries: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    """Those that can be shown, by class; under no name those of none."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.row is not None:
            found.setdefault(entry.label, []).append(entry)
    return found


def _draw_sheet(
    label: str, members: Sequence[Entry], images_NHWC: npt.NDArray[np.uint8]
) -> Image.Image:
    """The images by score, evenly spaced where there are too many: the least sure stand last."""
    ordered = sorted(members, key=lambda each: -(each.score or 0.0))
    places = np.unique(np.linspace(0, len(ordered) - 1, min(MOST_SHOWN, len(ordered))).astype(int))
    tiles = []
    for entry in (ordered[place] for place in places.tolist()):
        small = Image.fromarray(images_NHWC[entry.row]).resize((SHOWN_SIDE, SHOWN_SIDE))
        caption = f"{entry.score:.2f} {entry.path.name}"
        tiles.append(tile_images([np.asarray(small)], caption))
    head = f"{label or 'set aside'}: {len(places)} of {len(members)}, the surest first"
    return arrange_tiles(tiles, IN_A_ROW, head)


def _flat_name(path: Path, source: Path) -> str:
    """A name that tells where below the source a file lies, as long as a file's may be."""
    name = "__".join(path.relative_to(source).parts)
    return name if len(name.encode()) <= MAX_FILE_NAME else path.name


def _unlike(taken: set[Path], wanted: Path) -> Path:
    """The path, numbered where another file has it: `a/b.png` and `a__b.png` are two."""
    number, path = 1, wanted
    while path in taken:
        number += 1
        path = wanted.with_stem(f"{wanted.stem}_{number}")
    taken.add(path)
    return path
