"""The index of experiments: a status is computed, and a page of a person's own is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expkit.errors import UserError
from expkit.reports.notebook.index import read_results, status_of_each, write_index, write_result


def result(name: str, value: float | None, verdict: str = "met", **beside: str) -> dict[str, Any]:
    return {
        "kind": "run",
        "name": name,
        "runs": [f"outputs/{name}"],
        "verdict": verdict,
        "dataset": "Digits",
        "judged_on": "held-out samples: val, 360",
        "judged_samples": "f00d",
        "metric": "accuracy",
        "value": value,
        "interval": [0.5, 0.9],
        "compared_with": list(beside),
        "compared": [{"name": n, "answer": a, "words": f"{a} (...)"} for n, a in beside.items()],
    }


def statuses(family: list[dict[str, Any]]) -> dict[str, str]:
    return dict(zip((each["name"] for each in family), status_of_each(family), strict=True))


NO_EVIDENCE = "no evidence of a difference"


def test_each_status_has_its_reason() -> None:
    """By verdict, by what was compared, and the best is the highest of all."""
    family = [
        result("plain", 0.7, "not met"),
        result("wider", 0.8, plain="better"),
        result("deeper", 0.9, plain="better"),
        result("slower", 0.6, "not met", plain="worse"),
        result("luckier", 0.85, plain=NO_EVIDENCE),
        result("unjudged", None, "not judged", plain="better"),
    ]
    assert statuses(family) == {
        "plain": "baseline",
        "wider": "supported",
        "deeper": "best",
        "slower": "refuted",
        "luckier": "inconclusive",
        "unjudged": "inconclusive",
    }


def test_the_best_is_chosen_by_val_where_all_have_one() -> None:
    """The higher figure on test is what was reported, and not what chooses."""
    lucky, solid = result("lucky", 0.95), result("solid", 0.9)
    on_val = [{**lucky, "value_on_val": 0.8}, {**solid, "value_on_val": 0.85}]
    assert statuses(on_val) == {"lucky": "supported", "solid": "best"}
    assert statuses([on_val[0], solid]) == {"lucky": "best", "solid": "supported"}


def test_the_least_error_is_the_best() -> None:
    """Where a lower figure is better."""
    family = [{**result(name, value), "metric": "rmse"} for name, value in (("a", 2), ("b", 1))]
    assert statuses(family) == {"a": "supported", "b": "best"}


def test_what_is_worse_than_its_baseline_is_not_supported() -> None:
    """It met its criteria, which the baseline would have met better."""
    family = [result("plain", 0.99, "not judged"), result("smaller", 0.95, plain="worse")]
    assert statuses(family) == {"plain": "baseline", "smaller": "inconclusive"}


@pytest.mark.parametrize("verdict", ["met", "not met"])
def test_none_is_the_best_where_another_reached_more(verdict: str) -> None:
    """Be that not told from its baseline, or short of its own criterion."""
    family = [result("deep", 0.9, plain="better"), result("high", 0.99, verdict, plain=NO_EVIDENCE)]
    assert statuses(family)["deep"] == "supported"


def test_the_best_is_of_one_metric() -> None:
    """A macro F1 of 0.95 does not beat an accuracy of 0.9, nor a loss of 0.5; equals share."""
    names = {"a": "accuracy", "b": "accuracy", "f": "macro_f1", "l": "log_loss", "m": "log_loss"}
    values = {"a": 0.9, "b": 0.9, "f": 0.95, "l": 0.5, "m": 0.6}
    family = [{**result(name, values[name]), "metric": metric} for name, metric in names.items()]
    best = dict.fromkeys("abfl", "best")
    assert statuses(family) == {**best, "m": "supported"}


def test_what_could_not_be_compared_is_not_supported() -> None:
    """It named what it is to beat, and that is gone, or measured on other samples."""
    gone = {**result("new", 0.9), "compared_with": ["old"]}
    assert statuses([gone]) == {"new": "inconclusive"}
    elsewhere = {**gone, "compared": [{"name": "old", "answer": None, "words": "not compared"}]}
    assert statuses([elsewhere]) == {"new": "inconclusive"}


def test_two_experiments_of_one_name_have_a_status_each() -> None:
    """Two folders may tell of one name: the later does not speak for the first."""
    family = [result("net", 0.9), result("net", 0.2, "not met")]
    assert status_of_each(family) == ["best", "refuted"]


def test_index_groups_by_samples(tmp_path: Path) -> None:
    """Experiments on other samples stand in a table of their own, each with a best."""
    write_pages(tmp_path, result("one", 0.9), {**result("two", 0.8), "judged_samples": "beef"})
    page = write_index(tmp_path).read_text()
    assert page.count("**best** |") == 2
    assert "[one](one/README.md)" in page
    assert "accuracy 90.00 % (50.0 to 90.0 %)" in page
    assert len(read_results(tmp_path)) == 2


def test_index_is_made_again_but_not_over_a_page_by_hand(tmp_path: Path) -> None:
    """One that a person wrote is refused, and stands."""
    write_pages(tmp_path, result("one", 0.9))
    write_index(tmp_path)
    write_index(tmp_path)
    (tmp_path / "README.md").write_text("# My thoughts\n")
    with pytest.raises(UserError, match="written by hand"):
        write_index(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# My thoughts\n"


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    """One screen with its file, where a key is gone; a page that is no UTF-8 is a person's own."""
    write_pages(tmp_path, result("one", 0.9))
    (tmp_path / "one" / "result.json").write_text('{"kind": "run", "name": "one"}')
    with pytest.raises(UserError, match="it lacks compared, compared_with, dataset"):
        write_index(tmp_path)
    (tmp_path / "one" / "result.json").write_text("{}")
    with pytest.raises(UserError, match="it lacks kind"):
        read_results(tmp_path)
    (tmp_path / "README.md").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="written by hand"):
        write_index(tmp_path)


def write_pages(notebook: Path, *results: dict[str, Any]) -> None:
    for each in results:
        folder = notebook / each["name"]
        folder.mkdir()
        write_result(folder, each)
