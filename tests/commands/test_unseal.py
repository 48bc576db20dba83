"""A sealed test set is given to no run, and each look at it is counted and paid for."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from json_documents import parse_document
from running_expkit import Expkit

from expkit.metrics.intervals import wilson
from expkit.records.run.find_run import find_run, list_runs
from expkit.records.run.reader import Run

SEALED = (
    *("dataset=digits", "dataset.sealed=true", "procedure=full", "procedure.train.max_epochs=2"),
    *("device.precision=fp32", "device.threads=1", "criteria=none"),
)


def last_run() -> Run:
    return Run(list_runs(Path("outputs"))[-1])


@pytest.mark.slow
def test_only_unsealing_looks_at_the_test_set(run_here: Expkit) -> None:
    """Trained, evaluated again, unsealed twice: the looks are two, the second's interval wider."""
    done = run_here("train", *SEALED, "++criteria.test/accuracy='> 0.05'", "name=mine")
    assert done.code == 0, done.err  # a criterion that waits is no failure
    trained = last_run()
    assert trained.dataset.splits.keys() == trained.predictions.keys() == {"train", "val"}
    summary = json.loads((trained.path / "summary.json").read_text())
    assert (summary["verdict"], summary["criteria"][0]["met"]) == ("not judged", None)

    assert run_here("evaluate", trained.name).code == 0  # its own data, and still sealed
    assert last_run().predictions.keys() == {"train", "val"}
    assert "looked at 0 times" in run_here("unseal", trained.name, "--looks").out

    ends = []
    for number in (1, 2):
        done = run_here("unseal", trained.name, "--json")
        document = parse_document(done.out)
        assert (done.code, document["test_look"]["number"]) == (0, number)
        run = last_run()
        assert run.test_look is not None
        assert run.test_look.number == number
        found = json.loads((run.path / "summary.json").read_text())
        right = (run.predictions["test"].predictions == run.predictions["test"].targets).sum()
        wanted = wilson(int(right), 270, 0.05 / number)
        assert found["intervals"]["test"]["accuracy"] == pytest.approx(wanted)
        assert found["criteria"][0]["met"] is True
        ends.append(found["intervals"]["test"]["accuracy"])
    assert ends[1][0] < ends[0][0] < ends[0][1] < ends[1][1]

    # who trains on the same data without the seal looks, too
    plain = [word for word in SEALED if word != "dataset.sealed=true"]
    assert run_here("train", *plain, "seed=1").code in (0, 1)
    look = last_run().test_look
    assert look is not None
    assert look.number == 3


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["dataset.test_fraction=0"], "no test split"),
        (["dataset.val_fraction=0"], "nothing is left to choose"),
    ],
)
def test_what_cannot_be_sealed_is_refused(run_here: Expkit, words: list[str], what: str) -> None:
    """Without a test set there is nothing to seal, and without val nothing to judge by."""
    done = run_here("train", *SEALED, *words)
    assert done.code == 2
    assert what in done.err
    assert not Path("outputs").exists()


def test_a_run_that_was_not_sealed_is_refused(run_here: Expkit, tiny_run: Path) -> None:
    """The way to look at such a test set is `expkit evaluate`."""
    done = run_here("unseal", str(tiny_run))
    assert done.code == 2
    assert "is not sealed" in done.err
    advice = done.err.partition("do       expkit ")[2].partition("   (")[0]
    assert run_here(*shlex.split(advice)).code == 0


def test_the_list_of_looks_is_no_document(run_here: Expkit, tiny_run: Path) -> None:
    done = run_here("unseal", str(tiny_run), "--looks", "--json")
    assert (done.code, parse_document(done.out)["schema"]) == (2, "expkit/error")


@pytest.mark.slow
def test_an_export_never_looks_and_an_evaluation_of_its_file_is_counted_beside_the_runs(
    run_here: Expkit,
) -> None:
    """Sealed, with the seal taken off, or of a run that had none: the proof is on val."""
    plain = [word for word in SEALED if word != "dataset.sealed=true"]
    assert run_here("train", *plain, "name=open").code == 0  # before there was a seal
    assert run_here("train", *SEALED, "name=mine").code == 0
    for run, *words in (["mine"], ["mine", "dataset.sealed=false"], ["open"]):
        target = Path("made", "_".join([run, *words]))
        done = run_here("export", run, "--to", str(target), "--format", "torch_export", *words)
        assert done.code == 0, done.err
        assert json.loads((target / "verification.json").read_text())["split"] == "val"
        assert find_run(str(target)).predictions.keys() == {"val"}
    assert "looked at 0 times" in run_here("unseal", "mine", "--looks").out

    words = ("dataset.sealed=false", "--trust", "torch_export", "--name=file")
    assert run_here("evaluate", "made/mine", *words).code == 0
    assert not Path("made/mine/test_looks").exists()
    looks = run_here("unseal", "mine", "--looks").out
    assert "looked at 1 times" in looks
    refused = run_here("unseal", "made/mine", "--looks")
    assert refused.code == 2
    assert "expkit unseal" in refused.err


@pytest.mark.slow
def test_looks_of_two_folders_count_together(run_here: Expkit) -> None:
    """A run of another output folder, unsealed into the usual one, is no first look there."""
    assert run_here("train", *SEALED).code in (0, 1)
    first = last_run()
    assert run_here("unseal", first.name).code in (0, 1)
    assert run_here("train", *SEALED, "output_dir=others").code in (0, 1)
    (other,) = list_runs(Path("others"))
    assert run_here("unseal", str(other)).code in (0, 1)
    look = last_run().test_look
    assert look is not None
    assert look.number == 2
