"""A user's own code is that of the working directory, and nothing in or beside a run."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from expkit.config import user_code
from expkit.config.instantiate import build_part
from expkit.config.paths import conf_folders, conf_left_out
from expkit.config.user_code import (
    FINDER,
    hash_own_code,
    is_own,
    let_in,
    own_folder,
    why_not_own,
)
from expkit.errors import UserError


def make_run(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("{}\n")
    (path / "dataset.json").write_text("{}\n")
    return path


def make_module(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    module = folder / "mine.py"
    module.write_text("class Net: ...\n")
    return module


def test_the_working_directory_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules there and below it are one's own, also beside an outputs/ that holds runs."""
    make_run(tmp_path / "outputs/one")
    monkeypatch.chdir(tmp_path)
    assert own_folder() == tmp_path
    assert is_own(make_module(tmp_path))
    assert is_own(make_module(tmp_path / "package"))
    (tmp_path / "conf").mkdir()
    assert conf_folders()[0] == tmp_path / "conf"
    assert conf_left_out() is None


@pytest.mark.parametrize(
    ("here", "module"),
    [
        ("outputs/one", "outputs/one"),  # in the gift
        ("outputs/one/deep", "outputs/one/deep"),
        ("outputs", "outputs"),  # beside it
        (".", "outputs"),
        (".", "outputs/one"),
        (".", "outputs/one/code"),
        (".", "outputs/other"),  # below a folder that holds runs
        ("..", "project/code"),  # in a folder that has runs further down
        (".", "../elsewhere"),
    ],
)
def test_nothing_in_or_beside_a_run_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, module: str
) -> None:
    """A folder that holds runs may be a stranger's, and so is what lies in it."""
    project = tmp_path / "project"
    make_run(project / "outputs/one")
    (project / here).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(project / here)
    assert not is_own(make_module(project / module).resolve())


def test_a_link_into_a_run_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the folder of the link holds; also a run that is called as an environment is."""
    for name in ("one", "site-packages"):
        make_run(tmp_path / "runs" / name)
    module = make_module(tmp_path / "runs/one").resolve()
    (tmp_path / "mine").mkdir()
    link = tmp_path / "mine" / "link.py"
    link.symlink_to(module)
    monkeypatch.chdir(tmp_path / "mine")
    assert not is_own(link)
    beside = make_module(tmp_path / "hidden").resolve()
    make_run(tmp_path / "hidden" / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert not is_own(beside)


def test_own_code_lets_in_no_module_that_lies_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Own code may ask for an optional package, of which a folder of runs may have the name."""
    asks = "try:\n    import gift_of_runs\nexcept ImportError:\n    pass\n"
    (tmp_path / "asks_for_more.py").write_text(asks)
    (tmp_path / "gift_of_runs").mkdir()
    (tmp_path / "gift_of_runs" / "__init__.py").write_text("")
    monkeypatch.chdir(tmp_path)
    let_in(["asks_for_more.Net"])
    assert find_spec("gift_of_runs") is not None
    FINDER.folders.clear()
    make_run(tmp_path / "gift_of_runs" / "one")
    let_in(["asks_for_more.Net"])
    assert find_spec("asks_for_more") is not None
    assert find_spec("gift_of_runs") is None


def test_a_sweep_is_a_folder_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its conf/ is left out, and a refusal can say why."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "sweep.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert own_folder() is None
    assert len(conf_folders()) == 1
    assert "not read" in str(conf_left_out())


@pytest.mark.slow
def test_only_what_a_config_names_is_imported_from_the_working_directory(tmp_path: Path) -> None:
    """A model's own module is found, with one that it imports; torch's optional ones are not."""
    (tmp_path / "my_nets.py").write_text("import my_layers\nclass Net: ...\n")
    (tmp_path / "my_layers.py").write_text("import my_more\n")
    (tmp_path / "my_more.py").write_text("")
    for name in ("dill", "opt_einsum", "stranger"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('imported')\n")
    code = textwrap.dedent("""
        import importlib, sys
        from expkit.config.instantiate import build_part
        build_part({"_target_": "my_nets.Net"}, "model")
        assert {"my_nets", "my_layers", "my_more"} <= set(sys.modules)
        import torch.utils.data
        for name in ("dill", "stranger"):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            raise SystemExit(f"{name} was found")
    """)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_checking_adds_no_folder_to_the_import_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a run must not make the folder that one stands in importable."""
    from expkit.config.compose import prepare_hydra

    monkeypatch.chdir(tmp_path)
    (tmp_path / f"lone_{tmp_path.name}.py").write_text("")
    before = list(sys.path)
    prepare_hydra()
    assert sys.path == before
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"lone_{tmp_path.name}")


def test_own_code_is_told_apart_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the modules that a config names and of all that these import; nothing else counts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net_to_hash.py").write_text("import layers_to_hash, json\n")
    (tmp_path / "layers_to_hash").mkdir()
    (tmp_path / "layers_to_hash" / "__init__.py").write_text("from . import inner\n")
    (tmp_path / "layers_to_hash" / "inner.py").write_text("SIZE = 1\n")
    (tmp_path / "other_to_hash.py").write_text("")
    config = {"model": {"_target_": "net_to_hash.Net"}, "loss": {"_target_": "torch.nn.MSELoss"}}
    first = hash_own_code(config)
    assert first == hash_own_code(config) != hash_own_code({})
    (tmp_path / "other_to_hash.py").write_text("changed = True\n")
    assert hash_own_code(config) == first
    (tmp_path / "layers_to_hash" / "inner.py").write_text("SIZE = 2\n")
    assert hash_own_code(config) != first


def test_a_module_that_is_named_at_run_time_is_found_once_an_import_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen says so, and what it says works, wherever the import stands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hidden_part.py").write_text("VALUE = 7\n")
    code = (
        "import importlib\n\n"
        "def make():\n"
        "    return [importlib.import_module('hidden_' + 'part').VALUE]\n"
    )
    (tmp_path / "dynamic_part.py").write_text(code)
    with pytest.raises(UserError, match="No module named 'hidden_part'") as refused:
        build_part({"_target_": "dynamic_part.make"}, "model")
    advice = str(refused.value.details["do"])
    assert "`import hidden_part`" in advice
    told = advice.split("`")[1]
    (tmp_path / "static_part.py").write_text(f"{code}\nif False:\n    {told}\n")
    assert build_part({"_target_": "static_part.make"}, "model") == [7]


def test_code_among_more_folders_than_are_looked_through_is_told_which_to_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was said to lie beside a run, which nobody finds; once they are moved it is one's own."""
    monkeypatch.setattr(user_code, "MAX_FOLDERS", 20)
    module = tmp_path / "mine" / "nets.py"
    for number in range(30):
        (tmp_path / "mine" / "images" / str(number)).mkdir(parents=True)
    (tmp_path / "mine" / "few").mkdir()
    module.touch()
    monkeypatch.chdir(tmp_path)
    assert not is_own(module)
    said = str(why_not_own(module))
    assert "mine/, of whose over 20 folders not all are looked through for runs" in said
    assert "move mine/images out of mine/" in said
    (tmp_path / "mine" / "images").rename(tmp_path / "images")
    assert is_own(module)
    assert why_not_own(module) is None
