"""Sound runs of other nets than the rest of the suite's, on data of `unseen_data`."""

from __future__ import annotations

from functools import partial

from bases import epochs
from case import control, fault
from unseen_data import blobs, boards, glyphs, gratings, moons, of, photographs

unseen_fault = partial(fault, is_unseen=True)
unseen_control = partial(control, is_unseen=True)

_NO_CONV = tuple(f"~model.{key}" for key in ("widths", "hidden", "init", "norm", "dropout"))
TRUST = "trust=[unseen_nets,unseen_parts]"
FULL = "procedure=full"


def net(name: str, count: int, **options: object) -> tuple[str, ...]:
    """One of unseen_nets for so many epochs."""
    return (
        "model=simple_conv",
        *_NO_CONV,
        f"model._target_=unseen_nets.{name}",
        *(f"+model.{key}={value}" for key, value in options.items()),
        TRUST,
        epochs(count),
    )


def timm(name: str, count: int, **options: object) -> tuple[str, ...]:
    given = ", ".join(f"{key}: {value}" for key, value in options.items())
    return (
        "model=timm",
        f"model.name={name}",
        *([f"+model.options={{{given}}}"] if given else []),
        epochs(count),
    )


def sgd(rate: float) -> tuple[str, ...]:
    return ("optimizer=sgd", f"optimizer.lr={rate}")


def adamw(rate: float) -> tuple[str, ...]:
    return ("optimizer=adamw", f"optimizer.lr={rate}")


def batch(size: int) -> str:
    return f"procedure.train.batch_size={size}"


GRATINGS, GLYPHS, BLOBS, BOARDS = of(gratings), of(glyphs, per_class=80), of(blobs), of(boards)
MOONS, PHOTOGRAPHS = of(moons), of(photographs)
MLP = net("Mlp", 20)
DILATED = (*net("Dilated", 20), *adamw(0.003))
SEPARABLE = (*net("Separable", 20), *adamw(0.004))
UNET = (*net("SmallUnet", 12), *adamw(0.003))
GRU = (*net("RowsGru", 15), "optimizer.lr=0.002")
ATTENTION = (*net("RowsAttention", 15), *adamw(0.002))
MOBILE = (*timm("mobilenetv3_small_050", 8), *adamw(0.002), "schedule=cosine")
BYOB = (*timm("test_byobnet", 8), *adamw(0.002))
CONVNEXT = (*timm("test_convnext", 12), *adamw(0.002))
VIT_8 = (*timm("vit_tiny_patch16_224", 4, patch_size=8, depth=2), *adamw(0.0007))
