"""Models with a mistake in them, given as `_target_` with `trust=[broken_models]`.

Each factory makes a sound net and then breaks it: `damage` names how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from expkit.models.conv import ConvNet
from expkit.models.scan_line import ScanLineTransformer
from expkit.models.timm_model import TimmModel


def conv_net(damage: str, *, image_shape: Any, num_outputs: int, **options: Any) -> nn.Module:
    num_outputs += damage == "too_many_outputs"
    return DAMAGES[damage](ConvNet(**options, image_shape=image_shape, num_outputs=num_outputs))


def scan_line(damage: str, *, image_shape: Any, num_outputs: int, **options: Any) -> nn.Module:
    net = ScanLineTransformer(**options, image_shape=image_shape, num_outputs=num_outputs)
    return DAMAGES[damage](net)


def timm_model(damage: str, *, image_shape: Any, num_outputs: int, **options: Any) -> nn.Module:
    net = TimmModel(**options)(image_shape=image_shape, num_outputs=num_outputs)
    return DAMAGES[damage](net)


class Around(nn.Module):
    """A net with something before and after it."""

    def __init__(self, net: nn.Module, *, before: Any = None, after: Any = None) -> None:
        super().__init__()
        self.net, self.before, self.after = net, before, after

    def forward(self, images_BCHW: Tensor) -> Tensor:
        if self.before is not None:
            images_BCHW = self.before(images_BCHW)
        outputs: Tensor = self.net(images_BCHW)
        return outputs if self.after is None else self.after(outputs)


def last_linear(net: nn.Module) -> nn.Linear:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]


def weighted(net: nn.Module) -> list[nn.Module]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def features(net: nn.Module) -> nn.Module:
    """The part whose answer the head reads."""
    for name in ("backbone", "global_pool", "norm"):
        part = getattr(net, name, None)
        if isinstance(part, nn.Module) and not isinstance(part, nn.Identity):
            return part
    raise AssertionError("the net has no part that ends in features")


def swap_layers(net: nn.Module, kind: type[nn.Module], make: Callable[[], nn.Module]) -> nn.Module:
    for name, child in list(net.named_children()):
        if isinstance(child, kind):
            setattr(net, name, make())
        else:
            swap_layers(child, kind, make)
    return net


def hooked(part: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    part.register_forward_hook(lambda module, inputs, outputs: change(outputs))


def scaled(layers: list[nn.Module], factor: float) -> None:
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(factor)


# Ends.


def softmax(net: nn.Module) -> nn.Module:
    return Around(net, after=nn.Softmax(dim=1))


def sigmoid(net: nn.Module) -> nn.Module:
    return Around(net, after=nn.Sigmoid())


def huge_head(net: nn.Module) -> nn.Module:
    scaled([last_linear(net)], 100)
    return net


def biased_head(net: nn.Module) -> nn.Module:
    """As left over from a detector: one class is all but certain from the start."""
    with torch.no_grad():
        last_linear(net).bias[0] = 30.0
    return net


# Gradients.


def detached(net: nn.Module) -> nn.Module:
    hooked(features(net), lambda outputs: outputs.detach())
    return net


def detached_start(net: nn.Module) -> nn.Module:
    """The first half was run for its features alone, once, and the line stayed."""
    layers = weighted(net)
    hooked(layers[len(layers) // 2], lambda outputs: outputs.detach())
    return net


def frozen_backbone(net: nn.Module) -> nn.Module:
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for parameter in last_linear(net).parameters():
        parameter.requires_grad_(True)
    return net


def all_frozen(net: nn.Module) -> nn.Module:
    return net.requires_grad_(False)


# Samples.


def centred_on_batch(net: nn.Module) -> nn.Module:
    """Features less the batch's mean, also where the net only answers."""
    hooked(features(net), lambda outputs: outputs - outputs.mean(0))
    return net


def softmax_over_batch(net: nn.Module) -> nn.Module:
    """dim=0 where dim=1 was meant, in a gate on the features."""
    hooked(features(net), lambda outputs: outputs * outputs.softmax(0) * len(outputs))
    return net


def attention_over_batch(net: nn.Module) -> nn.Module:
    """batch_first forgotten: samples attend to each other."""
    for layer in net.modules():
        if isinstance(layer, nn.MultiheadAttention):
            layer.batch_first = False
    return net


# Modes.


def norm_never_trains(net: nn.Module) -> nn.Module:
    return _fix_mode(net, training=False)


def norm_always_trains(net: nn.Module) -> nn.Module:
    return _fix_mode(net, training=True)


def _fix_mode(net: nn.Module, *, training: bool) -> nn.Module:
    for layer in net.modules():
        if isinstance(layer, _BatchNorm):
            layer.training = training
            layer.train = lambda mode=True, layer=layer: layer
    return net


# Units.


def dead(net: nn.Module) -> nn.Module:
    """Biases of -10 before a rectifier."""
    with torch.no_grad():
        weighted(net)[1].bias.fill_(-10.0)
    return net


def dead_head(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        weighted(net)[-2].bias.fill_(-10.0)
    return net


def saturated(net: nn.Module) -> nn.Module:
    swap_layers(net, nn.ReLU, nn.Tanh)
    scaled(weighted(net)[:-1], 60)
    return net


def sigmoids(net: nn.Module) -> nn.Module:
    return swap_layers(net, nn.ReLU, nn.Sigmoid)


def linear(net: nn.Module) -> nn.Module:
    return swap_layers(net, nn.ReLU, nn.Identity)


def linear_feed_forward(net: nn.Module) -> nn.Module:
    """In each layer two linear maps stand one after the other."""
    for layer in net.modules():
        if isinstance(layer, nn.TransformerEncoderLayer):
            layer.activation = nn.Identity()
            layer.activation_relu_or_gelu = 0
    return net


# Weights.


def tenfold(net: nn.Module) -> nn.Module:
    scaled(weighted(net), 10)
    return net


def zeros(net: nn.Module) -> nn.Module:
    scaled(weighted(net), 0)
    return net


def tiny_weights(net: nn.Module) -> nn.Module:
    """A standard deviation of 1e-4 given where 1e-1 was meant."""
    scaled(weighted(net)[:-1], 3e-3)
    return net


def nan_weight(net: nn.Module) -> nn.Module:
    """As after loading a file that was torn."""
    with torch.no_grad():
        weighted(net)[1].weight.flatten()[0] = torch.nan
    return net


def log_of_zero(net: nn.Module) -> nn.Module:
    hooked(features(net), lambda outputs: outputs.clamp_min(0).log())
    return net


def spread_without_slope(net: nn.Module) -> nn.Module:
    """Instance norm by hand, on maps of 1 x 1: finite forward, 0 / 0 in the slope of a root."""

    def normed(maps: Tensor) -> Tensor:
        centred = maps - maps.mean((2, 3), keepdim=True)
        return centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + 1e-5)

    hooked(weighted(net)[2], normed)
    return net


def overflowing(net: nn.Module) -> nn.Module:
    """Features above the largest number of half precision, and scaled back."""
    hooked(features(net), lambda outputs: (outputs.half() * 1e5).float() / 1e5)
    return net


def denormal(net: nn.Module) -> nn.Module:
    scaled(weighted(net)[:-1], 1e-39)
    return net


# Inputs.


def divided_again(net: nn.Module) -> nn.Module:
    return Around(net, before=lambda images: images / 255)


DAMAGES: Mapping[str, Callable[[nn.Module], nn.Module]] = {
    each.__name__: each
    for each in (
        softmax, sigmoid, huge_head, biased_head, detached, detached_start, frozen_backbone,
        all_frozen, centred_on_batch, softmax_over_batch, attention_over_batch,
        norm_never_trains, norm_always_trains, dead, dead_head, saturated, sigmoids, linear,
        linear_feed_forward, tenfold, zeros, tiny_weights, nan_weight, log_of_zero,
        spread_without_slope, overflowing, denormal, divided_again,
    )
} | {"too_many_outputs": lambda net: net}  # fmt: skip
