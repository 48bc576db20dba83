"""Refusals of wrong parts: what is said, and that sound configs and imports are left alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from annotated_types import Ge
from refused_parts import refusal

from expkit.config.schema import Config
from expkit.config.targets.check import check_fields, check_part
from expkit.errors import UserError

ADAM = "torch.optim.Adam"


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


def test_fields_of_the_root() -> None:
    """The root's settings are checked like arguments and shown without a prefix."""

    @dataclass
    class Stage:
        optimizer: Any
        max_epochs: Annotated[int, Ge(1)]

    check_fields({"optimizer": {}, "max_epochs": 3}, Stage, "")
    cases: dict[str, dict[str, object]] = {
        "max_epochs cannot be 'abc'": {"optimizer": 1, "max_epochs": "abc"},
        "there is no setting 'max_epoch'": {"optimizer": 1, "max_epoch": 3},
        "max_epochs must be given": {"optimizer": 1},
    }
    details = {}
    for what, values in cases.items():
        with pytest.raises(UserError) as caught:
            check_fields(values, Stage, "")
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
            check_fields({name: value}, Config, "")


def test_own_parts_are_checked_before_torch_is_loaded() -> None:
    """In a fresh process every part that ships, and a config of the default kind, imports none."""
    code = textwrap.dedent("""
        import sys
        from expkit.config.paths import builtin_conf
        from expkit.config.targets.allowed import TARGET_LINE
        from expkit.config.targets.check import check_part
        from expkit.errors import UserError
        groups = {"stage": "procedure.train", "transform": "transform"}
        checked = 0
        for path in builtin_conf().rglob("*.yaml"):
            group = path.parent.relative_to(builtin_conf()).as_posix()
            for target in TARGET_LINE.findall(path.read_text("utf-8")):
                if target.startswith("expkit."):
                    node = {"_target_": target, "_partial_": True, "no_such_argument": 1}
                    try:
                        check_part(node, groups.get(group, group))
                    except UserError as error:
                        assert "has no argument 'no_such_argument'" in error.what, error
                        checked += 1
        assert checked > 80, checked
        node = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": "abc"}
        check_part(node, "optimizer", import_others=False)
        loaded = {"torch", "kornia", "timm", "pandas", "scipy"} & sys.modules.keys()
        assert not loaded, loaded
    """)
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_check_takes_no_time() -> None:
    """Once torch is loaded: a sweep of a thousand jobs checks ten parts of each."""
    node = {"_target_": ADAM, "_partial_": True, "lr": 0.1}
    check_part(node, "optimizer")
    start_seconds = time.perf_counter()
    check_part(node, "optimizer")
    assert time.perf_counter() - start_seconds < 0.03
