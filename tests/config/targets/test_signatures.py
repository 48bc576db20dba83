"""The arguments of classes and functions as Python itself tells them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import pytest

from expkit.config.paths import builtin_conf
from expkit.config.targets.allowed import TARGET_LINE
from expkit.config.targets.annotations import describe, fits
from expkit.config.targets.imported_objects import load, stated_arguments
from expkit.config.targets.signatures import Signature, read_signature

if TYPE_CHECKING:
    from nowhere import OnlyForCheckers

T = TypeVar("T")
Norm = Literal["none", "batch"]


def read(found: Callable[..., object]) -> Signature:
    signature = read_signature(found)
    assert signature is not None
    return signature


def required(found: Callable[..., object]) -> dict[str, bool]:
    return {name: each.required for name, each in read(found).parameters.items()}


def test_function() -> None:
    """Names, order and defaults are read; `*args` is no name and `**kwargs` takes any."""

    def plain(a, b=1, /, c: int = 2, *rest, d, e=None): ...  # type: ignore[no-untyped-def]

    def open_ended(a: int, **more: Any) -> None: ...

    assert required(plain) == {"a": True, "b": False, "c": False, "d": True, "e": False}
    assert [each.keyword_only for each in read(plain).parameters.values()] == [False] * 3 + [
        True,
        True,
    ]
    assert not read(plain).takes_any
    assert read(open_ended).takes_any


class Base:
    def __init__(self, width: int, depth: int = 2) -> None: ...

    @classmethod
    def small(cls, depth: int) -> Base:
        return cls(1, depth)


class Inherits(Base): ...


class Empty: ...


def test_own_and_inherited_init() -> None:
    """A class takes its own arguments, or those of the nearest base."""
    assert required(Inherits) == {"width": True, "depth": False}
    assert required(Base.small) == {"depth": True}
    assert (required(Empty), read(Empty).takes_any) == ({}, False)


def test_what_wraps_a_function_takes_its_arguments() -> None:
    """A decorator that says what it wraps, and a partial with its rest."""

    @functools.lru_cache
    def cached(a: int) -> int:
        return a

    assert required(cached) == {"a": True}
    assert required(functools.partial(Base, depth=3)) == {"width": True, "depth": False}
    assert fits("x", read(functools.partial(Base, 3)).parameters["depth"].annotation) is False


@dataclass
class Part(Generic[T]):
    shared: ClassVar[int] = 3
    first: int
    hidden: int = field(init=False)
    listed: list[int] = field(default_factory=list)
    norm: Norm = "none"
    seed: InitVar[int] = 0
    _: KW_ONLY
    last: float


def test_dataclass_fields() -> None:
    """A dataclass takes its fields in order, without those not in init, by their own types."""
    parameters = read(Part).parameters
    assert required(Part) == {
        "first": True,
        "listed": False,
        "norm": False,
        "seed": False,
        "last": True,
    }
    assert parameters["last"].keyword_only
    assert describe(parameters["norm"].annotation) == "one of: none, batch"
    assert describe(parameters["listed"].annotation) == "a list of whole numbers"
    assert describe(parameters["seed"].annotation) == "a whole number"


def test_fields_mean_what_they_mean_where_they_are_written(tmp_path: Any, monkeypatch: Any) -> None:
    """A base's annotations are resolved in its own module, which may use other names."""
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    name = f"bases_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        f"{text}from typing import Literal\nNorm = Literal['other']\n"
        "@dataclass\nclass Base:\n    norm: Norm = 'other'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    base = load(f"{name}.Base")

    @dataclass
    class Derived(base):  # type: ignore[valid-type, misc]
        more: Norm = "none"

    parameters = read(Derived).parameters
    assert describe(parameters["norm"].annotation) == "one of: other"
    assert describe(parameters["more"].annotation) == "one of: none, batch"


def test_default_is_always_allowed() -> None:
    """A default that its annotation forbids widens the annotation, as it does in Python."""

    def part(a: int = None, b: int = 0.5, c: float = 1): ...  # type: ignore  # noqa: RUF013

    parameters = read(part).parameters
    assert fits(None, parameters["a"].annotation)
    assert not fits("x", parameters["a"].annotation)
    assert fits(0.1, parameters["b"].annotation)
    assert not fits("x", parameters["c"].annotation)


def test_a_name_that_only_a_type_checker_knows_takes_anything() -> None:
    """The other arguments beside it are still held to their types."""

    def part(a: OnlyForCheckers, b: int) -> None: ...

    parameters = read(part).parameters
    assert fits("x", parameters["a"].annotation)
    assert not fits("x", parameters["b"].annotation)


@pytest.mark.parametrize("found", [dict, type("Broken", (dict,), {})])
def test_what_does_not_tell_its_arguments(found: Callable[..., object]) -> None:
    """None, not a refusal: some classes of C do not tell."""
    assert read_signature(found) is None


@pytest.mark.parametrize(
    ("target", "some"),
    [
        ("torch.optim.Adam", {"params": True, "lr": False, "betas": False, "fused": False}),
        ("torch.nn.Linear", {"in_features": True, "out_features": True, "bias": False}),
        ("torch.nn.CrossEntropyLoss", {"weight": False, "label_smoothing": False}),
        ("torch.optim.lr_scheduler.StepLR", {"optimizer": True, "step_size": True}),
        ("timm.create_model", {"model_name": True, "pretrained": False}),
        ("torchvision.models.resnet18", {"weights": False, "progress": False}),
    ],
)
def test_real_targets(target: str, some: dict[str, bool]) -> None:
    """The targets that most configs name are found through their packages' re-exports."""
    assert required(load(target)).items() >= some.items()  # type: ignore[arg-type]


def test_stated_arguments_are_those_of_the_class() -> None:
    """Every class of expkit that is checked before torch loads: names, order and defaults."""
    targets = {
        target
        for path in builtin_conf().rglob("*.yaml")
        for target in TARGET_LINE.findall(path.read_text("utf-8"))
        if target.startswith("expkit.")
    }
    compared = 0
    for target in targets:
        stated = stated_arguments(target)
        if stated is None:
            continue
        real: Any = load(target)
        assert stated is not real
        assert stated.__name__ == real.__name__
        ours, theirs = read(stated).parameters.values(), read(real).parameters.values()
        assert [(each.name, each.required, each.keyword_only) for each in ours] == [
            (each.name, each.required, each.keyword_only) for each in theirs
        ], target
        assert defaults(stated) == defaults(real), target
        compared += 1
    assert compared == 14


def defaults(found: Callable[..., object]) -> dict[str, object]:
    import inspect

    given = inspect.signature(found).parameters.values()
    return {each.name: each.default for each in given if "factory" not in repr(each.default)}
