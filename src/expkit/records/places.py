"""Where things lie on a machine, cut from what is to be read elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

CUT = "PATH"  # stands for the folders that are cut off


def cut_places(text: str) -> str:
    """A machine's absolute paths in a sentence become their last part."""
    return re.sub(r"(?<![\w./~<-])~?/(?:[^\s/'\",=<]+/)+([^\s/'\",=<]+)", rf"{CUT}/\1", text)


def without_places(value: Any) -> Any:
    """The values of a config without absolute paths: `/home/olga/data/cherry` is `PATH/cherry`."""
    if isinstance(value, Mapping):
        return {key: without_places(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(each) for each in value]
    if not isinstance(value, str):
        return value
    key, equals, place = value.partition("=")  # as a word of a command
    if equals and _is_place(place):
        return f"{key}={_last_part(place)}"
    return _last_part(value) if _is_place(value) else cut_places(value)


def is_same_place(one: Any, other: Any) -> bool:
    """Tell whether one of two values may be the other, of which the places were cut off."""
    is_cut = f"{CUT}/" in f"{one}{other}"
    return is_cut and repr(without_places(one)) == repr(without_places(other))


def _is_place(text: str) -> bool:
    return text.startswith(("/", "~/", "file:/"))


def _last_part(text: str) -> str:
    return f"{CUT}/{PurePosixPath(text).name}".rstrip("/")
