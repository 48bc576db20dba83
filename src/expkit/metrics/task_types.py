"""The tasks that a model can be trained for, and what both arrays and records know of them."""

from __future__ import annotations

from typing import Literal

Task = Literal["classification", "regression"]
TOP = 5  # classes among which the target counts as found, for top-5 accuracy
MAYBE = "maybe"  # the class of samples that a model is not sure of


def has_top5(num_classes: int) -> bool:
    """Tell whether there is a top-5 accuracy: among five classes everything is in the top five."""
    return num_classes > TOP
