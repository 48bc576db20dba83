"""Where choices are found: expkit's own conf/ and, before it, the one in the working directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from expkit.config.user_code import find_run_in, own_folder


def builtin_conf() -> Path:
    """The conf/ that ships inside the package, or stands beside src/ in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"


def conf_folders() -> list[Path]:
    """All folders that choices come from; the first that has a file wins."""
    builtin = builtin_conf()
    if not Path("conf").is_dir() or own_folder() is None:  # a link to itself is no folder
        return [builtin]
    own = Path("conf").resolve()
    return [builtin] if own == builtin else [own, builtin]


def conf_left_out() -> str | None:
    """Say why the conf/ of the working directory is not read, where there is one."""
    here = Path.cwd()
    if not (here / "conf").is_dir() or own_folder() is not None:
        return None
    run = find_run_in(here)
    near = "lies in a run" if run is None else f"lies beside the run {run.name}"
    return f"conf/ here is not read: it {near}, which may be a stranger's"


def list_groups(folders: list[Path]) -> list[str]:
    """The groups of all folders, nested ones with slashes."""
    found = {
        path.parent.relative_to(folder).as_posix()
        for folder in folders
        for path in folder.rglob("*.yaml")
    }
    return sorted(found - {"."})


def list_choices(group: str, folders: list[Path]) -> dict[str, Path]:
    """The choices of a group and the file that each is read from."""
    choices: dict[str, Path] = {}
    for folder in reversed(folders):
        choices.update({path.stem: path for path in _yaml_files(folder / group)})
    return dict(sorted(choices.items()))


def _yaml_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.yaml") if path.is_file())  # a pipe would hang


def content_of(path: Path, above: tuple[Path, ...] = ()) -> Mapping[str, Any]:
    """Read the keys of a choice, with those it takes from other choices of its group."""
    import yaml

    from expkit.safe_yaml import load_yaml

    try:
        own = load_yaml(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    content: dict[str, Any] = {}
    given = own if isinstance(own, dict) else {}
    for each in given.pop("defaults", None) or ():
        if not isinstance(each, str) or not each.isidentifier() or each == "_self_":
            continue
        other = path.with_name(f"{each}.yaml")
        if other not in (path, *above):  # else they take from each other in a circle
            content.update(content_of(other, (path, *above)))
    return {**content, **given}


def values_to_give(path: Path) -> list[str]:
    """The keys of a choice that have no value before a user gives one."""
    return [str(key) for key, value in content_of(path).items() if value == "???"]


def first_comment(path: Path) -> str:
    """The one line that says what a choice is."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and not line.startswith("# @package"):
            return line.lstrip("# ")
        if line.strip() and not line.startswith("#"):
            break
    return ""
