"""What log 5's transformer pays for its uncertainty, and saves by gradient checkpointing.

Command         python benchmarks/logo_vit.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it, as for epoch.py)
Compares        a training step of logo_vit at 64 pixels by expkit's `Learner`, Adam fused, fp32,
                batch 32, with and without `uncertainty`. A round is a step of each, the first of
                the two changing; a ratio is of the medians of five rounds in a row.
                Activations, of logo_vit_base (12 layers) at 224 pixels and of a vit_scanline of
                12 layers, with and without `gradient_checkpointing`: the most memory that a
                forward and a backward pass hold at once above parameters, gradients and images,
                as torch's profiler sees it allocated; what is computed again is within
Figures         uncertainty at most 1.1 x the step without; checkpointing at most 0.6 x the memory
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from typing import Any

import torch
from bounds import Bounds, inform, parse_arguments, say_load
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from expkit.config.paths import builtin_conf
from expkit.runner.components import make_model
from expkit.training.device import Device
from expkit.training.learner import Learner

BATCH_SIZE, SIDE, NUM_CLASSES = 32, 64, 4
NUM_WARMUPS, ROUNDS_PER_FIGURE = 4, 5
CPU = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")


def make_net(words: list[str], image_shape: tuple[int, int, int]) -> nn.Module:
    with initialize_config_dir(str(builtin_conf().resolve()), version_base="1.3"):
        node: Any = OmegaConf.to_container(compose("config", overrides=words).model)
    torch.manual_seed(0)
    return CPU.place(make_model(node, image_shape=image_shape, num_outputs=NUM_CLASSES))


def time_step(learner: Learner, images_BCHW: Tensor, targets: Tensor) -> float:
    started = time.perf_counter()
    learner.forward_backward(images_BCHW, targets)
    learner.step()
    return time.perf_counter() - started


def time_uncertainty(bounds: Bounds, repeats: int) -> None:
    images_BCHW = torch.randn(BATCH_SIZE, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    targets = torch.arange(BATCH_SIZE) % NUM_CLASSES
    learners = []
    for uncertainty in ("false", "true"):
        net = make_net(["model=logo_vit", f"model.uncertainty={uncertainty}"], (3, SIDE, SIDE))
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
        learner = Learner(net, optimizer, nn.CrossEntropyLoss(), CPU, scale=lambda *_: 1.0)
        learner.train_mode()
        learners.append(learner)
    seconds: list[list[float]] = [[], []]  # without, with
    gc.disable()
    for number in range(NUM_WARMUPS + repeats * ROUNDS_PER_FIGURE):
        for which in (0, 1) if number % 2 else (1, 0):
            taken = time_step(learners[which], images_BCHW, targets)
            if number >= NUM_WARMUPS:
                seconds[which].append(taken)
    gc.enable()
    plain, uncertain = (
        [
            statistics.median(times[start : start + ROUNDS_PER_FIGURE])
            for start in range(0, len(times), ROUNDS_PER_FIGURE)
        ]
        for times in seconds
    )
    inform("step of logo_vit, batch of 32", plain, "s")
    ratios = [both / alone for both, alone in zip(uncertain, plain, strict=True)]
    bounds.hold("with uncertainty / without", ratios, "x", bound=1.1)


def peak_bytes(net: nn.Module, images_BCHW: Tensor) -> int:
    """The most bytes that a forward and a backward pass hold at once, gradients there before."""
    net.train()(images_BCHW).sum().backward()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        net(images_BCHW).sum().backward()
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(itertools.accumulate(num_bytes for _, num_bytes in changes))


def measure_activations(bounds: Bounds) -> None:
    nets = {
        "logo_vit_base": (["model=logo_vit_base"], (3, 224, 224)),
        "vit_scanline, 12 layers": (["model=vit_scanline", "model.layers=12"], (1, 128, 128)),
    }
    for name, (words, shape) in nets.items():
        found = []
        for on in ("false", "true"):
            net = make_net([*words, f"model.gradient_checkpointing={on}"], shape)
            found.append(peak_bytes(net, torch.randn(2, *shape)))
            del net
        plain, saved = found
        inform(f"activations of {name}, 2 samples", [plain / 1e6], "MB")
        inform("... with gradient checkpointing", [saved / 1e6], "MB")
        bounds.hold(f"... {name}, with / without", [saved / plain], "x", bound=0.6)


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=5)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    time_uncertainty(bounds, arguments.repeats)
    measure_activations(bounds)
    bounds.finish()


if __name__ == "__main__":
    main()
