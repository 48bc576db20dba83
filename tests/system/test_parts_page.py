"""docs/parts.md: every example on the page is taken from it, and runs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from running_expkit import Expkit, only_run

from expkit.config.user_code import hash_own_code

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "parts.md"
FEW = ("procedure.train.max_epochs=2", "procedure.overfit_1.max_steps=300", "criteria=none")
TOLD = {"model", "dataset", "loss", "optimizer", "schedule", "augment", "device", "procedure"}


def examples() -> Iterator[tuple[str, str]]:
    """Each fenced block with the path that its first line names."""
    for block in re.findall(r"^```\w+\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S):
        path, _, content = block.partition("\n")
        yield path.removeprefix("# "), content


def commands() -> list[list[str]]:
    lines = re.findall(r"^    expkit train ?(.*)$", PAGE.read_text("utf-8"), re.M)
    return [shlex.split(line) for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project as the page has it."""
    for path, content in examples():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    return tmp_path


def test_every_part_of_the_page_runs(project: Path, run_here: Expkit) -> None:
    """All in one training: what is built is the page's, its gate passes, its rule finds."""
    words = {word.partition("=")[0]: word for command in commands() for word in command}
    assert words.keys() >= TOLD
    done = run_here("train", *words.values(), *FEW)
    run = only_run(project)
    config = yaml.safe_load((run / "config.yaml").read_text())
    named = {key: config[key]["_target_"] for key in ("model", "loss", "optimizer", "schedule")}
    assert named == {
        "model": "my_net.Net",
        "loss": "my_loss.SoftMargin",
        "optimizer": "my_optimizer.SignDescent",
        "schedule": "my_schedule.Root",
    }
    assert done.code == 0, done.out + done.err
    environment = json.loads((run / "environment.json").read_text())
    assert environment["own_code"] == hash_own_code(config), "sweep.reuse goes by it"
    metadata = json.loads((run / "dataset.json").read_text())
    assert metadata["class_names"] == ["horizontal", "vertical"]
    assert [split["num_samples"] for split in metadata["splits"].values()] == [36, 12, 12]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["stages"][0]["stage"] == "size_limit"
    assert all(stage["passed"] for stage in summary["stages"])
    assert "few_images" in {finding["rule"] for finding in summary["findings"]}


def test_what_needs_a_yaml_alone_runs_too(project: Path, run_here: Expkit) -> None:
    """A scheduler and a loss of torch, and a Dataset without the settings of `own`."""
    (project / "my_data.py").rename(project / "bare_data.py")  # this process has imported my_data
    (project / "conf/dataset/bare.yaml").write_text("_target_: bare_data.Stripes\ncount: 40\n")
    (project / "conf/loss/margin.yaml").write_text("_target_: torch.nn.MultiMarginLoss\n")
    words = ("dataset=bare", "loss=margin", "schedule=exponential", "optimizer.lr=0.01")
    done = run_here("train", *words, "device=mine", "procedure=full", *FEW[::2])
    assert done.code == 0, done.out + done.err
    lines = (only_run(project) / "history.jsonl").read_text().splitlines()
    history = [json.loads(line) for line in lines]
    assert [round(record["lr"], 6) for record in history] == [0.01, 0.009]
