"""Whose code a config may name: by its words, and by what they have led to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf
from refused_parts import refusal

import expkit
from expkit.config.instantiate import build_part
from expkit.config.paths import builtin_conf
from expkit.config.schema import Config
from expkit.config.targets.check import check_part
from expkit.config.targets.module_paths import locate
from expkit.config.targets.trust import refuse_words
from expkit.config.validation import check_config, check_others
from expkit.errors import UserError


@pytest.mark.parametrize(
    ("target", "what", "nearest"),
    [
        ("torch.optim.Adm", "'torch.optim' has no 'Adm'", "torch.optim.Adam"),
        ("torch.optim.adm.Adam", "'torch.optim' has no 'adm'", "torch.optim.adam.Adam"),
        ("torch.optm.Adam", "'torch' has no 'optm'", "torch.optim.Adam"),
        ("torhc.optim.Adam", "there is no module 'torhc'", "torch.optim.Adam"),
        ("torch.optim.swa_utils", "is a module", None),
    ],
)
def test_target_not_found(target: str, what: str, nearest: str | None) -> None:
    """A target that does not exist is refused with the nearest whole target."""
    error = refusal({"_target_": target}, "optimizer")
    assert what in error.what
    assert error.details["where"] == f"optimizer._target_={target}"
    assert error.details["nearest"] == nearest


@pytest.mark.parametrize(
    ("target", "package"),
    [
        ("os.system", "os"),
        ("builtins.eval", "builtins"),
        ("subprocess.run", "subprocess"),
        ("sklearn.linear_model.Ridge", "sklearn"),
    ],
)
def test_code_outside_the_known_packages(target: str, package: str) -> None:
    """Other packages' code needs the user's word."""
    error = refusal({"_target_": target}, "model")
    assert "outside the known packages" in error.what
    assert error.details["do"] == f"add it if you trust it: 'trust=[{package}]'"
    check_part({"_target_": target, "_partial_": True}, "model", trusted=[package])


FINDER = """
import importlib.util, sys
class Finder:  # as setuptools' editable installs add it
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "expkit":
            return importlib.util.spec_from_file_location(name, "FOLDER/expkit/__init__.py")
sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize("prelude", ["import sys; sys.path.insert(0, 'FOLDER')", FINDER])
@pytest.mark.parametrize("place", ["checkout/src", "venv/lib/site-packages/checkout/src"])
@pytest.mark.parametrize("here", [".", "checkout"])
def test_a_checkout_of_expkit_is_known(tmp_path: Path, prelude: str, place: str, here: str) -> None:
    """An editable install's parts need no trust, wherever it lies and wherever one stands."""
    folder, current = tmp_path / place, tmp_path / here
    current.mkdir(exist_ok=True)
    shutil.copytree(Path(expkit.__file__).parent, folder / "expkit")
    shutil.copytree(builtin_conf(), folder.parent / "conf")
    code = textwrap.dedent(prelude).replace("FOLDER", str(folder)) + textwrap.dedent("""
        from expkit.config.targets.check import check_part
        from expkit.config.targets.module_paths import locate
        target = "expkit.models.conv.ConvNet"
        check_part({"_target_": target, "_partial_": True}, "model")
        print(locate(target)[0].path)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=current
    )
    assert done.stdout.strip() == str(folder / "expkit/models/conv.py")


def test_own_project_reaches_no_further_than_itself(own: str) -> None:
    """A module of the user's may be named, what it happens to import may not."""
    for name, package in (
        ("os.system", "os"),
        ("system", "os"),
        ("other.rmtree", "shutil"),
        ("through", "shutil"),
    ):
        node = {"_target_": f"{own}.{name}", "_partial_": True}
        error = refusal(node, "model")
        assert "outside the known packages" in error.what
        assert error.details["do"] == f"add it if you trust it: 'trust=[{package}]'"
        check_part(node, "model", trusted=[package])
    assert refusal({"_target_": f"{own}.Nett"}, "model").details["nearest"] == f"{own}.Net"


def test_what_a_library_offers_through_the_users_module_must_fit_the_role(own: str) -> None:
    """A layer is a model and no dataset, and torch's loader of code is neither."""
    node = {"_target_": f"{own}.Linear", "_args_": [2, 3]}
    check_part(node, "model")
    assert "dataset cannot be" in refusal(node, "dataset").what
    for key in ("model", "dataset"):
        error = refusal({"_target_": f"{own}.load_from_hub", "_partial_": True}, key)
        assert error.what.startswith(f"{key} cannot be {own}.load_from_hub")


def test_what_a_module_holds_may_be_made_of_its_own_classes(own: str) -> None:
    """A partial is whose what it calls is; a number cannot be called."""
    check_part({"_target_": f"{own}.wide", "out_features": 3}, "model")
    assert "dataset cannot be" in refusal({"_target_": f"{own}.wide"}, "dataset").what
    check_part({"_target_": f"{own}.narrow", "norm": "batch"}, "model")
    assert "norm" in refusal({"_target_": f"{own}.narrow", "norm": "bach"}, "model").what
    assert refusal({"_target_": f"{own}.number"}, "model").what.endswith("nothing to be called")


@pytest.mark.parametrize(
    "target",
    [
        "timm.models._hub.os.system",
        "torch.nn.modules.module.torch.load",
        "torch.nn.functional.torch.serialization.load",
        "torch.nn.Linear.__class__",
        "torchvision.models.resnet.load_state_dict_from_url.__globals__",
        "kornia.augmentation.base.torch.hub.load",
        "expkit.config.compose.sys.exit",
        "a_strange_module.make",
    ],
)
@pytest.mark.parametrize("trusted", [[], ["os", "copy", "sys"]])
def test_words_are_refused_before_anything_is_imported(
    target: str, trusted: list[str], own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies behind a library's module is not reached, whatever else is trusted.

    Nor is anything of the user's imported, where a part within a part is refused.
    """
    elsewhere = tmp_path.parent / f"{tmp_path.name}_elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a_strange_module.py").write_text("raise AssertionError('imported')")
    (tmp_path / f"{own}.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(elsewhere))
    for module in ("imported_objects", "allowed"):
        monkeypatch.setattr(
            f"expkit.config.targets.{module}.import_module",
            lambda name: pytest.fail(f"{name} was imported"),
        )
    refusal({"_target_": target}, "model", trusted=trusted)
    node = {"_target_": f"{own}.Net", "layers": [{"_target_": target}]}
    refusal(node, "model", trusted=trusted)


def test_what_a_librarys_module_merely_holds_is_no_part() -> None:
    """Under the optimizers' name lie a layer, a class of another kind, and another's function."""
    for name in ("Module", "AveragedModel"):
        target = f"torch.optim.swa_utils.{name}"
        error = refusal({"_target_": target, "_partial_": True}, "optimizer")
        assert error.what.startswith(f"optimizer cannot be {target}")
    node = {"_target_": "torch.optim.swa_utils.deepcopy", "_partial_": True}
    assert refusal(node, "optimizer").details["do"] == "add it if you trust it: 'trust=[copy]'"
    check_part(node, "optimizer", trusted=["copy"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import not_installed_anywhere\n", "No module named 'not_installed_anywhere'"),
        ("1 / 0\n", "division by zero"),
        ("def broken(:\n", "invalid syntax"),
        ("import sys\nsys.exit(3)\n", "sys.exit(3)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_screen(
    source: str, said: str, own: str, tmp_path: Path
) -> None:
    """The error of the user's own code, and where it arose."""
    (tmp_path / f"{own}.py").write_text(source)
    error = refusal({"_target_": f"{own}.Net"}, "model")
    assert said in error.what
    assert f"model._target_={own}.Net" in str(error.details["where"])
    assert len(error.screen().splitlines()) < 10


@pytest.mark.parametrize("folder", ["env/lib/site-packages", "../elsewhere"])
def test_installed_code_is_not_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """A package in an environment below the current folder, or beside it, needs trust."""
    here = tmp_path / "here"
    place = here / folder / f"foreign_{tmp_path.name}"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("def make(): ...\n")
    monkeypatch.syspath_prepend(str(place.parent.resolve()))
    monkeypatch.chdir(here)
    error = refusal({"_target_": f"{place.name}.make"}, "model")
    assert "outside the known packages" in error.what
    check_part({"_target_": f"{place.name}.make"}, "model", trusted=[place.name])


def test_interpreter_below_the_current_folder_is_not_the_users_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Standing above an environment does not make the standard library one's own."""
    monkeypatch.chdir(Path(sys.base_prefix))
    assert "outside" in refusal({"_target_": "subprocess.run"}, "model").what


def test_building_looks_once_more(own: str) -> None:
    """Whoever forgets to check a config builds nothing that no check would allow."""
    for target in (f"{own}.system", "torch.hub.load", "os.system"):
        with pytest.raises(UserError):
            build_part({"_target_": target, "_partial_": True}, "model")
    assert build_part({"_target_": f"{own}.Net", "widths": [1]}, "model") is not None


def test_the_trust_of_a_config_from_elsewhere_is_not_its_own(own: str) -> None:
    """What its user trusts takes the place of what it says."""
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        composed = OmegaConf.to_container(hydra.compose("config", overrides=["name=x"]))
    plain = {
        key: composed[key] for key in (each.name for each in fields(Config)) if key in composed
    }
    plain |= {"model": {"_target_": f"{own}.system", "_partial_": True}, "trust": ["os"]}
    check_others(check_config(plain))
    config = check_config(plain, trusted=[])
    assert config.trust == []
    with pytest.raises(UserError, match="model runs code outside the known packages"):
        check_others(config)


def test_folders_without_init_are_the_users_at_any_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python imports them as packages, two of them one in the other, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces" / "deep").mkdir(parents=True)
    (tmp_path / "spaces" / "deep" / "nets.py").write_text("class Net: ...\n")
    module, names = locate("spaces.deep.nets.Net")
    assert (module.name, names) == ("spaces.deep.nets", ["Net"])
    refuse_words("spaces.deep.nets.Net", "model", "model", ())
