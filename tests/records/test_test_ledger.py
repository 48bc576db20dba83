"""The ledger of a sealed test set counts every look, once, whoever looks."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.run.find_run import find_run
from expkit.records.run.reader import Run
from expkit.records.run.test_look import RECORD, TestLook
from expkit.records.test_ledger import TestLedger, identify


def test_looks_are_numbered_from_the_first(tmp_path: Path) -> None:
    """Sealing is no look, and sealing again begins no new ledger."""
    ledger = TestLedger.of(tmp_path, "abc")
    ledger.seal("first")
    assert ledger.looks() == []
    assert [ledger.count_look(f"run_{i}") for i in range(3)] == [1, 2, 3]
    TestLedger.of(tmp_path, "abc").seal("second")
    assert [look["run"] for look in ledger.looks()] == ["run_0", "run_1", "run_2"]


def test_looks_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    """Two jobs of a sweep never share a look."""
    TestLedger.of(tmp_path, "abc").seal("first")
    with ThreadPoolExecutor(8) as pool:
        numbers = pool.map(lambda i: TestLedger.of(tmp_path, "abc").count_look(f"{i}"), range(40))
    assert sorted(numbers) == list(range(1, 41))


@pytest.mark.usefixtures("ask_exported")
def test_looks_with_a_models_copies_are_counted_with_those_of_before() -> None:
    """A run that was moved away and an exported model know of the looks where theirs are kept."""
    outputs = Path("outputs").resolve()
    known = TestLedger.of(outputs, "abc")
    known.seal("first")
    moved = Path("elsewhere", "small")
    shutil.copytree(outputs / "small", moved)
    exported = find_run("exported")
    assert TestLedger.all_of_run(exported, outputs, "abc") == [known]
    assert TestLedger.all_of_run(Run(moved), outputs, "abc") == [known]
    # where nobody has looked yet, nothing is put into the exported folder
    assert TestLedger.all_of_run(exported, outputs, "def") == [TestLedger.of(outputs, "def")]
    beside = TestLedger.of(moved.parent.resolve(), "def")
    assert TestLedger.all_of_run(Run(moved), outputs, "def") == [beside]


def test_a_ledger_of_a_stranger_leads_nowhere(tmp_path: Path) -> None:
    """A link in a ledger's place is refused, and what it leads to stays as it is."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine\n")
    (tmp_path / "test_looks").mkdir()
    (tmp_path / "test_looks" / "abc.jsonl").symlink_to(mine)
    ledger = TestLedger.of(tmp_path, "abc")
    for use in (lambda: ledger.exists, lambda: ledger.seal("x"), lambda: ledger.count_look("x")):
        with pytest.raises(UserError, match="is a link"):
            use()
    assert mine.read_text() == "mine\n"


def test_a_test_set_is_known_again_in_any_order() -> None:
    """Other names, targets or classes are another one."""
    known = identify(["a", "b"], ["x", "y"], [0, 1])
    assert identify(["a", "b"], ["y", "x"], [1, 0]) == known
    others = (
        identify(["a", "b"], ["x", "y"], [1, 0]),
        identify(["a", "c"], ["x", "y"], [0, 1]),
        identify(["a", "b"], ["x", "z"], [0, 1]),
    )
    assert known not in others


def test_the_level_is_shared_out_among_the_looks(tmp_path: Path) -> None:
    """Bonferroni: five intervals of 99 % hold together at 95 %."""
    TestLook("test", "abc", 5).write(tmp_path)
    found = TestLook.read(tmp_path)
    assert found == TestLook("test", "abc", 5)
    assert found.level == pytest.approx(0.01)


def test_a_damaged_look_is_refused_by_its_file(tmp_path: Path) -> None:
    """The 0th look would have an interval of no level."""
    (tmp_path / RECORD).write_text('{"split": "test", "identity": "abc", "number": 0}')
    with pytest.raises(UserError, match=RECORD):
        TestLook.read(tmp_path)
