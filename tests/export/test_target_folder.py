"""The folder that `expkit export` makes is whole or not there, and replaces nothing of a user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.export.target_folder import made_aside, refuse_existing, spare_folder


def test_the_folder_that_one_is_in_is_refused_with_one_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an empty one: the shell would stay in a folder that is no more."""
    monkeypatch.chdir(tmp_path)
    for target in (Path(), tmp_path):
        with pytest.raises(UserError, match="is there already"):
            refuse_existing(target)
    with pytest.raises(UserError) as caught:
        refuse_existing(Path())
    assert caught.value.details["do"] == "--to exported   (a folder that is not there yet)"


def test_a_full_disk_is_said_with_the_word_that_chooses_another_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no space left on device") as caught:
        be_full(tmp_path / "model")
    details = caught.value.details
    assert details["where"] == f"--to {tmp_path}"
    assert str(details["do"]).endswith("a folder that can be written: --to FOLDER")
    assert not list(tmp_path.iterdir())


def be_full(target: Path) -> None:
    with made_aside(target) as folder:
        (folder / "model.onnx").write_bytes(b"half")
        raise OSError(28, "No space left on device")


def test_the_next_export_there_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    """Its half-made folder with its large spare files; that of an export that runs stays."""
    left = tmp_path / ".exporting_0123" / "model"
    left.mkdir(parents=True)
    (left.parent / ".spare_x").mkdir()
    (left.parent / ".spare_x" / "fp32.onnx").write_bytes(b"half")
    with made_aside(tmp_path / "one") as first, spare_folder(first) as spare:
        assert not left.exists()
        assert spare.parent == first.parent
        with made_aside(tmp_path / "two"):
            assert first.exists()
            assert spare.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one", "two"]
    assert not list((tmp_path / "one").iterdir())
