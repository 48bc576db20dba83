"""Sound runs that take seconds: every fault is one of these with something wrong."""

from __future__ import annotations

COMMON = ("device=cpu", "device.precision=fp32", "device.threads=1", "criteria=none")


def epochs(count: int) -> str:
    return f"procedure.train.max_epochs={count}"


DIGITS = ("dataset=digits",)
CONV = ("model=simple_conv", epochs(15))
DEEP = (*CONV, "model.hidden=[64,64]", "model.init=kaiming")
NORMED = (*CONV, "model.norm=batch")
RESNET = ("model=timm", "model.name=test_resnet", epochs(15))
RESNET_10 = ("model=timm", "model.name=resnet10t", epochs(4))
VIT = ("model=timm", "model.name=test_vit", "+model.options={patch_size: 6}", epochs(12))
VIT_DIGITS = ("model=timm", "model.name=test_vit", "+model.options={patch_size: 2}", epochs(15))
SCAN_MODEL = (
    "model=vit_scanline",
    "model.layers=2",
    "model.width=64",
    "model.heads=4",
    "model.feed_forward=128",
)
SCANS = (
    "dataset=scan_lines",
    "dataset.size=32",
    "dataset.num_samples=600",
    *SCAN_MODEL,
    epochs(15),
)
PUZZLE = (
    "dataset=puzzle",
    "dataset.rows=5",
    "dataset.columns=6",
    "dataset.piece_size=32",
    "model=simple_conv",
    "model.init=kaiming",
    epochs(80),
)
# the same nets with a mistake in them: damaged(CONV, "softmax")
FACTORIES = {"simple_conv": "conv_net", "vit_scanline": "scan_line", "timm": "timm_model"}


def damaged(words: tuple[str, ...], damage: str) -> tuple[str, ...]:
    """The same run with its model broken."""
    choice = next(word.partition("=")[2] for word in words if word.startswith("model="))
    target = f"broken_models.{FACTORIES[choice]}"
    return (
        *words,
        f"model._target_={target}",
        "++model._partial_=true",
        f"+model.damage={damage}",
        "trust=[broken_models]",
    )


def with_part(words: tuple[str, ...], *more: str) -> tuple[str, ...]:
    """The same run with a part of broken_parts."""
    return (*words, *more, "trust=[broken_parts]")
