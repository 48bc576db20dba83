"""What becomes of stacked seeds where something goes wrong in what they share."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from expkit.commands.stacking import of_its_own
from expkit.records.sweep import Job, Sweep, SweepFolder, job_id


def make_job(parent: Path) -> Job:
    folder = SweepFolder.create(parent / "a_sweep", {"objective": "held_out/accuracy"})
    folder.plan(job_id({"seed": 1}), 0, ["seed=1"], {"seed": 1})
    (job,) = Sweep(folder.path).jobs
    return job


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ValueError()], ids=repr)
def test_a_course_is_told_of_each_error_of_a_shared_epoch(
    tmp_path: Path, error: BaseException
) -> None:
    """A sys.exit in a model left the course without a word, and its job without an end."""
    told: list[BaseException] = []

    def course() -> Generator[Any, Any, int]:
        try:
            yield "an epoch"
        except BaseException as caught:
            told.append(caught)
        return 7

    leading = of_its_own(tmp_path / "a_sweep", make_job(tmp_path), course())
    next(leading)
    with pytest.raises(StopIteration) as end:
        leading.throw(error)
    assert (told, end.value.value) == ([error], 7)
