"""Trials of proposed changes, as far as they need no training."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_runs import classes_run

from expkit.errors import UserError
from expkit.records.find_runs import find_runs
from expkit.runner.remedy_trials import try_remedies


def test_the_advice_on_a_run_that_lies_elsewhere_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`expkit diagnose PATH --try` advised by the bare name, which is found in outputs/ alone."""
    run = classes_run(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="proposes a change") as caught:
        try_remedies(run, [], None, ())
    words = str(caught.value.details["do"]).split()
    assert words[:2] == ["expkit", "diagnose"]
    assert [each.path.resolve() for each in find_runs(words[2:])] == [run.path]
