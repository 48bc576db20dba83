"""The model: what comes out of it, and that all of it learns."""

import pytest
import torch

from my_project.model import SmallResNet


@pytest.mark.parametrize("image_shape", [(3, 32, 32), (1, 28, 28)])
def test_gives_a_logit_for_each_class(image_shape: tuple[int, int, int]) -> None:
    """Whatever the data's shape is: colour or grey, of even or odd sizes on the way down."""
    model = SmallResNet([8, 16, 32], image_shape=image_shape, num_outputs=5)
    assert model(torch.rand(4, *image_shape)).shape == (4, 5)


def test_gradients_reach_every_parameter() -> None:
    """A layer that is left out of `forward` would get none."""
    model = SmallResNet([8, 16], image_shape=(3, 16, 16), num_outputs=2)
    torch.nn.functional.cross_entropy(
        model(torch.rand(4, 3, 16, 16)), torch.tensor([0, 1, 0, 1])
    ).backward()
    assert [name for name, each in model.named_parameters() if each.grad is None] == []


def test_samples_do_not_mix() -> None:
    """In evaluation, an image's prediction is its own, whatever stands beside it in the batch."""
    model = SmallResNet([8, 16], image_shape=(3, 16, 16), num_outputs=2).eval()
    images = torch.rand(4, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(images)[:1], model(images[:1]))
