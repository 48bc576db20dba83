"""index.html of a folder of runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from synthetic_runs import classes_run, config_of, failed_gate_run, interrupted_run

from expkit.errors import UserError
from expkit.records.find_runs import find_runs
from expkit.reports.html import index_page
from expkit.reports.html.index_page import DATA, refresh_index, write_index
from expkit.reports.run.pages import refresh


def rows_of(folder: Path) -> dict[str, dict[str, object]]:
    found = DATA.search((folder / "index.html").read_bytes())
    assert found is not None
    data = json.loads(found[1])
    return {
        row[0]: {**dict(zip(data["columns"], row, strict=False)), **row[-1]} for row in data["rows"]
    }


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A finished run, one that failed and one that was cut off, each with its pages."""
    folder = tmp_path / "outputs"
    made = [
        classes_run(folder, name="20260101_120000_whole"),
        failed_gate_run(folder, name="20260102_120000_failed"),
        interrupted_run(tmp_path / "aside"),
    ]
    shutil.move(made.pop().path, folder / "20260103_120000_cut")
    for path in folder.iterdir():
        refresh(path, plots=False)
    return folder


def test_every_run_has_a_row_with_the_figures_of_its_summary(outputs: Path) -> None:
    write_index(outputs)
    rows = rows_of(outputs)
    assert list(rows) == ["20260103_120000_cut", "20260102_120000_failed", "20260101_120000_whole"]
    summary = json.loads((outputs / "20260101_120000_whole/summary.json").read_text())
    whole = rows["20260101_120000_whole"]
    assert whole["value"] == summary["metrics"]["test"]["accuracy"]
    assert whole["verdict"] == summary["verdict"]
    assert whole["metrics"]["val/accuracy"] == summary["metrics"]["val"]["accuracy"]  # type: ignore[index]
    assert whole["page"] == "report.html"
    assert whole["curve"]["metric"] == "val/accuracy"  # type: ignore[index]
    assert rows["20260102_120000_failed"]["status"] == "failed"
    assert rows["20260103_120000_cut"]["value"] is None


def test_what_did_not_change_is_not_read_again(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is new is read, and no other; the page is the same as one made at once."""
    write_index(outputs)
    refresh(classes_run(outputs, name="20260104_120000_new").path, plots=False)
    read: list[str] = []
    facts = index_page._facts

    def noted(entry, **more):  # type: ignore[no-untyped-def]
        read.append(entry.name)
        return facts(entry, **more)

    monkeypatch.setattr(index_page, "_facts", noted)
    refresh_index(outputs / "20260104_120000_new")
    assert read == ["20260104_120000_new"]
    written = (outputs / "index.html").read_bytes()
    (outputs / "index.html").unlink()
    assert write_index(outputs).read_bytes() == written


@pytest.mark.parametrize(
    "spoilt", [b"", b"{", b"[1]", b'{"columns":1,"rows":[[1]]}', b"null", b"[" * 90_000]
)
def test_a_page_of_a_stranger_is_made_anew(outputs: Path, spoilt: bytes) -> None:
    start = b'<script type="application/json" id="data">'
    (outputs / "index.html").write_bytes(start + spoilt + b"</script>")
    write_index(outputs)
    assert len(rows_of(outputs)) == 3


def test_a_page_of_ones_own_is_not_written_over(outputs: Path) -> None:
    """Runs may lie in a folder that is somebody's site."""
    page = outputs / "index.html"
    page.write_text("<html>my own</html>")
    refresh_index(outputs / "20260101_120000_whole")
    with pytest.raises(UserError, match="no list of runs"):
        write_index(outputs)
    assert page.read_text() == "<html>my own</html>"


def test_a_page_with_a_number_that_is_none_is_made_anew(outputs: Path) -> None:
    """JSON as Python reads it has NaN, at which a browser would stop."""
    page = write_index(outputs).read_text()
    start, mark, data = page.partition('id="data">')
    spoilt = data.replace("null", "NaN", 1)
    assert spoilt != data
    (outputs / "index.html").write_text(start + mark + spoilt)
    assert write_index(outputs).read_text() == page


def test_an_index_that_cannot_be_written_spoils_no_run(outputs: Path) -> None:
    (outputs / "index.html").mkdir()
    refresh_index(outputs / "20260101_120000_whole")


def test_names_of_strangers_end_no_script(tmp_path: Path) -> None:
    name = "<script>alert(1)<b>"
    run = classes_run(tmp_path, config=config_of(name=name), name=f"20260101_120000_{name}")
    refresh(run.path, plots=False)
    page = write_index(tmp_path).read_text()
    assert "<script>alert" not in page
    assert list(rows_of(tmp_path)) == [f"20260101_120000_{name}"]


def test_the_index_is_no_run_among_those_that_a_shell_names(outputs: Path) -> None:
    """`expkit compare outputs/*` goes on meaning the runs."""
    write_index(outputs)
    words = [str(path) for path in sorted(outputs.glob("[!.]*"))]
    assert any(word.endswith("index.html") for word in words)
    assert len(find_runs(words)) == 3
