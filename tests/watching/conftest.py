"""What the tests of watched loops share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from watched_loops import one_thread


@pytest.fixture(autouse=True)
def _on_one_thread() -> Iterator[None]:
    with one_thread():
        yield
