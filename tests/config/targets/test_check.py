"""Refusals of wrong parts: what is said, and that sound configs and imports are left alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import expkit
from expkit.config.paths import builtin_conf
from expkit.config.targets.check import check_fields, check_part
from expkit.config.targets.signatures import read_signature
from expkit.errors import UserError

ADAM = "torch.optim.Adam"
SOURCE = """
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from annotated_types import Ge
import os
import shutil as other

class Net:
    def __init__(self, widths: list[int], norm: Literal["none", "batch"] = "none", head=None): ...

class Wide:
    def __init__(self, width: int, **more): ...

class Late:
    def __init__(self, *layers, size: int, scale: str | int = 1, **more): ...

@dataclass
class Stage:
    optimizer: Any
    max_epochs: Annotated[int, Ge(1)]
    parts: dict[str, Any] | None = None

raise AssertionError("imported")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own project, which must never be imported; its name."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return name


def refusal(node: Mapping[str, object], key: str, **options: list[str]) -> UserError:
    with pytest.raises(UserError) as caught:
        check_part(node, key, **options)
    return caught.value


def test_sound_parts_pass(own: str) -> None:
    """Real configs with partial, positional, nested and missing-by-Hydra values are accepted."""
    net = {"_target_": f"{own}.Net", "widths": [1, 2], "norm": "batch"}
    adam = {"_target_": ADAM, "_partial_": True, "lr": 1, "betas": [0.9, 0.99], "fused": None}
    check_part(net, "model")
    check_part(adam, "optimizer")
    check_part({"_target_": f"{own}.Net", "_args_": [[1], "none"]}, "model")
    check_part({"_target_": f"{own}.Late", "_args_": ["a", "b"], "size": 1}, "model")
    check_part({"_target_": f"{own}.Wide", "width": 1, "anything": "else"}, "model")
    check_part({"_target_": f"{own}.Stage", "optimizer": adam, "max_epochs": 1}, "procedure.train")
    check_part({"_target_": "torch.nn.Conv2d", "_args_": [3, 8, 3], "padding": "same"}, "model")
    check_part({"_target_": "torch.nn.Conv2d", "_args_": [3, 8, [3, 3]], "padding": 1}, "model")
    check_part({"_target_": "torch.nn.CrossEntropyLoss", "weight": None}, "loss")
    check_part({"_target_": "torchvision.models.resnet18", "weights": "DEFAULT"}, "model")
    sequence = [{"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 2}]
    check_part({"_target_": "torch.nn.Sequential", "_args_": sequence}, "model")


def test_unknown_argument(own: str) -> None:
    """A misspelt argument is shown with its key, its target, the nearest and all allowed names."""
    error = refusal({"_target_": f"{own}.Net", "widths": [1], "widhts": [2, 3]}, "model")
    assert error.what == "model has no argument 'widhts'"
    assert error.details == {
        "where": f"model.widhts=[2, 3] ({own}.Net)",
        "nearest": "model.widths",
        "allowed": "widths, norm, head",
        "do": None,
    }


def test_all_names_stay_on_the_screen() -> None:
    """A long list of names is shown in full, within the screen's width."""
    screen = refusal({"_target_": ADAM, "params": [], "lrr": 1}, "optimizer").screen()
    assert max(map(len, screen.splitlines())) <= 100
    assert "decoupled_weight_decay" in screen


@pytest.mark.parametrize("name", ["image_shape", "num_outputs"])
def test_what_the_run_gives_is_no_argument_of_a_config(name: str) -> None:
    """What a partial part is called with later is neither taken nor offered."""
    node = {"_target_": "expkit.models.conv.ConvNet", "_partial_": True}
    check_part(node, "model")
    error = refusal({**node, name: 3}, "model")
    assert error.what == f"model has no argument '{name}'"
    assert error.details["allowed"] == "widths, hidden, init, norm, dropout"
    assert error.details["do"] == "leave it out: the run gives it"
    assert refusal({**node, "widht": 3}, "model").details["allowed"] == error.details["allowed"]


def test_what_the_run_gives_is_refused_beside_open_ended_arguments(own: str) -> None:
    """`**more` takes other names, and the config gives a required keyword of its own."""
    node = {"_target_": f"{own}.Late", "_partial_": True}
    check_part({**node, "scale": 2, "size": 8, "anything": "else"}, "model")
    assert (
        refusal({**node, "num_outputs": 1}, "model").what == "model has no argument 'num_outputs'"
    )


@pytest.mark.parametrize(
    ("name", "value", "what", "allowed"),
    [
        ("lr", "abc", "optimizer.lr cannot be 'abc'", "a number"),
        ("lr", True, "optimizer.lr cannot be true", "a number"),
        ("eps", None, "optimizer.eps cannot be null", "a number"),
        ("betas", [0.9], "optimizer.betas cannot be [0.9]", "a list of 2 numbers"),
        ("foreach", 1, "optimizer.foreach cannot be 1", "true or false or null"),
    ],
)
def test_wrong_value(name: str, value: object, what: str, allowed: str) -> None:
    """A value of the wrong type is refused with its full key and what is allowed."""
    error = refusal({"_target_": ADAM, "_partial_": True, name: value}, "optimizer")
    assert error.what == what
    assert error.details["allowed"] == allowed
    assert str(error.details["where"]).startswith(f"optimizer.{name}=")


def test_out_of_range(own: str) -> None:
    """A bound in the annotation is held."""
    stage = {"_target_": f"{own}.Stage", "optimizer": None, "max_epochs": 0}
    error = refusal(stage, "procedure.train")
    assert error.what == "procedure.train.max_epochs cannot be 0"
    assert error.details["allowed"] == "a whole number >= 1"


def test_missing_argument(own: str) -> None:
    """A required argument must be given unless the part is partial; `???` is not given."""
    for node in ({"_target_": f"{own}.Net"}, {"_target_": f"{own}.Net", "widths": "???"}):
        error = refusal(node, "model")
        assert error.what == "model needs the argument 'widths'"
        assert error.details["allowed"] == "a list of whole numbers"
        check_part({**node, "_partial_": True}, "model")


def test_nested_parts(own: str) -> None:
    """Parts inside arguments, plain mappings and lists are checked under their full keys."""
    wrong = {"_target_": ADAM, "_partial_": True, "lrr": 1}
    stage = {"_target_": f"{own}.Stage", "max_epochs": 1, "optimizer": wrong}
    assert (
        refusal(stage, "procedure.train").what == "procedure.train.optimizer has no argument 'lrr'"
    )
    stage = {**stage, "optimizer": None, "parts": {"a": {"deep": [wrong]}}}
    assert refusal(stage, "train").what == "train.parts.a.deep[0] has no argument 'lrr'"
    node = {"_target_": "torch.nn.Sequential", "_args_": [wrong]}
    assert refusal(node, "model").what == "model._args_[0] has no argument 'lrr'"


def test_parts_that_hydra_leaves_alone_may_lack_arguments(own: str) -> None:
    """Below `_recursive_: false` another builder may add arguments, yet names must be right."""
    node = {"_target_": f"{own}.Net", "widths": [1], "_recursive_": False}
    check_part({**node, "head": {"_target_": f"{own}.Net"}}, "model")
    error = refusal({**node, "head": {"_target_": f"{own}.Net", "no": 1}}, "model")
    assert error.what == "model.head has no argument 'no'"


@pytest.mark.parametrize("target", [None, 3, "", "Adam", "torch.optim.", "torch optim.Adam"])
def test_target_is_a_dotted_path(target: object) -> None:
    """A target that is no dotted text is refused at its key."""
    error = refusal({"_target_": target}, "optimizer")
    assert error.what.startswith("optimizer has a wrong _target_")
    assert error.details["where"] == "optimizer._target_"


def test_no_target() -> None:
    """A mapping without a target is no part."""
    assert refusal({"lr": 1}, "optimizer").what == "optimizer has no _target_"


@pytest.mark.parametrize(
    ("target", "what", "nearest"),
    [
        ("torch.optim.Adm", "'torch.optim' has no 'Adm'", "torch.optim.Adam"),
        ("torch.optim.adm.Adam", "'torch.optim' has no 'adm'", "torch.optim.adam.Adam"),
        ("torch.nn.Linaer", "'torch.nn' has no 'Linaer'", "torch.nn.Linear"),
        ("torhc.optim.Adam", "there is no module 'torhc'", "torch.optim.Adam"),
        ("torch.optim.swa_utils", "is a module", None),
    ],
)
def test_target_not_found(target: str, what: str, nearest: str | None) -> None:
    """A target that does not exist is refused with the nearest whole target."""
    error = refusal({"_target_": target}, "part")
    assert what in error.what
    assert error.details["where"] == f"part._target_={target}"
    assert error.details["nearest"] == nearest


@pytest.mark.parametrize(
    ("target", "package"),
    [
        ("os.system", "os"),
        ("builtins.eval", "builtins"),
        ("subprocess.run", "subprocess"),
        ("sklearn.linear_model.Ridge", "sklearn"),
        ("timm.models._hub.os.system", "os"),
        ("torch.optim.swa_utils.deepcopy", "copy"),
        ("expkit.config.compose.sys.exit", "sys"),
    ],
)
def test_code_outside_the_known_packages(target: str, package: str) -> None:
    """Other packages' code needs the user's word, also when it is reached through a known one."""
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
        from expkit.config.targets.resolver import home_of
        target = "expkit.models.conv.ConvNet"
        check_part({"_target_": target, "_partial_": True}, "model")
        print(home_of(target).path)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=current
    )
    assert done.stdout.strip() == str(folder / "expkit/models/conv.py")


def test_misspelt_known_package_is_named() -> None:
    """A slip in a known package's own name points back to it."""
    error = refusal({"_target_": "torch.optm.Adam"}, "optimizer")
    assert error.details["nearest"] == "torch.optim.Adam"


def test_own_project_reaches_no_further_than_itself(own: str) -> None:
    """A module of the user's may be named, what it happens to import may not."""
    assert "os" in str(refusal({"_target_": f"{own}.os.system"}, "model").details["do"])
    assert "shutil" in str(refusal({"_target_": f"{own}.other.rmtree"}, "model").details["do"])
    assert refusal({"_target_": f"{own}.Nett"}, "model").details["nearest"] == f"{own}.Net"


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


def test_fields_of_the_root(own: str) -> None:
    """The root's settings are checked like arguments and shown without a prefix."""
    target = f"{own}.Stage"
    check_fields({"optimizer": {}, "max_epochs": 3}, target, "")
    cases: dict[str, dict[str, object]] = {
        "max_epochs cannot be 'abc'": {"optimizer": 1, "max_epochs": "abc"},
        "there is no setting 'max_epoch'": {"optimizer": 1, "max_epoch": 3},
        "max_epochs must be given": {"optimizer": 1},
    }
    details = {}
    for what, values in cases.items():
        with pytest.raises(UserError) as caught:
            check_fields(values, target, "")
        assert caught.value.what == what
        details[what] = caught.value.details
    assert details["max_epochs cannot be 'abc'"]["where"] == "max_epochs=abc"
    assert details["there is no setting 'max_epoch'"]["nearest"] == "max_epochs"


def test_a_part_is_no_setting_of_the_root() -> None:
    """What names a target is built nowhere there, and is taken for what it is."""
    for name, value in (
        ("name", {"_target_": "a.b"}),
        ("compared_with", [{"_target_": "a.b"}]),
        ("seed", 10**400),
    ):
        with pytest.raises(UserError, match=f"{name} cannot be"):
            check_fields({name: value}, "expkit.config.schema.Config", "")


def test_checking_leaves_torch_unimported() -> None:
    """In a fresh process the check of Adam imports no torch, not even to refuse a value."""
    code = textwrap.dedent("""
        import sys
        from expkit.config.targets.check import check_part
        from expkit.errors import UserError
        node = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.1}
        check_part(node, "optimizer")
        try:
            check_part({**node, "lr": "abc"}, "optimizer")
        except UserError:
            assert "torch" not in sys.modules
        else:
            raise AssertionError("accepted")
    """)
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_second_check_costs_nothing() -> None:
    """Sources are parsed once: a sweep's next job is checked from memory."""
    node = {"_target_": ADAM, "_partial_": True, "lr": 0.1}
    check_part(node, "optimizer")
    assert read_signature(ADAM) is read_signature(ADAM)
    start_seconds = time.perf_counter()
    check_part(node, "optimizer")
    assert time.perf_counter() - start_seconds < 0.03
