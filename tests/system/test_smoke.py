"""expkit smoke: many models' gates in one command, whatever becomes of one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from running_expkit import TINY_GATES, Expkit, expkit_command

from expkit.errors import UserError
from expkit.sweeps.smoke import choose_subjects, list_own_experiments

# a net that learns, one cut off from its weights, one that no memory is left for, and one that
# raises; a fifth learns for as long as nobody stops it
MODELS = """\
import os
import signal
import time

from torch import nn


class Net(nn.Module):
    def __init__(self, *, image_shape, num_outputs):
        super().__init__()
        channels, height, width = image_shape
        self.layer = nn.Linear(channels * height * width, num_outputs)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Detached(Net):
    def forward(self, images):
        return super().forward(images).detach() + 0 * self.layer.bias


class Killed(Net):
    def forward(self, images):
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(Net):
    def __init__(self, **sizes):
        super().__init__(**sizes)
        raise RuntimeError("out of <ideas>")


class Slow(Net):
    def forward(self, images):
        time.sleep(0.2)
        return super().forward(images).detach() + 0 * self.layer.bias
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A project with these models, each chosen by its name in small letters."""
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "nets.py").write_text(MODELS)
    for name in ("Net", "Detached", "Killed", "Broken", "Slow"):
        (tmp_path / f"conf/model/{name.lower()}.yaml").write_text(
            f"# {name}\n_target_: nets.{name}\n_partial_: true\n"
        )
    return tmp_path


@pytest.mark.slow
def test_each_failure_is_a_line_and_ends_nothing_else(models: Path, expkit: Expkit) -> None:
    """One passes, and three fail in ways of their own; XML and Markdown say the same."""
    done = expkit(
        *("smoke", "model=net,detached,killed,broken", "--jobs", "2", "--junit", "smoke.xml"),
        *TINY_GATES,
        "procedure.overfit_1.max_steps=50",
        GITHUB_STEP_SUMMARY=str(models / "summary.md"),
    )
    assert done.code == 1, done.out + done.err
    lines = {
        line.split()[1]: line for line in done.out.splitlines() if line[:4] in ("ok  ", "FAIL")
    }
    assert {name: line.split()[0] for name, line in lines.items()} == {
        "net": "ok",
        "detached": "FAIL",
        "killed": "FAIL",
        "broken": "FAIL",
    }
    assert "overfit_1: 1 sample not learnt in 50 steps" in lines["detached"]
    assert "killed: by signal 9" in lines["killed"]
    assert "out of <ideas>" in done.out
    assert "next" in done.out, "a finding proposes what to try"
    root = ET.parse(models / "smoke.xml").getroot()
    assert [root.get(key) for key in ("tests", "failures", "errors")] == ["8", "1", "2"]
    assert [suite.get("name") for suite in root] == ["net", "detached", "killed", "broken"]
    page = (models / "summary.md").read_text()
    assert "1 of 4 passed every gate" in page
    (folder,) = (models / "outputs").iterdir()
    assert folder.name.endswith("_smoke"), "what failed can be looked at"
    assert str(folder.relative_to(models)) in done.out


@pytest.mark.slow
def test_nothing_is_left_of_one_that_passed(models: Path, expkit: Expkit) -> None:
    """Unless the user wants to keep the runs, which have no plots then."""
    words = ("smoke", "model=net", *TINY_GATES)
    done = expkit(*words)
    assert done.code == 0, done.out + done.err
    assert list((models / "outputs").iterdir()) == []
    assert expkit(*words, "--keep").code == 0
    (run,) = models.glob("outputs/*_smoke/2*")
    assert (run / "summary.json").exists()
    assert not list(run.glob("plots/*"))


@pytest.mark.slow
def test_ctrl_c_ends_every_process(models: Path) -> None:
    """With exit code 130, and no folder is left of what was not judged."""
    process = subprocess.Popen(
        expkit_command(["smoke", "model=slow", *TINY_GATES]),
        cwd=models,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 90
    while not list(models.glob("outputs/*_smoke/2*/history.jsonl")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    (events,) = models.glob("outputs/*_smoke/jobs/*.jsonl")
    pids = {json.loads(line)["pid"] for line in events.read_text().splitlines()}
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert list((models / "outputs").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model=simple_con",), "simple_conv"),
        (("resnet18",), "expkit smoke model=resnet18"),
        (("--all", "model=resnet18"), "leave one of the two out"),
        (("--jobs", "0"), "from 1 to"),
        (("--junit", "no/such/folder/x.xml"), "cannot be written"),
        (("--junit", "."), "it is a folder"),
        (("launcher=stacked",), "runs on this machine"),
        (("procedure.train.max_epochs=3",), "procedure"),
        (("--everything",), "expkit smoke --help"),
    ],
)
def test_wrong_requests_are_refused(
    tmp_path: Path, run_here: Expkit, words: tuple[str, ...], said: str
) -> None:
    """With exit code 2, and nothing is left."""
    done = run_here("smoke", *words)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not list(tmp_path.glob("outputs/*"))


def test_own_experiments_are_what_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of this folder's conf/, not those that come with expkit; a name takes their place."""
    monkeypatch.chdir(tmp_path)
    assert list_own_experiments() == []
    assert choose_subjects([], every_model=False) == []
    (tmp_path / "conf/experiment").mkdir(parents=True)
    for name in ("first", "second"):
        (tmp_path / f"conf/experiment/{name}.yaml").write_text("# @package _global_\n")
    assert choose_subjects(["seed=1"], every_model=False) == ["experiment=first,second"]
    assert choose_subjects(["model=resnet18"], every_model=False) == []
    with pytest.raises(UserError):
        choose_subjects(["model=resnet18"], every_model=True)


def test_all_are_the_models_that_need_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timm` alone does: it wants the name of one."""
    monkeypatch.chdir(tmp_path)
    (word,) = choose_subjects([], every_model=True)
    names = word.removeprefix("model=").split(",")
    assert {"simple_conv", "resnet18", "vit_scanline", "dinov2_vits14"} <= set(names)
    assert "timm" not in names


def test_a_recipe_with_other_stages_takes_another_procedure(
    tmp_path: Path, run_here: Expkit
) -> None:
    """What it says of `train` has no use in `overfit`; what the user says of it is refused."""
    words = (
        "train",
        "experiment=puzzle_larger_backbone_quick",
        "procedure=overfit",
        "--cfg",
        "job",
    )
    assert run_here(*words).code == 0
    done = run_here(*words[:-2], *TINY_GATES, "plots.draw=false")
    assert done.code == 0, done.out + done.err
    (run,) = tmp_path.glob("outputs/2*")
    assert not list(run.glob("plots/*")), "and it has no plots, as it was asked"
    done = run_here(*words[:-2], "procedure.train.max_epochs=3")
    assert (done.code, "procedure.train" in done.err) == (2, True)
