"""Loggers of a user's own: one that writes down what it is sent, and some that do not work."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

MODULE = """
import json, os, signal, time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Ledger:
    file: str = "ledger.jsonl"
    fails_after: int | None = None
    manner: str = "works"
    package = "json"

    @property
    def place(self):
        return self.file

    def check(self, key):
        pass

    def open(self, run, sent):
        Path(f"pid_{os.getpid()}").touch()
        if self.manner == "raises":
            raise ConnectionError("nobody\\x1b[31m answers")
        if self.manner == "sleeps":
            time.sleep(600)
        if self.manner == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.manner == "floods":
            print("x" * 10_000_000)
        return Pages(self, run, dict(sent.epochs) if sent else {}, sent and sent.conclusion)


@dataclass
class Pages:
    logger: Ledger
    run: object
    epochs: dict = field(default_factory=dict)
    conclusion: str | None = None

    def write(self, **line):
        with open(self.logger.file, "a") as file:
            file.write(json.dumps({"run": self.run.name, **line}) + "\\n")

    def send_epochs(self, epochs):
        for epoch in epochs:
            if self.logger.fails_after is not None and epoch.number > self.logger.fails_after:
                raise ConnectionError("gone")
            self.write(stage=epoch.stage, epoch=epoch.number, figures=dict(epoch.figures))
            self.epochs[epoch.stage] = epoch.number

    def conclude(self, conclusion):
        self.write(end=conclusion.status, figures=dict(conclusion.figures), tags=conclusion.tags)
        self.conclusion = conclusion.digest

    def flush(self):
        pass

    def close(self, status):
        self.write(closed=status)
"""
CHOICE = """# Writes down what it is sent
ledger:
  _target_: my_loggers.Ledger
  file: ledger.jsonl
  fails_after: null
  manner: works
"""


def write_own_loggers(folder: Path) -> None:
    """Make the module and the choice `logger=ledger` in a working directory.

    The module's name is the folder's own: a process imports it once, and tests share theirs.
    """
    name = f"loggers_{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    (folder / f"{name}.py").write_text(MODULE)
    (folder / "conf" / "logger").mkdir(parents=True)
    choice = CHOICE.replace("my_loggers", name)
    (folder / "conf" / "logger" / "ledger.yaml").write_text(choice)


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    """What was sent, line by line."""
    file = folder / "ledger.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def epochs_in(lines: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The stages and epochs that were sent, in order."""
    return [(line["stage"], line["epoch"]) for line in lines if "stage" in line]
