"""Signatures read from source that is never imported: each small module would fail if it were."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from expkit.config.targets.aliases import written_out
from expkit.config.targets.annotations import describe, fits
from expkit.config.targets.resolver import TargetNotFoundError, home_of
from expkit.config.targets.signatures import Signature, read_signature

EXPLODE = "raise AssertionError('imported')\n"


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    read_signature.cache_clear()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes modules below a package of the test's own, and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = f"pkg_{tmp_path.name}"

    def write_files(**files: str) -> str:
        for name, source in files.items():
            path = tmp_path / package / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            text = textwrap.dedent(source).replace("PACKAGE", package)
            path.write_text(text + EXPLODE)
        return package

    return write_files


def read(target: str) -> Signature:
    signature = read_signature(target)
    assert signature is not None
    return signature


def required(signature: Signature | None) -> dict[str, bool]:
    assert signature is not None
    return {name: each.required for name, each in signature.parameters.items()}


def test_function(write: Callable[..., str]) -> None:
    """Names, order and defaults are read; `*args` is no name and `**kwargs` takes any."""
    package = write(
        parts="""
        def plain(a, b=1, /, c: int = 2, *rest, d, e=None): ...
        async def open_ended(a, **more): ...
        """
    )
    plain = read(f"{package}.parts.plain")
    assert required(plain) == {"a": True, "b": False, "c": False, "d": True, "e": False}
    assert not plain.takes_any
    assert read(f"{package}.parts.open_ended").takes_any


def test_own_and_inherited_init(write: Callable[..., str]) -> None:
    """A class takes its own arguments, or those of the nearest base in another module."""
    package = write(
        base="class Base:\n    def __init__(self, width, depth=2): ...\n",
        parts="""
        from .base import Base as Root
        class Own(Root):
            def __init__(self, size): ...
        class Inherits(Root): ...
        class Empty: ...
        """,
    )
    assert required(read_signature(f"{package}.parts.Own")) == {"size": True}
    inherits = read_signature(f"{package}.parts.Inherits")
    assert required(inherits) == {"width": True, "depth": False}
    empty = read(f"{package}.parts.Empty")
    assert (required(empty), empty.takes_any) == ({}, False)


def test_diamond_follows_pythons_order(write: Callable[..., str]) -> None:
    """In a diamond the sibling's `__init__` comes before the shared base's."""
    package = write(
        parts="""
        class Root:
            def __init__(self, root): ...
        class Left(Root): ...
        class Right(Root):
            def __init__(self, right): ...
        class Both(Left, Right): ...
        """
    )
    assert required(read_signature(f"{package}.parts.Both")) == {"right": True}


def test_unreadable_base_takes_any(write: Callable[..., str]) -> None:
    """Where a base cannot be read no argument is called unknown."""
    package = write(
        parts="""
        import not_installed_anywhere as gone
        class Part(gone.Base): ...
        class Broken(dict): ...
        class Loop(Loop): ...
        """
    )
    for name in ("Part", "Broken", "Loop"):
        assert read_signature(f"{package}.parts.{name}") == Signature(
            f"{package}.parts.{name}", {}, takes_any=True
        )


def test_dataclass_fields(write: Callable[..., str]) -> None:
    """A dataclass takes its fields in order, inherited ones first, without those not in init."""
    package = write(
        base="""
        from dataclasses import dataclass
        @dataclass
        class Base:
            first: int
            second: str = "a"
        """,
        parts="""
        import dataclasses as dc
        from abc import ABC
        from typing import ClassVar, Generic, TypeVar
        from .base import Base
        T = TypeVar("T")
        @dc.dataclass(frozen=True)
        class Part(Base, ABC, Generic[T]):
            shared: ClassVar[int] = 3
            quoted: "ClassVar[int]"
            hidden: int = dc.field(init=False)
            _: dc.KW_ONLY
            third: float
            listed: list[int] = dc.field(default_factory=list)
            plain: int = dc.field(default=3)
            bare: int = dc.field()
            second: str
        class Inherits(Part): ...
        """,
    )
    expected = {
        "first": True,
        "second": False,
        "third": True,
        "listed": False,
        "plain": False,
        "bare": True,
    }
    for name in ("Part", "Inherits"):
        signature = read(f"{package}.parts.{name}")
        assert required(signature) == expected
        assert list(signature.parameters) == list(expected)
        assert not signature.takes_any


def test_re_exports(write: Callable[..., str]) -> None:
    """Relative, renamed, starred and aliased names lead to the definition."""
    package = write(
        __init__="from .api import *\nfrom . import api\nfrom .inner import deep\n",
        api="""
        from .inner.deep import Net as Model, _hidden
        import PACKAGE.inner.deep as far
        Alias = far.Net
        """,
        inner__in____init__="from ..inner.deep import *\n",
        inner__in__deep="""
        __all__ = ["Net"]
        class Net:
            def __init__(self, width): ...
            @classmethod
            def small(cls, depth): ...
            @staticmethod
            def large(depth): ...
            def forward(self, x): ...
        def _hidden(): ...
        """,
    )
    names = (
        "Model",
        "Alias",
        "api.Model",
        "inner.Net",
        "inner.deep.Net",
        "deep.Net",
        "api.far.Net",
    )
    for name in names:
        assert required(read_signature(f"{package}.{name}")) == {"width": True}, name
        assert home_of(f"{package}.{name}").name == f"{package}.inner.deep"
    assert required(read_signature(f"{package}.Model.small")) == {"depth": True}
    assert required(read_signature(f"{package}.Model.large")) == {"depth": True}
    assert read_signature(f"{package}.Model.forward") is None
    with pytest.raises(TargetNotFoundError):
        read_signature(f"{package}._hidden")


def test_name_hides_its_submodule(write: Callable[..., str]) -> None:
    """Where a package binds a class over the submodule of its name, the class counts."""
    package = write(
        __init__="from .net import net\n",
        net="class net:\n    @staticmethod\n    def make(width): ...\n",
    )
    assert required(read_signature(f"{package}.net.make")) == {"width": True}
    assert required(read_signature(f"{package}.net")) == {}


def test_branches(write: Callable[..., str]) -> None:
    """A definition inside `if` or `try` counts; where branches differ nothing is claimed."""
    package = write(
        parts="""
        from typing import TYPE_CHECKING, overload
        if TYPE_CHECKING:
            def checked(a): ...
        try:
            from not_installed_anywhere import fallback
        except ImportError:
            def fallback(b): ...
        try:
            from .other import optional
        except ImportError:
            optional = None
        if TYPE_CHECKING:
            def either(a): ...
        else:
            def either(b): ...
        def twice(a): ...
        def twice(b): ...
        @overload
        def loaded(a: int): ...
        @overload
        def loaded(a: str): ...
        def loaded(a): ...
        """,
        other="def optional(c): ...\n",
    )
    expected = {"checked": "a", "fallback": "b", "optional": "c", "twice": "b", "loaded": "a"}
    for name, argument in expected.items():
        assert required(read_signature(f"{package}.parts.{name}")) == {argument: True}
    assert read_signature(f"{package}.parts.either") is None


@pytest.mark.parametrize(
    "source",
    [
        "part = make()\n",
        "def __getattr__(name): ...\n",
        "globals()['part'] = 1\n",
        "import sys\nsetattr(sys.modules[__name__], 'part', 1)\n",
        "@rewrite\ndef part(a): ...\n",
        "@attrs.define\nclass part:\n    a: int\n",
        "class part(metaclass=Meta):\n    def __init__(self, a): ...\n",
        "class part:\n    __init__ = make()\n",
        "def part(:\n",
        "from .parts import *\nfrom _struct import *\n",
        "for part in (1, 2): pass\n",
        "a, part = 1, 2\n",
    ],
)
def test_source_that_cannot_tell(write: Callable[..., str], source: str) -> None:
    """None, not a refusal, wherever code decides what the name is."""
    package = write(parts=source)
    assert read_signature(f"{package}.parts.part") is None


def test_not_found(write: Callable[..., str]) -> None:
    """What certainly does not exist is named, with the names that do."""
    package = write(
        __init__="from .parts import *\n", parts="class Network: ...\nclass _Private: ...\n"
    )
    with pytest.raises(TargetNotFoundError) as caught:
        read_signature(f"{package}.parts.Netwrk")
    assert (caught.value.part, caught.value.names) == ("Netwrk", ("Network",))
    with pytest.raises(TargetNotFoundError) as caught:
        read_signature(f"{package}.prts.Network")
    assert (caught.value.part, caught.value.names) == ("prts", ("Network", "parts"))
    with pytest.raises(TargetNotFoundError) as caught:
        read_signature("torhc.optim.Adam")
    assert caught.value.part == "torhc"
    assert "torch" in caught.value.names
    with pytest.raises(TargetNotFoundError, match="is a module"):
        read_signature(f"{package}.parts")


def test_import_cycle_ends(write: Callable[..., str]) -> None:
    """Modules that import a name from each other end in an answer."""
    package = write(one="from .two import part\n", two="from .one import part\n")
    assert read_signature(f"{package}.one.part") is None


def test_default_is_always_allowed(write: Callable[..., str]) -> None:
    """A default that its annotation forbids widens the annotation, as it does in Python."""
    package = write(parts="def part(a: int = None, b: int = 0.5, c: float = 1): ...\n")
    parameters = read(f"{package}.parts.part").parameters
    assert fits(None, parameters["a"].annotation)
    assert not fits("x", parameters["a"].annotation)
    assert fits(0.1, parameters["b"].annotation)
    assert not fits("x", parameters["c"].annotation)


def test_aliases_are_written_out(write: Callable[..., str]) -> None:
    """An alias stands for its limits even when it is imported; a class keeps its name."""
    package = write(
        kinds="""
        from typing import Annotated, TypeVar, Union
        import enum
        from annotated_types import Ge, Le
        T = TypeVar("T")
        Fraction = Annotated[float, Ge(0), Le(1)]
        Pair = Union[T, tuple[T, T]]
        class Tensor: ...
        class Mode(enum.Enum): ...
        """,
        parts="""
        from . import kinds
        from .kinds import Fraction, Pair, Tensor, Mode
        def part(a: Fraction, b: kinds.Fraction | None, c: "float | Tensor", d: str | Pair[int],
                 e: list[Fraction], f: int | Mode, g: int | Undefined): ...
        """,
    )
    parameters = read(f"{package}.parts.part").parameters
    kinds = {name: written_out(each.annotation, each.module) for name, each in parameters.items()}
    assert describe(kinds["a"]) == "a number >= 0 and <= 1"
    assert fits(None, kinds["b"])
    assert not fits(2, kinds["b"])
    assert not fits("abc", kinds["c"])
    assert fits(1, kinds["d"])
    assert not fits([2], kinds["e"])
    assert fits("fast", kinds["f"])
    assert fits("abc", kinds["g"])


@pytest.mark.parametrize(
    ("target", "some"),
    [
        ("torch.optim.Adam", {"params": True, "lr": False, "betas": False, "fused": False}),
        ("torch.nn.Linear", {"in_features": True, "out_features": True, "bias": False}),
        ("torch.nn.CrossEntropyLoss", {"weight": False, "label_smoothing": False}),
        ("torch.optim.lr_scheduler.StepLR", {"optimizer": True, "step_size": True}),
        ("timm.create_model", {"model_name": True, "pretrained": False}),
    ],
)
def test_real_targets(target: str, some: dict[str, bool]) -> None:
    """The targets that most configs name are found through their packages' re-exports."""
    assert required(read_signature(target)).items() >= some.items()


@pytest.mark.parametrize(
    "target", ["timm.models.resnet18", "timm.models.inception_v3", "torchvision.models.resnet18"]
)
def test_decorated_models_are_found(target: str) -> None:
    """A model that a decorator adds to `__all__` is not called missing, nor taken for its file."""
    assert read_signature(target) is None


def test_torch_stays_unimported() -> None:
    """Reading a torch target in a fresh process leaves torch out of it."""
    code = (
        "import sys; from expkit.config.targets.signatures import read_signature;"
        "assert read_signature('torch.optim.Adam'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
