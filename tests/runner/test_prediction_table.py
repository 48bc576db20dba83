"""The images that `expkit predict` finds in a folder."""

from __future__ import annotations

from pathlib import Path

from expkit.runner.prediction_table import list_images


def test_hidden_files_are_passed_by_and_links_to_nowhere_are_not(tmp_path: Path) -> None:
    """As sorting and training pass by `._a.png`, which macOS adds; what is broken is told."""
    (tmp_path / "b").mkdir()
    (tmp_path / ".cache").mkdir()
    for name in ("a.png", "b/c.jpg", "._a.png", ".cache/d.png", "note.txt"):
        (tmp_path / name).touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found = [str(path.relative_to(tmp_path)) for path in list_images([tmp_path])]
    assert found == ["a.png", "b/c.jpg", "gone.png"]
    assert list_images([tmp_path / "._a.png"]) == [tmp_path / "._a.png"]  # asked for by name
