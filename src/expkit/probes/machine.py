"""The hardware of this machine, beside what was asked of it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from expkit.hardware import count_cores, has_apple_gpu
from expkit.training.device import Device, available_devices
from expkit.training.seeding import seed_everything

# what a driver leaves where it has found an accelerator, usable or not
DRIVER_FILES = {
    "NVIDIA GPU": ("/dev/nvidia0", "/dev/dxg"),
    "AMD GPU": ("/dev/kfd",),
}


def describe_machine(choice: Mapping[str, Any], device: Device) -> dict[str, Any]:
    """The device asked for and used, with all that decides how fast and how exactly it works.

    `choice` is the config's `device`.
    """
    available = list(available_devices())
    return {
        "asked": choice.get("name", "auto"),
        "used": device.torch_device.type,
        "available": available,
        "unusable_accelerators": [] if len(available) > 1 else find_accelerators(),
        "precision": device.precision,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "flush_denormals": flushes_denormals(),
        "threads": torch.get_num_threads(),
        "cores": count_cores(),
    }


def find_accelerators() -> list[str]:
    """The accelerators that this machine shows without torch's help, and how each was noticed."""
    found = [
        f"{name}: {path}"
        for name, paths in DRIVER_FILES.items()
        for path in paths
        if Path(path).exists()
    ]
    if not any(each.startswith("NVIDIA") for each in found) and shutil.which("nvidia-smi"):
        found.append("NVIDIA GPU: nvidia-smi")
    if has_apple_gpu():
        found.append("Apple GPU: arm64")
    return found


def flushes_denormals() -> bool:
    """Tell whether half of the smallest normal number is nothing on this thread's processor."""
    smallest = torch.tensor([torch.finfo(torch.float32).tiny])
    return bool((smallest / 2).eq(0).item())


def repeats_itself(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: tuple[Tensor, Tensor],
    device: Device,
) -> bool:
    """Tell whether one forward and backward pass, from one seed, gives the same bits twice.

    The model is left as it was, but for gradients, which are cleared.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    passes = []
    for _ in range(2):
        model.load_state_dict(state)
        # a copy: a loss with state would begin the second pass elsewhere
        passes.append(_outputs_and_gradients(model, copy.deepcopy(loss), batch, device))
    model.load_state_dict(state)
    model.zero_grad(set_to_none=True)
    return all(map(_same_bits, *passes))


def _outputs_and_gradients(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: tuple[Tensor, Tensor],
    device: Device,
) -> list[Tensor]:
    images_BCHW, targets = batch
    with torch.random.fork_rng(_cuda_devices(device)):
        seed_everything(0, "repeats")
        model.zero_grad(set_to_none=True)
        with device.autocast():
            outputs = model(device.arrange(images_BCHW))
            loss(outputs, targets).backward()
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    return [outputs.detach(), *(each.clone() for each in gradients)]


def _cuda_devices(device: Device) -> list[int]:
    return [torch.cuda.current_device()] if device.torch_device.type == "cuda" else []


def _same_bits(ours: Tensor, theirs: Tensor) -> bool:
    """NaNs are the same where they stand in the same places."""
    return bool(((ours == theirs) | (ours.isnan() & theirs.isnan())).all())
