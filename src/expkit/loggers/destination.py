"""The two sides of a logger: the part that is chosen in a config, and what it writes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

from expkit.errors import UserError
from expkit.loggers.outgoing import Conclusion, Epoch, Outgoing
from expkit.records.run.sent import Sent


class Destination(Protocol):
    """One run where a logger keeps it; opened again, it goes on with what is there."""

    @property
    def epochs(self) -> Mapping[str, int]:
        """The last epoch of each stage that it has."""

    @property
    def conclusion(self) -> str | None:
        """The digest of the conclusion that it has."""

    def send_epochs(self, epochs: Sequence[Epoch]) -> None: ...

    def conclude(self, conclusion: Conclusion) -> None: ...

    def flush(self) -> None:
        """Return once all of it is kept, or raise."""

    def close(self, status: str) -> None:
        """Let go of it; `status` is the run's by now."""


class Logger(Protocol):
    """A part of the config's `logger`; making one imports nothing of its package."""

    @property
    def package(self) -> str:
        """The module that it needs."""

    @property
    def place(self) -> str:
        """Where it keeps runs, as people are told."""

    def check(self, key: str) -> None:
        """Refuse early what can be known to fail: no login, a folder that cannot be written."""

    def open(self, run: Outgoing, sent: Sent | None) -> Destination: ...


def require_package(logger: Logger, name: str) -> None:
    """Refuse a logger whose package is not installed, without loading it."""
    spec = find_spec(logger.package)
    if spec is None or spec.origin is None:  # a folder of that name is no package
        raise UserError(
            f"'{logger.package}' is not installed, which logger={name} needs",
            where=f"logger.{name}",
            fix=f'pip install "expkit[{name}]"',
        )
