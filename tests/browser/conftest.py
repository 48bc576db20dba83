"""One browser for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_browser import Browser, open_browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
