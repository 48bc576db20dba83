"""What tests of pages share: plots that are laid out and not rendered."""

from __future__ import annotations

import io

import pytest
from PIL import Image


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure is made, and its file is a pixel: most of a plot's time is its rendering."""
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "PNG")
    monkeypatch.setattr("expkit.reports.plots.style._encode_pixels", lambda *_: stream.getvalue())
