"""The failures of somebody's code, told as faults of the config that names it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from expkit.config.paths import conf_folders, list_groups
from expkit.config.user_code import find_here, own_folder
from expkit.errors import UserError


def explain_failure(node: Mapping[str, Any], key: str, build: Callable[[], Any]) -> Any:
    """Call `build`; what it raises becomes a message that names the key and the target."""
    try:
        return build()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        # of a part within the part; Hydra tells it in its message alone
        inner = re.search(r"^full_key: (\S+)", str(error), re.MULTILINE)
        full_key = f"{key}.{inner[1]}" if inner else key
        where = full_key if inner else f"{key}._target_={node.get('_target_')}"
        frame = traceback.extract_tb(cause.__traceback__)[-1]
        place = f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"
        raise UserError(
            f"{full_key} cannot be built: {_reason(cause)}",
            where=f"{where}\n{place}",
            fix=_how_to_let_in(cause) or _where_to_look(key),
        ) from error


def _where_to_look(key: str) -> str:
    """The commands that show more; what is no key of a run's config is of another command."""
    if "/" in key or re.split(r"\W", key)[0] not in list_groups(conf_folders()):
        return "EXPKIT_TRACEBACK=1 before the command   (shows how it came there)"
    return (
        f"expkit train ... --cfg job --package {key}   (shows what it was given)\n"
        "EXPKIT_TRACEBACK=1 expkit train ...   (shows how it came there)"
    )


def _reason(cause: BaseException) -> str:
    if isinstance(cause, SystemExit):
        return f"it ends Python by sys.exit({cause.code!r})"
    return str(cause) or type(cause).__name__


def _how_to_let_in(error: BaseException) -> str | None:
    """Say how a module of the user's is found that own code names at run time alone."""
    if not isinstance(error, ModuleNotFoundError) or not error.name or "." in error.name:
        return None
    if own_folder() is None or find_here(error.name) is None:
        return None
    return (
        f"write `import {error.name}` somewhere in your code: modules are found by their import "
        "statements, and not where a name is made up at run time"
    )
