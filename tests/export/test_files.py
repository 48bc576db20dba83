"""What the written files hold, and what becomes of a disk's errors."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from small_graphs import make_graph, make_net
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.export import export_run, files
from expkit.export.files import refuse_full_disk, trace, write_onnx, write_torch_export

pytestmark = pytest.mark.filterwarnings("ignore")  # of exporters, on their own libraries


def test_no_path_of_this_machine_and_no_line_of_code_is_left_in_a_file(tmp_path: Path) -> None:
    """A tracer notes the Python file and line of each operation, here of torch and expkit."""
    graph = make_graph(make_net())
    program = trace(graph, 3, None)
    write_onnx(program, graph, "{}", tmp_path / "model.onnx")
    write_torch_export(program, "{}", tmp_path / "model.pt2")
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        in_archive = b"".join(map(archive.read, archive.namelist()))
    for content in ((tmp_path / "model.onnx").read_bytes(), in_archive):
        assert b".py" not in content
        assert b"stack_trace" not in content


def test_a_full_disk_is_not_taken_for_an_operation_that_the_format_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_nothing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_run, "trace", lambda *_: None)
    monkeypatch.setattr(export_run, "write_onnx", write_nothing)
    dataset = SimpleNamespace(image_shape=(3, 8, 8))
    restored = cast("Any", SimpleNamespace(run=SimpleNamespace(dataset=dataset)))
    options = export_run.Options("onnx", "fp32", None, 0.999)
    with pytest.raises(OSError, match="No space left"):
        export_run._write(cast("Any", None), restored, options, "{}", tmp_path / "model.onnx")


class Branching(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        sums = images.sum((2, 3))
        return sums * 2 if sums.sum() > 0 else sums


def test_a_model_that_branches_on_values_is_told_so_and_not_to_try_other_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No format can be written of it, and the recorder's dump of the graph is for nobody."""
    dataset = SimpleNamespace(image_shape=(3, 8, 8))
    restored = cast("Any", SimpleNamespace(run=SimpleNamespace(dataset=dataset)))
    options = export_run.Options("onnx", "fp32", None, 0.999)
    with pytest.raises(UserError) as caught:
        export_run._write(make_graph(Branching()), restored, options, "{}", tmp_path / "model.onnx")
    assert "torch.where" in str(caught.value.details["do"])
    assert "--format" not in str(caught.value.details["do"])
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


def test_a_full_disk_is_the_systems_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO says no more than `iostream error`, and torch's writer would end the process."""

    def be_full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    refuse_full_disk(tmp_path)  # which is not full
    monkeypatch.setattr(files.tempfile, "TemporaryFile", be_full)
    model = MagicMock(inputs=[MagicMock()], outputs=[], output_names=[])
    monkeypatch.setitem(sys.modules, "openvino", MagicMock())
    sys.modules["openvino"].save_model.side_effect = RuntimeError("iostream error")
    with pytest.raises(OSError, match="No space left"):
        files._save_openvino(model, model, "", tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())
