"""Words of a recorded sweep, which a stranger may have written: which of them could run code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.types import Override

from expkit.config.override_errors import parse_override
from expkit.config.paths import builtin_conf, list_choices
from expkit.errors import UserError

HYDRAS_OWN: Mapping[str, tuple[str, ...]] = {
    "hydra/launcher": ("basic", "joblib"),
    "hydra/sweeper": ("basic",),
    "hydra/sweeper/sampler": ("tpe", "random", "cmaes", "nsgaii", "motpe", "grid"),
}
# what an engine is asked for, of its settings; `setup` and `additional_parameters` are commands
ASKED_FOR = re.compile(
    r"hydra\.(launcher\.(name|partition|qos|account|constraint|exclude|gres|mem_\w+)"
    r"|sweeper\.direction)"
)
# an interpolation that is not just another key's value: `${oc.env:HOME}` and what lies within
COMPUTED = re.compile(r"\$\{(?![\w.]+\})")
PLAIN_TEXT = re.compile(r"[\w .:,@+\[\]-]*")  # a line of sbatch's script, and no second one


def may_run_code(word: str) -> bool:
    """Tell of a word that Hydra builds from, reads any file for, or asks a resolver about."""
    try:
        override = parse_override(word)
    except UserError:
        return True
    key, package = override.key_or_group, override.package or ""
    if not key or _is_hydras(package) or COMPUTED.search(word):
        return True
    if _is_hydras(key):
        return not _is_harmless(key, override)
    text = word.partition("=")[2]
    is_path = re.search(r"\.\.|(?<![\w.-])/", text) is not None
    return "." not in key and key != "output_dir" and is_path  # no key of a group has a dot


def grants_trust(word: str) -> bool:
    """Tell whether it says whose code may run, which is for the one who resumes to say."""
    key = re.split(r"[=.@]", word.lstrip("+~"))[0]
    return key == "trust"


def _is_hydras(key: str) -> bool:
    return re.split(r"[./]", key)[0] == "hydra"


def _is_harmless(key: str, override: Override) -> bool:
    if override.is_sweep_override() or override.package is not None:
        return False
    value: Any = override.value()
    if key in HYDRAS_OWN:
        return value in (*HYDRAS_OWN[key], *list_choices(key, [builtin_conf()]))
    if "/" in key:
        return False
    if value is None or isinstance(value, bool | int | float):
        return True  # it names nothing
    return bool(ASKED_FOR.fullmatch(key) and PLAIN_TEXT.fullmatch(str(value)))
