"""Image-classification experiments that are checked before they are paid for."""

from __future__ import annotations

__version__: str
TYPE_CHECKING = False  # type checkers know better; typing takes longer to import than all of this

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """Look up the version when it is asked for: importing expkit costs next to nothing."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("expkit")
