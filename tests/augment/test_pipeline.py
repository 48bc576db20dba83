"""Augmentation: each sample by itself, the same by the same seed, refused where it cannot work."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn

from expkit.augment import pipeline
from expkit.augment.pipeline import Augmentation
from expkit.config.instantiate import build_part
from expkit.config.paths import builtin_conf
from expkit.config.targets.check import check_part
from expkit.errors import UserError

READY = ["light", "cherry", "scan_line"]


def choice(name: str, *words: str) -> dict[str, Any]:
    """What augment=NAME composes to."""
    return copy.deepcopy(_compose(f"augment={name}", *words))


@functools.cache
def _compose(*words: str) -> dict[str, Any]:
    with initialize_config_dir(str(builtin_conf().resolve()), version_base="1.3"):
        node: Any = OmegaConf.to_container(compose("config", overrides=list(words)).augment)
    check_part(node, "augment")
    return {str(key): value for key, value in node.items()}


def build(name: str, *words: str) -> Augmentation:
    augmentation: Augmentation = build_part(choice(name, *words), "augment")
    return augmentation


def with_probability(words: tuple[str, ...], p: float) -> Augmentation:
    """Nothing but the transform that the words add as `new`."""
    node = choice("none", *words)
    assert "p" in node["transforms"]["new"]
    node["transforms"]["new"]["p"] = p
    augmentation: Augmentation = build_part(node, "augment")
    return augmentation


def pictures(count: int = 8, channels: int = 3) -> Tensor:
    """Unlike each other and in every pixel, channels last."""
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(count, channels, 24, 32, generator=draws)
    return images.contiguous(memory_format=torch.channels_last)


def augmented(augmentation: Augmentation, images_BCHW: Tensor, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return augmentation(images_BCHW)


def test_none_hands_back_what_it_was_given() -> None:
    """Not even a copy, so that the loop loses nothing by calling it."""
    nothing, images = build("none"), pictures()
    assert nothing.is_identity
    assert not nothing.mixes
    assert nothing(images) is images


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("channels", [1, 3])
def test_ready_choices_keep_shape_range_and_layout(name: str, channels: int) -> None:
    """They make new images in [0, 1], channels last, and leave the given ones alone."""
    images = pictures(channels=channels)
    given = images.clone()
    augmentation = build(name)
    augmentation.check(tuple(images.shape[1:]))
    assert not augmentation.is_identity
    result = augmented(augmentation, images, seed=1)
    assert result.shape == images.shape
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= result.min() < result.max() <= 1
    assert not torch.equal(result, images)
    assert torch.equal(images, given)


@pytest.mark.parametrize("name", ["light", "cherry"])
def test_equal_pictures_become_different_ones(name: str) -> None:
    """Every sample has a draw of its own, not the batch."""
    same = pictures(1).expand(8, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    result = augmented(build(name), same, seed=1).flatten(1)
    distances = torch.cdist(result, result) + torch.eye(8)
    assert distances.min() > 0.01


@pytest.mark.parametrize("name", READY)
def test_a_seed_decides_everything(name: str) -> None:
    """Also for an augmentation that was used before, and for a fresh one, as after a resume."""
    images, augmentation = pictures(), build(name)
    first = augmented(augmentation, images, seed=1)
    other = augmented(augmentation, images, seed=2)
    augmentation(pictures(3))
    assert torch.equal(augmented(augmentation, images, seed=1), first)
    assert torch.equal(augmented(build(name), images, seed=1), first)
    assert not torch.equal(other, first)


@pytest.mark.parametrize(
    "words",
    [
        ("+transform@augment.transforms.new=horizontal_flip",),
        ("+transform@augment.transforms.new=vertical_flip",),
        ("+transform@augment.transforms.new=rotation",),
        ("+transform@augment.transforms.new=affine",),
        ("+transform@augment.transforms.new=jitter",),
        ("+transform@augment.transforms.new=gaussian_blur",),
        ("+transform@augment.transforms.new=motion_blur",),
        ("+transform@augment.transforms.new=resized_crop", "augment.transforms.new.size=[24,32]"),
        ("+transform@augment.transforms.new=erasing",),
        ("+transform@augment.transforms.new=gaussian_noise",),
        ("+transform@augment.transforms.new=line_dropout",),
    ],
    ids=lambda words: words[0].partition("new=")[2],
)
def test_every_transform_follows_its_probability_and_the_seed(words: tuple[str, ...]) -> None:
    """Never at p=0, always at p=1, and with the same draws from the same seed."""
    images = pictures()
    never = with_probability(words, 0.0)
    assert torch.equal(augmented(never, images, seed=1), images)
    always = with_probability(words, 1.0)
    always.check(tuple(images.shape[1:]))
    result = augmented(always, images, seed=1)
    assert ((result - images).abs().amax(dim=(1, 2, 3)) > 0).all()
    always(pictures(5))
    assert torch.equal(augmented(always, images, seed=1), result)


def test_transforms_run_in_order_and_end_in_range() -> None:
    """1 - 3 x stays; 3 (1 - x) would not: of 0.25 they make 0.25 and, clamped, 1."""

    class Times3(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 3 * images

    class Inverted(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 1 - images

    quarter = torch.full((2, 3, 4, 4), 0.25)
    first, second = Times3(), Inverted()
    assert Augmentation({"a": first, "b": second})(quarter).unique().tolist() == [0.25]
    assert Augmentation({"a": second, "b": first})(quarter).unique().tolist() == [1]


def test_cherry_leaves_an_empty_channel_empty() -> None:
    """The green channel of log 4's images is zero: anything in it would not be in the others."""
    images = pictures()
    images[:, 1] = 0
    assert augmented(build("cherry"), images, seed=1)[:, 1].abs().max() == 0


@pytest.mark.parametrize(
    ("words", "shape", "told"),
    [
        (("+transform@augment.transforms.new=jitter", "augment.transforms.new.hue=0.1"),
         (1, 24, 32), "1 x 24 x 32: it fails"),
        (("+transform@augment.transforms.new=resized_crop", "augment.transforms.new.size=[8,9]"),
         (3, 24, 32), "it makes them 3 x 8 x 9"),
        (("+augment.transforms.new={_target_: kornia.augmentation.Normalize, mean: 0.5,"
          " std: 0.2}",), (3, 24, 32), "leaves the range"),
        (("+augment.transforms.new={_target_: torch.nn.MaxPool2d, kernel_size: 2,"
          " return_indices: true}",), (3, 24, 32), "a tuple, not images"),
    ],
)  # fmt: skip
def test_what_does_not_suit_the_pictures_is_refused(
    words: tuple[str, ...], shape: tuple[int, ...], told: str
) -> None:
    """By its name, with its reason and how to leave it out; also where it is drawn rarely."""
    node = choice("light", *words)
    if "p" in node["transforms"]["new"]:
        node["transforms"]["new"]["p"] = 0.001
    augmentation: Augmentation = build_part(node, "augment")
    with pytest.raises(UserError, match=told) as caught:
        augmentation.check(shape)
    assert caught.value.what.startswith("augment.transforms.new cannot augment")
    assert "'~augment.transforms.new'" in (caught.value.details["do"] or "")


def test_values_that_are_not_finite_are_refused() -> None:
    """They would end in every weight."""

    class Logarithm(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images - 0.5).log()

    with pytest.raises(UserError, match="not finite"):
        Augmentation({"logarithm": Logarithm()}).check((3, 8, 8))


def test_check_draws_nothing_from_the_run() -> None:
    """Whether it was checked cannot be seen in what follows."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build("light").check((3, 8, 8))
    assert torch.equal(torch.rand(3), expected)


def test_what_kornia_does_not_build_is_told_by_name() -> None:
    """Of several transforms, the one that was given a wrong value."""
    with pytest.raises(UserError, match=r"augment\.transforms\.jitter cannot be built: hue"):
        build("cherry", "augment.transforms.jitter.hue=0.9")


def test_a_number_is_no_transform() -> None:
    """It is refused when the part is built."""
    with pytest.raises(UserError, match=r"augment\.transforms\.flip is no transform"):
        build("none", "+augment.transforms.flip=3")


def test_wrong_arguments_are_refused_unbuilt() -> None:
    """kornia's own classes are read like any other part, lists for its tuples included."""
    node = choice("cherry")
    node["transforms"]["affine"]["degres"] = 3
    with pytest.raises(UserError) as caught:
        check_part(node, "augment")
    assert caught.value.details["nearest"] == "augment.transforms.affine.degrees"


def test_a_transform_is_overridden_and_left_out_by_name() -> None:
    """As the words on the command line say, and the others stay in their order."""
    node = choice("cherry", "augment.transforms.affine.degrees=30", "~augment.transforms.blur")
    assert list(node["transforms"]) == ["affine", "jitter"]
    assert node["transforms"]["affine"]["degrees"] == 30


def test_mixing_does_without_kornia(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no transform need not wait for it."""
    monkeypatch.setitem(sys.modules, "kornia", None)  # an import fails
    assert "kornia" not in vars(pipeline)
    mixing = Augmentation(mixup_alpha=1)
    mixing.mix(torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), 2)


@pytest.mark.slow
def test_kornia_is_loaded_for_its_transforms_alone() -> None:
    """Whoever augments nothing, or only mixes, does not wait for it."""
    code = (
        "import sys, torch; from expkit.augment.pipeline import Augmentation;"
        "Augmentation(mixup_alpha=1).mix(torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), 2);"
        "sys.exit('kornia' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
