"""A stranger's run in a notebook: each reader answers, or refuses on one screen.

HOSTILE_MUTATIONS and HOSTILE_SEED ask for other faults, as of `test_mutations.py`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hostile_arena import CONTROL, SECRET, SECRET_IN_FILE, Arena, limited, snapshot
from hostile_folders import Gift
from hostile_mutations import Mutation

import expkit

FIRST = int(os.environ.get("HOSTILE_SEED", "0"))
COUNT = int(os.environ.get("HOSTILE_MUTATIONS", "24"))
# pandas shows a cell's text as it is
SHOWN: dict[str, Callable[[expkit.Run], object]] = {
    "repr": repr,
    "str": str,
    "html": lambda run: run._repr_html_(),
    "config": lambda run: run.config,
    "metrics": lambda run: run.metrics,
    "history": lambda run: run.history,
    "signals": lambda run: run.signals,
    "findings": lambda run: [finding.sentence for finding in run.findings],
    "criteria": lambda run: run.criteria,
    "predictions": lambda run: run.predictions(),
    "plot": lambda run: run.plot("curves"),
    "predict": lambda run: run.predict(np.zeros((9, 9, 3), np.uint8)),
    "runs": lambda run: expkit.load_runs([run, "honest"]),
    "compare": lambda run: expkit.compare("honest", run)._repr_html_(),
}


def ask(run: expkit.Run, name: str) -> str:
    """What a cell would show, or the screen of a refusal."""
    try:
        with limited():
            value = SHOWN[name](run)
    except expkit.UserError as error:
        return str(error)
    return value.to_string() if isinstance(value, pd.DataFrame) else str(value)


def check(arena: Arena, run: expkit.Run, name: str) -> None:
    """Note what a stranger could have gained."""
    before = snapshot(arena.root)
    text = ask(run, name)
    assert not CONTROL.search(text), (name, text[-2000:])
    assert SECRET not in text
    assert SECRET_IN_FILE not in text
    assert not arena.ran.exists()
    assert "<script" not in text or name != "html"
    assert snapshot(arena.root) == before, name


@pytest.mark.broad(2)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_a_file_with_a_random_fault(seed: int, arena: Arena) -> None:
    """A table, a page or a refusal, no other error; nothing is written, or obeyed by a screen."""
    arena.have()
    path = arena.give("finished")
    fault = Mutation(path, seed).make()
    if random.Random(seed).random() < 0.5:
        Gift(path, arena).without_summaries()
    run = expkit.Run(path)
    for name in SHOWN:
        try:
            check(arena, run, name)
        except Exception as error:
            error.add_note(f"{fault}; asked for {name}")
            raise


@pytest.mark.parametrize("name", ["repr", "html", "metrics", "runs"])
def test_what_is_half_written_is_refused(name: str, arena: Arena) -> None:
    """Each file of a new folder may be missing, or end in the middle."""
    arena.have()
    for file in ("config.yaml", "environment.json", "dataset.json", "history.jsonl"):
        path = arena.give("interrupted")
        content = (path / file).read_bytes()
        (path / file).write_bytes(content[: len(content) // 2])
        check(arena, expkit.Run(path), name)
        (path / file).unlink()
        check(arena, expkit.Run(path), name)
