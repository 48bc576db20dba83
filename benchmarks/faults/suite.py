"""All cases, in the order in which they are told."""

from __future__ import annotations

import data_faults
import model_faults
import odd_controls
import optimisation_faults
import plain_controls
import result_faults
import unseen_controls
import unseen_data_faults
import unseen_model_faults
import unseen_training_faults
from case import Case, Control, Fault

FAULTS: list[Fault] = [
    *data_faults.FAULTS,
    *model_faults.FAULTS,
    *optimisation_faults.FAULTS,
    *result_faults.FAULTS,
]
CONTROLS: list[Control] = [*plain_controls.CONTROLS, *odd_controls.CONTROLS]
UNSEEN: list[Case] = [
    *unseen_data_faults.FAULTS,
    *unseen_model_faults.FAULTS,
    *unseen_training_faults.FAULTS,
    *unseen_controls.CONTROLS,
]
CASES: list[Case] = [*FAULTS, *CONTROLS, *UNSEEN]
assert len({each.name for each in CASES}) == len(CASES), "two cases have one name"
