"""The number of jobs that a sweep's words ask for, counted before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from expkit.errors import UserError

MOST_JOBS = 100_000


def refuse_endless(overrides: Sequence[Override]) -> None:
    """Refuse a grid that nobody could run, and whose list alone would fill the memory."""
    sizes = {each.input_line: _size(each) for each in overrides if each.is_sweep_override()}
    num_jobs = math.prod(sizes.values())
    if num_jobs > MOST_JOBS:
        raise UserError(
            f"the sweep has {num_jobs:,} jobs",
            where="\n".join(f"{line}: {size:,}" for line, size in sizes.items() if size > 1),
            allowed=f"at most {MOST_JOBS:,}",
            fix="give fewer values, or search among them: hydra/sweeper=optuna",
        )


def _size(override: Override) -> int:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if not isinstance(value, RangeSweep) or value.start is None or value.stop is None:
        return 1
    if value.step == 0:
        raise UserError("a range does not end that has no step", where=override.input_line)
    return max(0, math.ceil((value.stop - value.start) / value.step))
