"""Models of timm: names, shapes, and weights from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from expkit.errors import UserError
from expkit.models.timm_model import TimmModel
from expkit.models.timm_names import check_timm_name


def test_every_name_of_timm_is_known() -> None:
    """What is read from timm's source agrees with what timm says once it is loaded."""
    for name in timm.list_models()[::50]:
        check_timm_name(name)
    check_timm_name("resnet18.a1_in1k")


@pytest.mark.parametrize(
    ("name", "nearest"), [("resnet81", "resnet18"), ("resnet18.a9_in1k", "resnet18.a")]
)
def test_misspelt_name_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    """Both the model and the tag of its weights are told apart."""
    with pytest.raises(UserError) as raised:
        TimmModel(name)
    assert nearest in raised.value.screen()


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 40, 56), (5, 32, 32)])
def test_classes_and_channels_follow_the_data(shape: tuple[int, int, int]) -> None:
    """Any number of channels goes in, and an answer for each class comes out."""
    net = TimmModel("resnet10t")(image_shape=shape, num_outputs=7).eval()
    assert net(torch.zeros(2, *shape)).shape == (2, 7)


def test_size_follows_the_data_where_the_model_has_one() -> None:
    """A vision transformer has a place for each patch, so it must know the size."""
    net = TimmModel("vit_tiny_patch16_224")(image_shape=(3, 32, 48), num_outputs=2).eval()
    assert net(torch.zeros(1, 3, 32, 48)).shape == (1, 2)


def saved(folder: Path, kind: str, num_classes: int = 4) -> tuple[torch.nn.Module, Path]:
    net = timm.create_model("resnet10t", num_classes=num_classes)
    path = folder / f"weights.{kind}"
    if kind == "safetensors":
        save_file(net.state_dict(), path)
    else:
        torch.save({"state_dict": net.state_dict()}, path)
    return net, path


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_come_from_a_file(tmp_path: Path, kind: str) -> None:
    """All of them where the classes agree, the last layer included."""
    net, path = saved(tmp_path, kind)
    made = TimmModel("resnet10t", weights=str(path))(image_shape=(3, 32, 32), num_outputs=4)
    for name, value in made.state_dict().items():
        assert torch.equal(value, net.state_dict()[name]), name


def test_last_layer_is_drawn_anew_for_other_classes(tmp_path: Path) -> None:
    """The backbone of a file serves a problem with another number of classes."""
    net, path = saved(tmp_path, "safetensors")
    made = TimmModel("resnet10t", weights=str(path))(image_shape=(3, 32, 32), num_outputs=3)
    assert made.fc.weight.shape[0] == 3
    assert torch.equal(made.layer1[0].conv1.weight, net.layer1[0].conv1.weight)


def test_a_backbone_without_a_last_layer_gets_one(tmp_path: Path) -> None:
    """As self-supervised weights come: everything but the classifier is taken."""
    net = timm.create_model("resnet10t", num_classes=0)
    save_file(net.state_dict(), tmp_path / "backbone.safetensors")
    source = TimmModel("resnet10t", weights=str(tmp_path / "backbone.safetensors"))
    made = source(image_shape=(3, 32, 32), num_outputs=5)
    assert torch.equal(made.layer4[0].conv1.weight, net.layer4[0].conv1.weight)
    assert made.fc.weight.shape[0] == 5


def test_weights_of_colour_serve_grey_pictures(tmp_path: Path) -> None:
    """The first convolution's channels are summed, as timm does with its own."""
    net, path = saved(tmp_path, "safetensors")
    made = TimmModel("resnet10t", weights=str(path))(image_shape=(1, 32, 32), num_outputs=4)
    first = net.conv1[0].weight
    assert torch.allclose(made.conv1[0].weight, first.sum(dim=1, keepdim=True))


def test_other_classes_do_not_hide_another_model(tmp_path: Path) -> None:
    """Weights that do not fit are refused whatever the last layers are."""
    _, path = saved(tmp_path, "safetensors", num_classes=9)
    with pytest.raises(UserError, match="do not fit"):
        TimmModel("resnet18", weights=str(path))(image_shape=(3, 32, 32), num_outputs=4)


@pytest.mark.parametrize("content", [b"", b"root:x:0:0", b"PK\x03\x04"])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, the message is about the file."""
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as weights"):
        TimmModel("resnet10t", weights=str(path))(image_shape=(3, 32, 32), num_outputs=4)


def test_options_may_not_contradict_the_data() -> None:
    """The number of classes is the dataset's to say."""
    with pytest.raises(UserError, match=r"num_classes is not for model\.options"):
        TimmModel("resnet10t", options={"num_classes": 3})


def test_weights_of_another_model_are_refused_with_their_keys(tmp_path: Path) -> None:
    """The message names what did not fit."""
    _, path = saved(tmp_path, "pt")
    with pytest.raises(UserError, match="do not fit") as raised:
        TimmModel("resnet18", weights=str(path))(image_shape=(3, 32, 32), num_outputs=4)
    assert "layer1" in raised.value.screen()
    assert len(raised.value.screen().splitlines()) < 40


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    """A file that would run code when it is read is refused."""
    path = tmp_path / "whole_model.pt"
    torch.save(timm.create_model("resnet10t"), path)
    with pytest.raises(UserError, match="cannot be read as weights"):
        TimmModel("resnet10t", weights=str(path))(image_shape=(3, 32, 32), num_outputs=4)


def test_missing_file_is_refused_before_torch() -> None:
    """Already the config is wrong."""
    with pytest.raises(UserError, match="no file"):
        TimmModel("resnet18", weights="nowhere.pt")


def test_pretrained_weights_out_of_reach_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One message says what to do instead, without a minute of retries."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"cannot be reached.*") as raised:
        TimmModel("resnet18", pretrained=True)(image_shape=(3, 32, 32), num_outputs=2)
    assert "model.pretrained=false" in raised.value.screen()
