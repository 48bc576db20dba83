"""A folder of images as people lay it out: split/class/image, or class/image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expkit.errors import UserError, nearest_of

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LAYOUT = """ROOT/train/CLASS/IMAGE, with val and test beside train where there are
or ROOT/CLASS/IMAGE, of which val and test are made here"""
LAYOUT_TO_EVALUATE = """ROOT/test/CLASS/IMAGE, or val or train for test
or ROOT/CLASS/IMAGE, all of which are evaluated"""
MOST_LISTED = 10


@dataclass(frozen=True)
class ImageTree:
    """By split, the classes that have images there, each with its files in order."""

    splits: Mapping[str, Mapping[str, Sequence[Path]]]
    folders: Mapping[str, Path]  # of each split
    class_names: Sequence[str]
    remarks: Sequence[str]


@dataclass
class _Leavings:
    """The files that are no samples, counted for a remark."""

    files: Counter[str] = field(default_factory=Counter)  # by suffix
    folders: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # where a class would be

    def remarks(self) -> Iterator[str]:
        if self.files:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in self.files.most_common(5))
            yield f"{self.files.total()} files left out, by their names no images: {kinds}"
        if self.folders:
            listed = list_some(self.folders, ", ")
            yield f"{len(self.folders)} folders left out that are no split or class: {listed}"
        if self.empty:
            listed = list_some(self.empty, ", ")
            yield f"{len(self.empty)} folders hold no images, and are no classes: {listed}"


def read_tree(
    root: Path, allow_missing: Collection[str], *, evaluate_only: bool = False
) -> ImageTree:
    """List every image, and refuse what is no such layout or differs between splits.

    What is only evaluated needs no train, nor every class in every split.
    """
    left = _Leavings()
    folders = _find_splits(root, left, evaluate_only=evaluate_only)
    splits = {name: _read_classes(folder, left) for name, folder in folders.items()}
    names = sorted({name for classes in splits.values() for name in classes})
    if evaluate_only:
        if not names:
            raise _wrong_layout(root, f"'{root}' has no images in folders of classes", True)
        return ImageTree(splits, folders, names, list(left.remarks()))
    if len(names) < 2:
        found = "1 class" if names else "0 classes"
        raise _wrong_layout(root, f"'{root}' has images of {found}, not of two or more")
    _check_classes(splits, names, allow_missing, root)
    return ImageTree(splits, folders, names, list(left.remarks()))


def _find_splits(root: Path, left: _Leavings, *, evaluate_only: bool) -> dict[str, Path]:
    if not root.is_dir():
        kind = "is a file" if root.exists() else "is not there"
        raise UserError(
            f"the folder '{root}' {kind}",
            where=f"dataset.root={root}",
            allowed=LAYOUT_TO_EVALUATE if evaluate_only else LAYOUT,
            fix="dataset.root=FOLDER",
        )
    folders: dict[str, Path] = {}
    others = []
    for folder in _subfolders(root):
        split = SPLITS.get(folder.name)
        if split is None:
            others.append(folder.name)
        elif split in folders:
            raise UserError(
                f"'{folders[split].name}' and '{folder.name}' both mean {split}",
                where=f"dataset.root={root}",
                fix="keep one of them, or move one elsewhere",
            )
        else:
            folders[split] = folder
    if not folders:
        return {"train": root}
    if "train" not in folders and not evaluate_only:
        found = ", ".join(sorted(folder.name for folder in folders.values()))
        raise _wrong_layout(root, f"there is {found} in '{root}', and no train")
    left.folders.extend(others)
    return {split: folders[split] for split in ("train", "val", "test") if split in folders}


def _read_classes(folder: Path, left: _Leavings) -> dict[str, list[Path]]:
    classes = {}
    for each in _subfolders(folder):
        images = _read_images(each, left)
        if images:
            classes[each.name] = images
        else:
            left.empty.append(f"{folder.name}/{each.name}")
    return classes


def _read_images(folder: Path, left: _Leavings) -> list[Path]:
    suffixes = image_suffixes()
    images = []
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if path.suffix.lower() in suffixes and _may_be_image(entry):
            images.append(path)
        elif path.is_dir():
            left.folders.append(f"{folder.name}/{entry.name}")
        else:
            left.files[path.suffix or entry.name] += 1
    return images


def list_images(root: Path) -> tuple[list[Path], int]:
    """All images in a folder of any depth, and how many files beside them are none by their names.

    Hidden files and linked folders are passed by.
    """
    suffixes, images, num_others = image_suffixes(), list[Path](), 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        entries = {each.name: each for each in os.scandir(folder)}
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(folder) / name
            if path.suffix.lower() in suffixes and _may_be_image(entries[name]):
                images.append(path)
            else:
                num_others += 1
    return images, num_others


def _may_be_image(entry: os.DirEntry[str]) -> bool:
    """A file, or a link to nowhere, which is listed as unreadable; a pipe would be waited for."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:  # links in a circle
        return True


def image_suffixes() -> frozenset[str]:
    """The suffixes of files that Pillow can open, with their dots."""
    from PIL import Image

    formats = Image.registered_extensions()
    return frozenset(suffix for suffix, name in formats.items() if name in Image.OPEN)


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [
            each.name
            for each in entries
            if Path(each.path).is_dir() and not each.name.startswith(".")
        ]
    return [folder / name for name in sorted(names)]


def _check_classes(
    splits: Mapping[str, Mapping[str, object]],
    names: Sequence[str],
    allow_missing: Collection[str],
    root: Path,
) -> None:
    """A class that lacks in one split would be a wrong name in another, more often than not."""
    for name in allow_missing:
        if name not in names:
            raise UserError(
                f"there is no class '{name}'",
                where=f"dataset.allow_missing=[{', '.join(allow_missing)}]",
                nearest=nearest_of(name, names),
                allowed=list_some(names, ", "),
            )
    lacking = {
        split: [name for name in names if name not in classes and name not in allow_missing]
        for split, classes in splits.items()
    }
    lines = [f"{split} lacks {list_some(each, ', ')}" for split, each in lacking.items() if each]
    if lines:
        absent = sorted({name for each in lacking.values() for name in each})
        raise UserError(
            "the splits differ in their classes",
            where="\n".join([f"dataset.root={root}", *lines]),
            allowed="the same class folders, with images in them, in every split",
            fix=f"'dataset.allow_missing=[{','.join(absent)}]' if they are meant to be missing"
            if len(absent) <= MOST_LISTED
            else "make the names of the class folders agree",
        )


def _wrong_layout(root: Path, what: str, evaluate_only: bool = False) -> UserError:
    """The refusal, with the folder that holds the classes where it lies one level deeper."""
    left = _Leavings()
    deeper = [folder for folder in _subfolders(root) if _read_classes(folder, left)]
    return UserError(
        what,
        where=f"dataset.root={root}: {_describe(root)}",
        allowed=LAYOUT_TO_EVALUATE if evaluate_only else LAYOUT,
        fix=f"dataset.root={deeper[0]}"
        if len(deeper) == 1
        else "dataset.root=FOLDER, the one that holds the classes or splits",
    )


def _describe(root: Path) -> str:
    """Describe the folder's content, down to the second level."""
    inside = [f"{folder.name} ({_count(folder)})" for folder in _subfolders(root)]
    listed = list_some(inside, ", ") if inside else "no folders"
    num_files = sum(each.is_file() for each in root.iterdir())
    return f"found {listed}" + (f", and {num_files} files beside" if num_files else "")


def _count(folder: Path) -> str:
    kinds = Counter("folders" if each.is_dir() else "files" for each in folder.iterdir())
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "empty"


def list_some(items: Sequence[str], separator: str) -> str:
    """The first few, and how many more there are."""
    more = len(items) - MOST_LISTED
    return separator.join([*items[:MOST_LISTED], *([f"and {more} more"] if more > 0 else [])])
