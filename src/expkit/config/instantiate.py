"""Building a part from its mapping, with every failure reported as the config's."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from hydra.utils import instantiate

from expkit.config.build_errors import explain_failure
from expkit.config.targets.check import check_part


def build_part(node: Mapping[str, Any], key: str, trusted: Collection[str] = ()) -> Any:
    """Build what a mapping's `_target_` makes; a partial one still wants its runtime values.

    What is built has been looked at just before, whoever has forgotten to.
    """
    check_part(node, key, trusted=trusted)
    return explain_failure(
        node, key, lambda: instantiate(copy.deepcopy(dict(node)), _convert_="all")
    )
