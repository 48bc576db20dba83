"""Own code that was edited after this process imported it: a second run is of the new text."""

from __future__ import annotations

import importlib
import sys

from expkit.config.targets.signatures import forget_signatures
from expkit.config.user_code import hash_own_modules

_imported: dict[str, str] = {}  # the own modules of runs before, and what was in them


def note_own_modules(config: object) -> None:
    """Remember what stands now in the modules that a config names."""
    _imported.update(hash_own_modules(config))


def forget_edited_modules() -> list[str]:
    """Let own modules be imported anew where one of them has changed; return those that have.

    All of them go: one that did not change may hold on to what another had in it.
    """
    targets = [{"_target_": name} for name in _imported]
    edited = sorted(dict(_imported.items() - hash_own_modules(targets).items()))
    if edited:
        for name in [each for each in sys.modules if each.partition(".")[0] in _imported]:
            del sys.modules[name]
        _imported.clear()
        importlib.invalidate_caches()
        forget_signatures()
    return edited
