"""A new project: what is written, what is refused, and that nothing is left half-made."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running_expkit import Expkit, only_run

from expkit.projects import create
from expkit.projects.create import create_project, package_name, read_template


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_project_has_its_own_name_everywhere(tmp_path: Path) -> None:
    """No word of the template's name is left, in no file and no path."""
    create_project(tmp_path / "logo-net")
    files = tree(tmp_path / "logo-net")
    assert files >= {
        *("pyproject.toml", "README.md", ".gitignore", ".github/workflows/ci.yml"),
        *("logo_net/__init__.py", "logo_net/model.py", "logo_net/data.py"),
        *("conf/model/small_resnet.yaml", "conf/dataset/shapes.yaml"),
        *("conf/experiment/baseline.yaml", "tests/test_model.py", "tests/test_data.py"),
    }
    texts = {name: (tmp_path / "logo-net" / name).read_text() for name in files}
    assert not [
        name for name, text in texts.items() if "my_project" in text or "my-project" in text
    ]
    assert not [name for name in files if "my_project" in name]
    assert 'name = "logo-net"' in texts["pyproject.toml"]
    model = yaml.safe_load(texts["conf/model/small_resnet.yaml"])
    assert model["_target_"] == "logo_net.model.SmallResNet"


def test_every_file_of_a_project_can_be_read_as_what_it_is() -> None:
    """Python parses, YAML loads, and the workflow calls `expkit smoke`."""
    files = read_template("birds")
    for path, text in files.items():
        if path.suffix == ".py":
            ast.parse(text)
        if path.suffix in (".yaml", ".yml"):
            assert isinstance(yaml.safe_load(text), dict)
    (workflow,) = (text for path, text in files.items() if path.suffix == ".yml")
    steps = yaml.safe_load(workflow)["jobs"]["checks"]["steps"]
    assert any("expkit smoke --junit" in step.get("run", "") for step in steps)


@pytest.mark.parametrize("name", ["birds", "a" * 30])
def test_a_project_is_formatted_and_lint_is_clean(tmp_path: Path, name: str) -> None:
    """By its own settings, also under a name so long that lines break elsewhere."""
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    create_project(tmp_path / name)
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *words, "--no-cache", "."], cwd=tmp_path / name, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode()


@pytest.mark.slow
def test_the_tests_of_a_project_pass(tmp_path: Path) -> None:
    """As a user calls them, in the project's folder."""
    create_project(tmp_path / "birds")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "birds",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout


@pytest.mark.slow
def test_a_project_trains_at_once(
    tmp_path: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own model on its own data meets its criterion, on images that it never saw."""
    assert run_here("init", "herbarium").code == 0
    monkeypatch.chdir(tmp_path / "herbarium")
    done = run_here("train", "experiment=baseline", "device.threads=1")
    assert done.code == 0, done.out + done.err
    config = yaml.safe_load((only_run(tmp_path / "herbarium") / "config.yaml").read_text())
    assert config["model"]["_target_"] == "herbarium.model.SmallResNet"
    assert config["dataset"]["train"]["_target_"] == "herbarium.data.Shapes"
    assert config["criteria"] == {"accuracy": "> 0.95"}
    assert "verdict  MET" in done.out


def test_an_empty_folder_is_filled(tmp_path: Path, run_here: Expkit) -> None:
    """Without a name it is this one, in which a repository may have been begun."""
    here = tmp_path / "moths"
    (here / ".git").mkdir(parents=True)
    os.chdir(here)
    done = run_here("init")
    assert done.code == 0, done.err
    assert "cd " not in done.out
    assert (here / "moths/model.py").exists()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Birds", "birds"),
        ("2birds", "birds"),
        ("my birds", "my-birds"),
        ("class", "my-class"),
        ("torch", "my-torch"),
        ("expkit", "my-expkit"),
        ("json", "my-json"),
        ("tests", "my-tests"),
        ("é", None),
        ("b" * 31, "b" * 30),
        ("a.b", "a-b"),
        ("x;y", "x-y"),
    ],
)
def test_odd_names_are_refused(
    tmp_path: Path, run_here: Expkit, name: str, nearest: str | None
) -> None:
    """With a name beside them that is allowed, and nothing is made."""
    done = run_here("init", name)
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []
    if nearest:
        assert f"expkit init {nearest}" in done.err
        assert package_name(Path(nearest)) == nearest.replace("-", "_")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, run_here: Expkit) -> None:
    """A file, a folder that holds something, and a link that leads nowhere."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        assert run_here("init", name).code == 2
    assert tree(tmp_path / "full") == {"thesis.tex"}
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_a_failure_leaves_nothing_half_made(
    tmp_path: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """A disk that is full at the sixth file: no folder is left, or an empty one as it was."""
    written: list[Path] = []

    def write(path: Path, data: bytes) -> None:
        if len(written) == 5:
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(data)
        written.append(path)

    monkeypatch.setattr(create, "write_aside", write)
    if is_there:
        (tmp_path / "birds").mkdir()
    done = run_here("init", "birds")
    assert (done.code, "No space left" in done.err) == (2, True)
    assert [path.name for path in tmp_path.rglob("*")] == (["birds"] if is_there else [])


def test_the_page_on_ci_shows_the_workflow_that_a_project_gets() -> None:
    """Whoever copies it from the page has the same."""
    page = (Path(__file__).parents[2] / "docs/ci.md").read_text("utf-8")
    (workflow,) = (text for path, text in read_template("birds").items() if path.suffix == ".yml")
    assert f"```yaml\n{workflow}```" in page
