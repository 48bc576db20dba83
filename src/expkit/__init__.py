"""Image-classification experiments that are checked before they are paid for."""

from __future__ import annotations

__all__ = ["Comparison", "Run", "UserError", "__version__"]
__all__ += ["compare", "load_run", "load_runs", "train", "watch"]
__version__: str
TYPE_CHECKING = False  # type checkers know better; typing takes longer to import than all of this

if TYPE_CHECKING:
    from expkit.api.comparison import Comparison as Comparison
    from expkit.api.comparison import compare as compare
    from expkit.api.run import Run as Run
    from expkit.api.run import load_run as load_run
    from expkit.api.runs import load_runs as load_runs
    from expkit.api.training import train as train
    from expkit.errors import UserError as UserError
    from expkit.watching.watch import watch as watch
else:
    # the module of each name, which is imported when that is first asked for
    _HOMES = {
        "Comparison": "expkit.api.comparison",
        "Run": "expkit.api.run",
        "UserError": "expkit.errors",
        "compare": "expkit.api.comparison",
        "load_run": "expkit.api.run",
        "load_runs": "expkit.api.runs",
        "train": "expkit.api.training",
        "watch": "expkit.watching.watch",
    }

    def __getattr__(name: str) -> object:
        """Look a name up when it is asked for: importing expkit costs next to nothing."""
        if name == "__version__":
            from importlib.metadata import version

            return version("expkit")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
