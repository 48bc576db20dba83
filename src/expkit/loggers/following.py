"""The process that follows a run or a sweep and sends it to one logger: apart from the training.

It gives way to the training, ends with it however that ends, and reads nothing but the folder.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from expkit.loggers.sending import Sending

NICENESS = 10
INTERVAL_SECONDS = 2.0
SHARE_OF_TIME = 0.02  # at most, that is spent on looking and sending
LONGEST_PAUSE_SECONDS = 60.0
LAST_SECONDS = 10  # in which everything is sent once the training has ended
HUNG_SECONDS = 120  # in which a library lets no other thread have a turn


@dataclass
class Following:
    """The runs of a folder, each sent as it grows."""

    folder: Path
    name: str
    logger: object
    sendings: dict[Path, Sending] = field(default_factory=dict)
    over: set[Path] = field(default_factory=set)
    num_failures: int = 0

    def look(self) -> bool:
        """Send what is new of all runs; return whether that went well."""
        went_well = True
        for path in self._runs():
            if path not in self.over:
                went_well &= self._look_at(path)
        self.num_failures = 0 if went_well else self.num_failures + 1
        return went_well

    def close(self) -> bool:
        """Let go of all runs; return whether that went well."""
        went_well = True
        for path in list(self.sendings):
            went_well &= self._close(path)
        return went_well

    def _look_at(self, path: Path) -> bool:
        sending = self.sendings.setdefault(path, Sending(path, self.name, self.logger))  # type: ignore[arg-type]
        try:
            is_done = sending.advance()
            is_over = is_done and sending.is_over
        except Exception as error:
            sending.fail(error)
            return False
        if is_over:
            self.over.add(path)
            return self._close(path)
        return is_done

    def _close(self, path: Path) -> bool:
        sending = self.sendings.pop(path)
        try:
            sending.close()
        except Exception as error:
            sending.fail(error)
            return False
        return True

    def _runs(self) -> list[Path]:
        from expkit.records.find_runs import find_runs

        return [run.path for run in find_runs([str(self.folder)])]


def follow(following: Following, stop: threading.Event) -> bool:
    """Look again and again until told to stop, and then once more."""
    is_first = True
    while True:
        is_last, began = stop.is_set(), time.process_time()
        went_well = following.look()
        if is_last:
            return following.close() and went_well
        # the first look loads the library, and says nothing of what the next ones take
        spent = 0.0 if is_first else time.process_time() - began
        pause = max(INTERVAL_SECONDS, spent / SHARE_OF_TIME) * 2**following.num_failures
        stop.wait(min(pause, LONGEST_PAUSE_SECONDS))
        is_first = False


def end_with(parent: int, stop: threading.Event) -> None:
    """Say when the training has ended, by a closed pipe or a death, and see to it that this ends.

    The timer's signal is the system's to deliver: a library that hangs cannot hold it up.
    """
    is_open = True
    while is_open and os.getppid() == parent:
        signal.setitimer(signal.ITIMER_REAL, HUNG_SECONDS)
        is_open = not select.select([0], [], [], 0.5)[0]
    signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)
    stop.set()


def main() -> None:
    """What the process runs: FOLDER NAME PART TRUST, the last two as JSON."""
    folder, name, part, trust, parent = sys.argv[1:]
    os.nice(NICENESS)
    stop = threading.Event()
    threading.Thread(target=end_with, args=(int(parent), stop), daemon=True).start()
    from expkit.loggers.chosen import build_loggers

    logger = build_loggers({name: json.loads(part)}, json.loads(trust))[name]
    code = 0 if follow(Following(Path(folder), name, logger), stop) else 1
    os._exit(code)  # a library's thread that hangs has no say in it


if __name__ == "__main__":
    main()
