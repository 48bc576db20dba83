"""Where bars are drawn: a notebook's kernel is no terminal, and has them too."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from expkit.terminal.bars import has_bars, in_notebook, open_bar


@pytest.mark.parametrize(
    ("shell", "expected"),
    [(SimpleNamespace(kernel=object()), True), (SimpleNamespace(), False), (None, False)],
    ids=["kernel", "IPython on a terminal", "IPython that a program imports"],
)
def test_a_kernel_is_told_from_other_uses_of_ipython(
    shell: object, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("IPython")
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert in_notebook() is expected
    assert has_bars() is (expected or sys.stderr.isatty())


def test_a_bar_counts_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without widgets gets the plain one."""
    module = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr("expkit.terminal.bars.find_spec", lambda name: None)
    bar = open_bar(7, "train", unit="epoch")
    bar.update(3)
    bar.close()
    assert (bar.n, bar.total, bar.desc) == (3, 7, "train")
