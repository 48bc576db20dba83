"""A stranger's exported folder: refused in one screen, with nothing unpickled, built or read."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper
from running_expkit import Done, Expkit

pytestmark = pytest.mark.usefixtures("undrawn")
PREDICT = ("predict", "exported", "images/test/cat/0.png")
ALL = (
    PREDICT,
    ("evaluate", "exported", "output_dir=measured"),
    ("latency", "exported", "--seconds", "0.1"),
)
MODEL, METADATA = Path("exported/model.onnx"), Path("exported/metadata.json")


def refused(done: Done, *said: str) -> None:
    """One screen, no traceback, no control character, and nothing left behind."""
    assert done.code == 2, done.out + done.err
    assert done.err.startswith("expkit: ")
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) < 15
    assert "\x1b" not in done.err + done.out
    assert not Path("measured").exists()
    flat = " ".join(done.err.split())
    for each in said:
        assert each in flat


def change(**values: object) -> None:
    METADATA.write_text(json.dumps({**json.loads(METADATA.read_text()), **values}))


def put(content: bytes, name: str = "model.onnx") -> None:
    """A model's file in the place of the exported one, with its digest in the metadata."""
    (METADATA.parent / name).write_bytes(content)
    change(files={name: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("words", ALL, ids=lambda words: words[0])
def test_a_file_that_was_changed_is_not_opened(
    ask_exported: Expkit, words: tuple[str, ...]
) -> None:
    MODEL.write_bytes(MODEL.read_bytes() + b"\0")
    refused(ask_exported(*words), "its digest differs", "expkit export small")


def as_link() -> None:
    MODEL.rename("elsewhere.onnx")
    MODEL.symlink_to("../elsewhere.onnx")


def as_pipe() -> None:
    MODEL.unlink()
    os.mkfifo(MODEL)


def as_hole() -> None:
    """17 GB of nothing, which would take a minute to digest."""
    os.truncate(MODEL, 17 * 10**9)


def records_as_link() -> None:
    Path("exported/records").rename("records")
    Path("exported/records").symlink_to("../records")


def metadata_as_pipe() -> None:
    METADATA.unlink()
    os.mkfifo(METADATA)


@pytest.mark.parametrize("spoil", [as_link, as_pipe, as_hole, records_as_link, metadata_as_pipe])
def test_what_is_no_file_of_the_folder_is_not_read(
    ask_exported: Expkit, spoil: Callable[[], None]
) -> None:
    spoil()
    refused(ask_exported(*PREDICT))


def test_a_missing_file_is_named(ask_exported: Expkit) -> None:
    MODEL.unlink()
    refused(ask_exported(*PREDICT), "lacks its model.onnx")


DEEP = '{"a":' * 10_000 + "1" + "}" * 10_000


@pytest.mark.parametrize("text", ["", "[]", "nothing", DEEP, '{"export_version": 1}'])
def test_metadata_that_are_none_are_refused(ask_exported: Expkit, text: str) -> None:
    METADATA.write_text(text)
    refused(ask_exported(*PREDICT), "metadata.json")
    refused(ask_exported("show", "exported"), "metadata.json")


DECODING = {"size": [16, 16], "crop_fraction": 0.875, "resize": "crop", "channels": 3}


def decoding(**values: object) -> Mapping[str, Any]:
    return {"preprocessing": {"decoding": {**DECODING, **values}}}


@pytest.mark.parametrize(
    "values",
    [
        {"export_version": 2},
        {"export_version": True},
        {"format": "pickle"},
        {"precision": 8},
        {"batch": 0},
        {"batch": -3},
        {"batch": "many"},
        {"batch": 10**12},
        {"files": {}},
        {"files": {"../outside.onnx": "0"}},
        {"files": {"model.onnx": "0", "../outside": "0"}},
        {"files": {"model.xml": "0"}},
        {"format": "openvino", "files": {"model.xml": "0"}},
        {"outputs": []},
        {"outputs": ["probabilities"]},
        {"outputs": ["logits", "logits", "probabilities", "prediction"]},
        {"outputs": ["logits", "probabilities", "prediction", "\x1b[2Jmore"]},
        {"outputs": "logits"},
        {"class_names": None},
        {"class_names": "cat"},
        {"target_names": ["x"]},
        {"temperature": "NaN"},
        {"temperature": 0},
        {"preprocessing": None},
        {"preprocessing": {}},
        decoding(size=None),
        decoding(size=[16]),
        decoding(size=[-16, 16]),
        decoding(size=[10**6, 10**6]),
        decoding(crop_fraction=1e-9),
        decoding(crop_fraction="x"),
        decoding(resize="stretch"),
        decoding(interpolation="__import__"),
        decoding(channels=4),
        {"config": {"procedure": {"../../x": None}}},
        {"config": "text"},
        {"run": ["a"]},
        {"class_names": ["cat", "dog", "\x1b[31mfox"]},
        {"class_names": ["dog", "cat"]},
        {"class_names": ["cat"]},
        decoding(size=[32, 32]),
    ],
    ids=str,
)
def test_metadata_without_sense_are_refused(
    ask_exported: Expkit, values: Mapping[str, Any]
) -> None:
    change(**values)
    refused(ask_exported(*PREDICT))


def test_text_from_strangers_does_not_reach_the_terminal_as_it_is(ask_exported: Expkit) -> None:
    change(run="\x1b]0;title\x07\nname", files={"model.onnx": "0"})
    refused(ask_exported(*PREDICT), "\\x1b]0;title")
    refused(ask_exported("calibrate", "exported"), "\\x1b]0;title")


def pickled(path: Path) -> bytes:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(path),)

    return pickle.dumps(Evil())


@pytest.mark.parametrize("words", ALL, ids=lambda words: words[0])
def test_nothing_is_unpickled_without_the_users_word(
    ask_exported: Expkit, words: tuple[str, ...], tmp_path: Path
) -> None:
    put(pickled(tmp_path / "taken"), "model.pt2")
    change(format="torch_export")
    refused(ask_exported(*words), "--trust torch_export")
    refused(ask_exported(*words, "--trust", "numpy"), "--trust torch_export")
    assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize("words", ALL, ids=lambda words: words[0])
def test_the_users_word_for_a_saved_graph_passes_the_other_checks(
    ask_exported: Expkit, words: tuple[str, ...]
) -> None:
    """It is no package: what is refused here is the file, which is no saved graph."""
    put(b"no zip", "model.pt2")
    change(format="torch_export")
    refused(
        ask_exported(*words, "--trust", "torch_export"), "model.pt2", "no model that can be run"
    )


def test_the_net_of_a_strangers_config_is_not_built(ask_exported: Expkit, tmp_path: Path) -> None:
    """Its code is neither asked for nor run: the file is the model."""
    path = Path("exported/records/config.yaml")
    config = yaml.safe_load(path.read_text())
    config["model"] = {"_target_": "os.mkdir", "path": str(tmp_path / "taken")}
    path.write_text(yaml.safe_dump(config))
    for words in ALL:
        done = ask_exported(*words)
        assert done.code == 0, done.err
    assert not (tmp_path / "taken").exists()


def graph(
    nodes: list[Any], outputs: list[Any], weights: list[Any] | None = None, domain: str = ""
) -> bytes:
    """An ONNX file that takes image bytes."""
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "h", "w", 3])
    made = helper.make_graph(nodes, "graph", [images], outputs, weights or [])
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    content: bytes = helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString()
    return content


def constant(name: str, value: np.ndarray[Any, Any]) -> Any:
    return helper.make_node(
        "Constant", [], [name], value=onnx.numpy_helper.from_array(value, f"{name}_value")
    )


def three_outputs(width: int, kind: Any = np.float32, **names: str) -> bytes:
    """Constant outputs of so many classes."""
    values = {
        "logits": np.zeros((1, width), kind),
        "probabilities": np.full((1, width), 1 / width, kind),
        "prediction": np.zeros(1, np.int64),
    }
    named = {names.get(name, name): value for name, value in values.items()}
    nodes = [constant(name, value) for name, value in named.items()]
    types = {np.dtype(np.int64): TensorProto.INT64, np.dtype(np.float32): TensorProto.FLOAT}
    outputs = [
        helper.make_tensor_value_info(name, types.get(value.dtype, TensorProto.DOUBLE), None)
        for name, value in named.items()
    ]
    return graph(nodes, outputs)


def external(location: str, size: int = 8) -> bytes:
    """A file whose logits lie in another file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 2], data_location=1)
    for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
        weight.external_data.add(key=key, value=value)
    node = helper.make_node("Identity", ["w"], ["logits"])
    rest = [constant("probabilities", np.full((1, 2), 0.5, np.float32))]
    rest.append(constant("prediction", np.zeros(1, np.int64)))
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 2]),
        helper.make_tensor_value_info("prediction", TensorProto.INT64, [1]),
    ]
    return graph([node, *rest], outputs, [weight])


def claimed() -> bytes:
    """Weights of 10 GB by their shape, of which there are 4 bytes."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2_500_000_000])
    weight.raw_data = b"1234"
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    return graph([helper.make_node("Identity", ["w"], ["logits"])], [output], [weight])


def with_custom_operation() -> bytes:
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    return graph(
        [helper.make_node("Run", ["images"], ["logits"], domain="stranger")], [output], None,
        "stranger",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no model that can be run"),
        (b"nothing", "no model that can be run"),
        (claimed(), "no model that can be run"),
        (with_custom_operation(), "stranger"),
        (three_outputs(3), "names 2 classes"),
        (three_outputs(2, np.float64, logits="other"), "no model that can be run"),
    ],
    ids=["empty", "text", "claimed", "custom", "width", "names"],
)
def test_a_file_that_is_not_the_model_it_claims_to_be_is_refused(
    ask_exported: Expkit, content: bytes, said: str
) -> None:
    put(content)
    refused(ask_exported(*PREDICT), said)


def test_a_file_of_the_right_outputs_is_taken(ask_exported: Expkit) -> None:
    """The counterpart: what is refused above is refused for what is named there."""
    put(three_outputs(2))
    assert ask_exported(*PREDICT).code == 0


@pytest.mark.parametrize("location", ["../outside.bin", "{here}/outside.bin", "link.bin"])
def test_weights_outside_of_the_folder_are_not_read(ask_exported: Expkit, location: str) -> None:
    Path("outside.bin").write_bytes(np.ones(2, np.float32).tobytes())
    Path("exported/link.bin").symlink_to("../outside.bin")
    put(external(location.format(here=Path.cwd())))
    refused(ask_exported(*PREDICT), "no model that can be run")


XML = """<?xml version="1.0"?>
<!DOCTYPE net [<!ENTITY leak SYSTEM "file://{here}/secret.txt">]>
<net name="&leak;" version="11"><layers/><edges/></net>"""


@pytest.mark.parametrize("text", [XML, "<net", "", "\x08\x07onnx"], ids=str)
def test_openvino_files_that_are_none_are_refused(ask_exported: Expkit, text: str) -> None:
    """One of them asks for another file by an entity, which is not looked up."""
    Path("secret.txt").write_text("a secret")
    content = text.replace("{here}", str(Path.cwd())).encode()
    Path("exported/model.xml").write_bytes(content)
    Path("exported/model.bin").write_bytes(b"")
    digests = {"model.xml": hashlib.sha256(content).hexdigest()}
    digests["model.bin"] = hashlib.sha256(b"").hexdigest()
    change(format="openvino", files=digests)
    done = ask_exported(*PREDICT)
    refused(done)
    assert "a secret" not in done.err
