"""All cases, in the order in which they are told."""

from __future__ import annotations

import data_faults
import model_faults
import odd_controls
import optimisation_faults
import plain_controls
import result_faults
from case import Case, Control, Fault

FAULTS: list[Fault] = [
    *data_faults.FAULTS,
    *model_faults.FAULTS,
    *optimisation_faults.FAULTS,
    *result_faults.FAULTS,
]
CONTROLS: list[Control] = [*plain_controls.CONTROLS, *odd_controls.CONTROLS]
CASES: list[Case] = [*FAULTS, *CONTROLS]
assert len({each.name for each in CASES}) == len(CASES), "two cases have one name"
