"""`expkit export` as a user types it: the folder, its proof, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from exported_folders import export_quietly, exported_place
from running_expkit import Expkit

from expkit.models.runtimes import open_runtime
from expkit.records.run.checkpoint_digests import digest_of
from expkit.records.run.find_run import find_run
from expkit.records.run.kept_temperature import KeptTemperature, RecordedChange, keep_temperature

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def place(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of the made folder as working directory."""
    made = exported_place(tmp_path_factory)
    shutil.copytree(made, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def test_the_file_is_proved_on_held_out_samples_at_three_batch_sizes(place: Path) -> None:
    proof = json.loads((place / "exported/verification.json").read_text())
    assert proof["passed"]
    assert (proof["split"], proof["is_held_out"], proof["num_samples"]) == ("test", True, 24)
    assert {size: each["num_equal"] for size, each in proof["batch_sizes"].items()} == {
        "1": 24,
        "2": 24,
        "7": 24,
    }
    assert proof["largest_difference"] < 1e-5
    assert proof["accuracy"]["run"] == proof["accuracy"]["exported"]
    assert (proof["accuracy"]["only_run"], proof["accuracy"]["only_exported"]) == (0, 0)


def test_the_metadata_say_how_to_use_the_file_and_what_it_is_of(place: Path) -> None:
    record = json.loads((place / "exported/metadata.json").read_text())
    assert record["outputs"] == ["logits", "probabilities", "prediction"]
    assert record["class_names"] == ["cat", "dog"]
    assert record["input"]["shape"] == ["batch", "height", "width", 3]
    assert record["preprocessing"]["decoding"]["size"] == [16, 16]
    assert record["measured"]["split"] == "test"
    measured = record["measured"]
    assert measured["metrics"]["accuracy"]["interval"]
    for levels in measured["baselines"].values():  # no top 5 of two classes
        assert "accuracy" in levels
        assert levels.keys() <= measured["metrics"].keys()
    fingerprints = find_run("outputs/small").dataset.splits
    assert record["data"]["fingerprints"] == {n: s.fingerprint for n, s in fingerprints.items()}


def test_the_file_predicts_files_of_any_size_as_the_run_does(place: Path) -> None:
    """Ten images of ten sizes, decoded at their own size: the graph resizes as Pillow does."""
    from PIL import Image

    from expkit.runner.inference import predict_files
    from expkit.runner.restoring import restore

    run = find_run("outputs/small")
    files = sorted((place / "images/test").rglob("*.png"))[:10]
    expected = predict_files(restore(run), files, 4)
    ask = open_runtime("onnx", place / "exported/model.onnx", ("probabilities", "prediction"))
    for file, known in zip(files, expected, strict=True):
        given = ask(np.asarray(Image.open(file))[None])
        assert known.outputs is not None
        assert np.abs(given["probabilities"][0] - known.outputs).max() < 1e-5
        assert given["prediction"][0] == known.outputs.argmax()


def test_evaluating_the_exported_folder_gives_the_runs_own_figures(
    place: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    done = run_here("evaluate", "exported", "output_dir=again")
    assert done.code == 0, done.err
    (again,) = Path("again").glob("2*")
    theirs = find_run("outputs/small").summary
    ours = find_run(str(again)).summary
    assert ours is not None
    assert theirs is not None
    assert ours["metrics"]["test"]["accuracy"] == theirs["metrics"]["test"]["accuracy"]
    assert ours["metrics"]["train"]["accuracy"] == theirs["metrics"]["train"]["accuracy"]


def test_a_changed_file_is_refused(place: Path, run_here: Expkit) -> None:
    """One flipped bit of a weight, and nothing is predicted."""
    file = place / "exported/model.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    done = run_here("predict", str(place / "exported"), str(place / "images/test/cat/0.png"))
    assert done.code == 2
    assert "digest" in done.err


def test_less_agreement_than_required_is_not_good(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that predicts something else leaves exit code 1, and a proof that says so."""
    from expkit.models.exported import ExportedModel

    plain = ExportedModel.forward
    monkeypatch.setattr(ExportedModel, "forward", lambda self, x: plain(self, x).flip(1))
    said = export_quietly("outputs/small", "--to", "other", code=1)
    assert "NOT GOOD: 0 of 24" in said
    assert not json.loads((place / "other/verification.json").read_text())["passed"]


@pytest.mark.slow
def test_a_search_for_the_layer_that_fails_loses_neither_proof_nor_file(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expkit.export import export_run
    from expkit.models.exported import ExportedModel

    def fail(*_: object) -> None:
        raise RuntimeError("no kernel in /home/olga/x/lib.so\nand more")

    plain = ExportedModel.forward
    monkeypatch.setattr(ExportedModel, "forward", lambda self, x: plain(self, x).flip(1))
    monkeypatch.setattr(export_run, "compare_resize", fail)
    said = export_quietly("outputs/small", "--to", "other", code=1)
    assert "was not found: RuntimeError: no kernel in PATH/lib.so\n" in said
    proof = json.loads((place / "other/verification.json").read_text())
    assert not proof["passed"]
    assert proof["not_compared"] == "RuntimeError: no kernel in PATH/lib.so"
    assert (place / "other/README.md").exists()


@pytest.mark.slow
def test_a_temperature_that_was_forced_is_told_where_it_is_used(
    place: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the screen, in the metadata and on the card: it was not confirmed."""
    monkeypatch.chdir(place)
    run = find_run("outputs/small")
    worse = RecordedChange(before=0.5, after=0.6, interval=(-0.1, 0.3))
    sha256 = digest_of(run.weights)
    keep_temperature(
        KeptTemperature(1.5, sha256, "val", 0, 8, 8, worse, worse, 0.75, helps=False), run.path
    )
    done = run_here("export", "outputs/small", "--to", "new")
    assert done.code == 0, done.err
    assert "--force" in done.out
    metadata = json.loads(Path("new/metadata.json").read_text())
    assert metadata["temperature"] == 1.5
    assert metadata["calibration"]["helps"] is False
    assert "**It is not confirmed**" in Path("new/README.md").read_text()


@pytest.mark.slow
def test_a_fixed_number_of_images_is_filled_up(place: Path) -> None:
    """24 samples at 5 at once: the last batch has four, and is predicted as the others are."""
    export_quietly("outputs/small", "--to", "fixed", "--batch", "5")
    proof = json.loads((place / "fixed/verification.json").read_text())
    assert proof["batch_sizes"]["5"]["num_equal"] == 24
    ask = open_runtime("onnx", place / "fixed/model.onnx", ("prediction",))
    assert ask(np.zeros((5, 30, 20, 3), np.uint8))["prediction"].shape == (5,)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["openvino", "torch_export"])
def test_the_other_formats_agree_too(
    place: Path, file_format: str, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    export_quietly("outputs/small", "--to", file_format, "--format", file_format)
    proof = json.loads((place / file_format / "verification.json").read_text())
    assert proof["passed"]
    assert proof["largest_difference"] < 1e-5
    words = ["evaluate", str(place / file_format), "output_dir=again"]
    if file_format == "torch_export":
        refused = run_here(*words)
        assert refused.code == 2
        words += ["--trust", "torch_export"]  # as it advises
        assert "--trust torch_export" in refused.err
    assert run_here(*words).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "openvino"])
def test_a_file_in_8_bits_says_what_that_costs_and_gains(place: Path, file_format: str) -> None:
    """Its own proof beside the run's and fp32's, and the layers that `--keep-float` named."""
    words = ("--precision", "int8", "--format", file_format, "--agreement", "0.9")
    said = export_quietly("outputs/small", "--to", "int8", "--keep-float", "*head*", *words)
    proof = json.loads((place / "int8/verification.json").read_text())
    made = proof["quantization"]
    assert (made["calibrated_on"], made["set_aside"]) == (8, 8)  # of the 16 training images
    assert len(made["kept_in_float"]) == 1
    assert made["kept_in_float"][0] in said
    beside = made["beside_fp32"]
    assert beside["accuracy"]["run"] == proof["accuracy"]["run"]
    assert beside["latency_ms"] > 0
    assert find_run("int8").summary is not None
    record = json.loads((place / "int8/metadata.json").read_text())
    assert record["quantization"]["kept_in_float"] == made["kept_in_float"]
    names = {"onnx": {"model.onnx"}, "openvino": {"model.xml", "model.bin"}}
    assert names[file_format] <= set(record["files"])


@pytest.mark.slow
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(
    place: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words = ("--precision", "int8", "--keep-float", "layer9.*")
    done = run_here("export", "outputs/small", "--to", "int8", *words)
    assert done.code == 2
    assert "layer9.*" in done.err
    assert not Path("int8").exists()


def test_a_folder_that_is_there_is_refused_before_torch(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, run_without_torch: Expkit
) -> None:
    made = exported_place(tmp_path_factory)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    done = run_without_torch("export", str(made / "outputs/small"), "--to", "full")
    assert done.code == 2
    assert "full_2" in done.err
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "tflite"), "onnx"),
        (("--format", "torch_export", "--precision", "int8"), "--format onnx --precision int8"),
        (("--keep-float", "none"), "--precision int8"),
        (("--batch", "none"), "dynamic"),
        (("--batch", "1000000000"), "from 1 to 4,096"),
        (("--agreement", "2"), "0 to 1"),
    ],
)
def test_what_cannot_be_written_is_refused_before_torch(
    words: tuple[str, ...],
    said: str,
    tmp_path_factory: pytest.TempPathFactory,
    run_without_torch: Expkit,
    tmp_path: Path,
) -> None:
    made = exported_place(tmp_path_factory)
    done = run_without_torch("export", str(made / "outputs/small"), "--to", "new", *words)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "new").exists()


def test_a_missing_extra_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from expkit.errors import UserError
    from expkit.models import runtimes

    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError) as caught:
        runtimes.refuse_missing("openvino")
    assert "pip install 'expkit[openvino]'" in caught.value.screen()


def test_a_scheduler_s_signal_leaves_no_half_made_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM comes while the model's file is being written."""
    from expkit.commands import export
    from expkit.export import export_run

    def be_ended(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def fail(*_: object) -> None:
        pytest.fail("SIGTERM was not taken for Ctrl-C")

    before = sorted(place.iterdir())
    monkeypatch.setattr(export_run, "export_model", be_ended)
    previous = signal.signal(signal.SIGTERM, fail)
    try:
        with pytest.raises(KeyboardInterrupt):
            export.main(["outputs/small", "--to", "new/model"])
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert sorted(each for each in place.iterdir() if each.name != "new") == before
    assert not list((place / "new").iterdir())
