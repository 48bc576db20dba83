"""Signals that end a run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from expkit.terminal.signals import raise_if_interrupted, stop_on_signals, stop_where_asked


class Swallowing:
    """Gets the signal while it is deleted, where Python drops what is raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_falls_into_a_deletion_is_not_lost() -> None:
    """It comes again at the end of the epoch."""
    with stop_on_signals():
        raise_if_interrupted()
        thing = Swallowing()
        del thing
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
    raise_if_interrupted()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_interrupt(number: signal.Signals) -> None:
    """What was set before is set again afterwards."""
    before = signal.getsignal(number)
    with stop_on_signals(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_run_ends_where_a_file_asks_it_to(tmp_path: Path) -> None:
    """Only while that run runs: the next one in this process goes on."""
    with stop_where_asked(tmp_path / "job.stop"):
        raise_if_interrupted()
        (tmp_path / "job.stop").touch()
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
    raise_if_interrupted()
