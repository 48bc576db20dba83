"""The refusal of a part, as an error to look at."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from expkit.config.targets.check import check_part
from expkit.errors import UserError


def refusal(node: Mapping[str, object], key: str, **options: list[str]) -> UserError:
    with pytest.raises(UserError) as caught:
        check_part(node, key, **options)
    return caught.value
