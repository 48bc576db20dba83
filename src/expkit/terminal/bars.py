"""Progress bars where somebody looks: on a terminal, and in the cell of a notebook."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NoReturn

from tqdm import tqdm


def has_bars() -> bool:
    """Tell whether bars are drawn here, in place of plain lines."""
    return sys.stderr.isatty() or in_notebook()


def in_notebook() -> bool:
    """Tell whether this is the kernel of a notebook, which loads IPython before any cell runs."""
    find_shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return hasattr(find_shell(), "kernel")


def open_bar(total: int, description: str, *, unit: str = "it") -> tqdm[NoReturn]:
    """Begin a bar: of a notebook's own kind where that has the widgets for it."""
    kind: type[tqdm[NoReturn]] = tqdm
    if in_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm_notebook

        kind = tqdm_notebook
    return kind(total=total, desc=description, unit=unit, leave=False, dynamic_ncols=True)
