"""An exported folder where a run is: predicted with, evaluated, compared, shown, and refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_expkit import Done, Expkit

from expkit.models import runtimes
from expkit.records.run.find_run import find_run, list_runs
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import Threshold, keep_threshold
from expkit.records.seed_groups import differing_keys, settings_of
from expkit.reports.run.digests import recall_digest
from expkit.terminal.completion.candidates import find_candidates

pytestmark = pytest.mark.usefixtures("undrawn")


def rows_of(done: Done) -> list[list[str]]:
    return list(csv.reader(io.StringIO(done.out)))


def test_files_of_any_size_are_predicted_as_by_the_run_in_the_same_columns(
    ask_exported: Expkit,
) -> None:
    """Sizes, shapes, modes, an EXIF turn and a broken file; two batch sizes."""
    mixed = Path("mixed")
    mixed.mkdir()
    pixels = np.random.default_rng(1).integers(0, 255, (31, 23, 3), dtype=np.uint8)
    for number, size in enumerate([(23, 31), (16, 16), (7, 90), (200, 64), (16, 16)]):
        Image.fromarray(pixels).resize(size).save(mixed / f"{number}.png")
    Image.fromarray(pixels).convert("L").save(mixed / "grey.png")
    turned = Image.Exif()
    turned[0x112] = 6
    Image.fromarray(pixels).save(mixed / "turned.jpg", exif=turned)
    (mixed / "broken.png").write_bytes(b"no image")
    known = rows_of(ask_exported("predict", "outputs/small", "mixed"))
    for batch in ("1", "64"):
        done = ask_exported("predict", "exported", "mixed", "--batch", batch)
        assert done.code == 1  # of the broken file
        given = rows_of(done)
        assert given[0] == known[0]
        assert len(given) == 9
        for ours, theirs in zip(given[1:], known[1:], strict=True):
            assert ours[0] == theirs[0]
            if theirs[0].endswith("broken.png"):
                assert ours == theirs
                continue
            assert ours[1] == theirs[1]
            assert float(ours[2]) == pytest.approx(float(theirs[2]), abs=2e-3)


def test_an_image_that_its_runtime_cannot_take_is_a_row_with_the_reason(
    ask_exported: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one for which the memory is too small: the others are predicted all the same."""
    opened = runtimes._open_onnx

    def open_small(file: Path, names: tuple[str, ...], threads: int | None) -> runtimes.Runtime:
        run = opened(file, names, threads)

        def run_small(images: np.ndarray) -> runtimes.Outputs:
            if images.shape[2] > 300:
                raise RuntimeError("bad allocation")
            return run(images)

        return run_small

    monkeypatch.setattr(runtimes, "_open_onnx", open_small)
    Image.new("RGB", (301, 20)).save("images/test/cat/wide.png")
    done = ask_exported("predict", "exported", "images/test")
    assert done.code == 1
    rows = rows_of(done)
    (failed,) = (row for row in rows if row[-1] and row[0] != "file")
    assert failed[0].endswith("wide.png")
    assert failed[-1] == "the model fails: it cannot take images of [1, 20, 301, 3]: bad allocation"
    assert len([row for row in rows if row[1]]) == 1 + 24


def test_the_graph_is_asked_and_not_the_decoding_of_this_program(
    ask_exported: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our resize is broken, and the file's predictions are the same."""
    before = ask_exported("predict", "exported", "images/test")

    def fail(*_: object) -> None:
        raise AssertionError("the file resizes by itself")

    monkeypatch.setattr("expkit.data.store.decoding.Decoding._fit", fail)
    assert ask_exported("predict", "exported", "images/test") == before


def test_confirmed_thresholds_of_its_records_decide(ask_exported: Expkit) -> None:
    none = {"count": 0, "total": 0, "fraction": None, "interval": None}
    half = {"recall": none, "maybe": none, "wrong_class": none, "wrong_other": none}
    threshold = Threshold(
        class_name="cat",
        class_names=["cat", "dog"],
        low=0.0,
        high=0.0,  # always a cat
        asked_recall=None,
        asked_precision=None,
        split="test",
        seed=0,
        verdict="confirmed",
        evidence={"chosen_on": half, "confirmed_on": half},
    )
    keep_threshold(threshold, Path("exported/records"))
    rows = rows_of(ask_exported("predict", "exported", "images/test"))
    assert {row[3] for row in rows[1:]} == {"cat"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tta", "flips"), "--tta flips"),
        (("--device", "cuda"), "device: cuda"),
    ],
)
def test_what_is_not_in_the_file_is_refused(
    ask_exported: Expkit, words: tuple[str, ...], said: str
) -> None:
    done = ask_exported("predict", "exported", "images/test", *words)
    assert done.code == 2
    assert said in done.err
    assert "small" in done.err  # its run, which can be asked


def test_another_temperature_is_refused_where_the_file_has_one(ask_exported: Expkit) -> None:
    plain = ask_exported("predict", "exported", "images/test", "--no-calibration")
    assert plain.code == 0  # of a file without one, the softmax is plain
    change_metadata(temperature=0.5)
    done = ask_exported("predict", "exported", "images/test", "--no-calibration")
    assert done.code == 2
    assert "--no-calibration" in done.err
    rows = rows_of(ask_exported("predict", "exported", "images/test"))
    assert rows[0][-2:] == ["probabilities", "error"]
    assert rows[1][-2] == "temperature 0.5"


def change_metadata(**values: object) -> None:
    path = Path("exported/metadata.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_an_evaluation_gives_the_predictions_of_the_run_and_says_what_it_measured(
    ask_exported: Expkit,
) -> None:
    done = ask_exported("evaluate", "exported", "output_dir=measured", "device.threads=1")
    assert done.code == 0, done.err
    assert "model   model.onnx (onnx, fp32)" in done.out
    (path,) = Path("measured").glob("2*")
    ours, theirs = Run(path).predictions["test"], find_run("outputs/small").predictions["test"]
    assert ours.samples == theirs.samples
    assert np.allclose(ours.probabilities, theirs.probabilities, atol=1e-5)
    assert "model.onnx (onnx, fp32)" in Run(path).stages[0].reason


def test_training_samples_in_other_data_are_found_as_for_the_run(ask_exported: Expkit) -> None:
    """Three training images among 24 others, and the classes in another order."""
    other = Path("other/test")
    shutil.copytree("images/test", other)
    for number in range(3):
        shutil.copy(f"images/train/dog/{number}.png", other / "dog" / f"leak{number}.png")
    done = ask_exported("evaluate", "exported", "dataset.root=other", "output_dir=measured")
    assert done.code == 0, done.err
    (path,) = Path("measured").glob("2*")
    metadata = Run(path).dataset
    assert metadata.trained_by is not None
    assert metadata.trained_by.leaks is not None
    assert metadata.trained_by.leaks.splits["test"].exact == 3


@pytest.mark.parametrize("word", ["device=cuda", "device.precision=bf16", "device.compile=true"])
def test_an_evaluation_on_another_device_is_refused(ask_exported: Expkit, word: str) -> None:
    done = ask_exported("evaluate", "exported", word, "output_dir=measured")
    assert done.code == 2
    assert "its own runtime" in " ".join(done.err.split())
    assert not Path("measured").exists()


def test_beside_its_run_only_what_the_file_is_differs(ask_exported: Expkit) -> None:
    done = ask_exported("compare", "outputs/small", "exported", "--to", "compared")
    assert done.code == 0, done.err
    run, exported = (recall_digest(find_run(word)) for word in ("outputs/small", "exported"))
    ours = {k: v for k, v in exported.config.items() if run.config.get(k, "-") != v}
    kept = {k: v for k, v in ours.items() if k.partition(".")[0] not in ("name", "mirror")}
    assert kept == {"export.format": "onnx", "export.precision": "fp32", "export.batch": "dynamic"}
    lines = (Path("compared") / "compare.csv").read_text().splitlines()
    assert lines[0].startswith("label,runs,seeds,export.format,export.precision,export.batch,")
    assert lines[2].startswith("B,exported,0,onnx,fp32,")


def test_an_evaluation_differs_from_its_run_by_what_it_was_asked_alone(
    ask_exported: Expkit,
) -> None:
    """Not by each setting of a training that it has not: of the run, and of the exported file."""
    file = {"export.format": "onnx", "export.precision": "fp32", "export.batch": "dynamic"}
    for word, is_own in (("exported", file), ("outputs/small", {})):
        done = ask_exported("evaluate", word, "output_dir=measured", "--name", Path(word).name)
        assert done.code == 0, done.err
        (path,) = Path("measured").glob(f"2*_{Path(word).name}")
        run, evaluation = recall_digest(find_run("outputs/small")), recall_digest(Run(path))
        differing = differing_keys([settings_of(each.config) for each in (run, evaluation)])
        found = {key: evaluation.config[key] for key in differing}
        found.pop("dataset.cache_dir", None)  # whose cache is used is no matter of the data
        assert found == {
            "evaluates": str(find_run(word).path.resolve()),
            **is_own,
        }


def test_pages_and_findings_have_the_folders_name(ask_exported: Expkit) -> None:
    shown = ask_exported("show", "exported")
    assert shown.out.startswith("exported: finished")
    assert "model.onnx (onnx, fp32)" in shown.out
    assert "verified" in shown.out
    assert ask_exported("diagnose", "exported").out.startswith("exported (finished)")
    assert ask_exported("plot", "exported").code == 0
    assert Path("exported/records/report.md").read_text().startswith("# exported\n")
    assert ask_exported("report", "exported", "--to", "page").code == 0
    assert Path("page/README.md").exists()


def test_a_failed_verification_is_shown(ask_exported: Expkit) -> None:
    path = Path("exported/verification.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "passed": False}))
    assert "NOT GOOD" in ask_exported("show", "exported").out


@pytest.mark.parametrize(
    ("words", "advised"),
    [
        (("analyze", "exported"), "expkit analyze small"),
        (("calibrate", "exported"), "expkit calibrate small"),
        (("diagnose", "exported", "--try"), "expkit diagnose small --try"),
        (
            ("ensemble", "exported", "outputs/small"),
            "expkit export ENSEMBLE --to NEW_FOLDER",
        ),
        (("export", "exported", "--to", "again"), "expkit export small --to NEW_FOLDER"),
        (("resume", "exported"), "expkit resume small"),
        (("threshold", "exported", "--class", "cat", "--recall", "0.9"), "expkit threshold small"),
    ],
)
def test_what_only_the_run_can_do_is_refused_with_what_to_do(
    ask_exported: Expkit, words: tuple[str, ...], advised: str
) -> None:
    before = sorted(Path("exported").rglob("*"))
    done = ask_exported(*words)
    assert done.code == 2
    assert advised in done.err
    assert sorted(Path("exported").rglob("*")) == before


def test_latency_tells_what_is_known_of_a_file(ask_exported: Expkit) -> None:
    done = ask_exported("latency", "exported", "--seconds", "0.1")
    assert done.code == 0, done.err
    assert "parameters" not in done.out
    assert "MB on disk" in done.out


def test_latency_of_a_folder_that_cannot_be_written_stands_on_the_screen(
    ask_exported: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are not lost, and it is said that none are kept."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("expkit.commands.latency.make_inside", refuse)
    before = sorted(Path("exported").rglob("*"))
    done = ask_exported("latency", "exported", "--seconds", "0.1")
    assert done.code == 0, done.err
    assert "median" in done.out
    assert "exported/records' cannot be written: read-only file system" in done.err
    assert sorted(Path("exported").rglob("*")) == before


def test_a_moved_or_read_only_folder_is_the_same(ask_exported: Expkit) -> None:
    known = ask_exported("predict", "exported", "images/test").out
    Path("exported").rename("elsewhere")
    folders = [Path("elsewhere"), *(each for each in Path("elsewhere").rglob("*") if each.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert ask_exported("predict", "elsewhere", "images/test").out == known
        assert ask_exported("show", "elsewhere").code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_without_its_records_the_reason_is_said(ask_exported: Expkit) -> None:
    shutil.rmtree("exported/records")
    for words in (("predict", "exported", "images/test"), ("show", "exported")):
        done = ask_exported(*words)
        assert done.code == 2
        assert "without its records" in done.err


def test_in_the_output_folder_it_is_no_run_by_the_name_of_records(ask_exported: Expkit) -> None:
    """`last` is the last run, and tab completion has the folder's path."""
    Path("exported").rename("outputs/deployed")
    assert [path.name for path in list_runs(Path("outputs"))] == ["small"]
    assert find_run("last").name == "small"
    assert find_candidates("expkit predict outp") == ["outputs/deployed"]


def test_a_note_adds_no_page_to_the_exported_folder(ask_exported: Expkit) -> None:
    """A list of runs has no place among the files that were exported and verified."""
    before = {path.name for path in Path("exported").iterdir()}
    assert ask_exported("note", "exported", "good").code == 0
    assert ask_exported("tag", "exported", "+paper").code == 0
    assert {path.name for path in Path("exported").iterdir()} == before
