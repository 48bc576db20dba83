"""expkit parity: whether a device and its precision compute what the processor does in fp32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from expkit.config.compose import compose_and_run
from expkit.config.multirun.hydra_task import Task, refuse_sweep
from expkit.config.run_request import Request
from expkit.runner.run import EXIT_FAILED, EXIT_PASSED, build
from expkit.terminal.arguments import Parser, count

if TYPE_CHECKING:
    from expkit.probes.layer_replay import Difference
    from expkit.probes.parity_steps import Parity

DESCRIPTION = (
    "Take the same first steps on the processor in fp32 and on the device and precision asked "
    "for, and name the first layer whose outputs part. Augmentation and dropout are off. Exits "
    "with 1 where they part by more than the precision explains."
)
NUM_AROUND = 4  # layers shown before and behind the first one apart
NUM_SHOWN = 10  # of those the furthest apart, where none is too far


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit parity", description=DESCRIPTION)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="as for expkit train: model=resnet18 device=cuda device.precision=bf16",
    )
    parser.add_argument("--steps", type=count, default=3, help="optimisation steps (default 3)")
    arguments = parser.parse_intermixed_args(words)

    def run(request: Request) -> int:
        return compare(request, arguments.steps)

    task = Task(run, refuse_sweep, refuse_sweep)
    compose_and_run(arguments.overrides, task)
    return task.codes[0]


def compare(request: Request, num_steps: int) -> int:
    """Build the run's parts, take the steps on both devices, and tell; the exit code."""
    parts = build(request.config)
    from expkit.runner.parity_steps import compare_run

    parity = compare_run(parts, num_steps)
    print(screen(request.config.name, parts.device.reason, parity))
    return EXIT_PASSED if parity.is_within else EXIT_FAILED


def screen(name: str, device: str, parity: Parity) -> str:
    """The layers around the first difference, every step, and what it comes to."""
    steps = "1 step" if len(parity.steps) == 1 else f"{len(parity.steps)} steps"
    lines = [
        f"{name}: {steps}, the same weights and batches",
        "  reference  cpu, fp32",
        f"  device     {device}",
        "",
        *_layer_table(parity),
        "",
        *_step_table(parity),
        "",
        *_verdict(parity),
    ]
    return "\n".join(lines)


def _layer_table(parity: Parity) -> list[str]:
    layers = shown_layers(parity)
    names = max((len(layer.name) for layer in layers), default=0)
    types = max((len(layer.type) for layer in layers), default=0)
    of_all = f"{len(layers)} of {len(parity.layers)} layers, in the order in which they ran"
    lines = [f"  {of_all}: its own difference, what the precision explains, and the sum so far"]
    for layer in layers:
        mark = "" if layer.is_within else "  APART"
        lines.append(
            f"    {layer.name:<{names}}  {layer.type:<{types}}  {fraction(layer.error):>9}  "
            f"{fraction(layer.tolerance):>9}  {fraction(layer.error_so_far):>9}{mark}"
        )
    return lines


def shown_layers(parity: Parity) -> list[Difference]:
    """Those around the first one apart; else those that come the nearest to it."""
    layers = list(parity.layers)
    first = parity.first_apart
    if first is not None:
        at = layers.index(first)
        return layers[max(0, at - NUM_AROUND) : at + NUM_AROUND + 1]
    nearest = sorted(layers, key=lambda layer: layer.error / layer.tolerance)[-NUM_SHOWN:]
    return [layer for layer in layers if layer in nearest]


def _step_table(parity: Parity) -> list[str]:
    lines = [
        "  each step: loss on either side; differences of loss, gradients and weights' changes"
    ]
    for step in parity.steps:
        mark = "" if step.is_within else "  APART"
        lines.append(
            f"  {step.number:>4}  {step.reference_loss:<9.6g}  {step.loss:<9.6g}  "
            f"{_beside(step.loss_error, step.loss_tolerance)}  "
            f"{_beside(step.gradient_error, step.gradient_tolerance)}  "
            f"{fraction(step.update_error):>9}{mark}"
        )
    return lines


def _beside(error: float, tolerance: float) -> str:
    return f"{fraction(error):>10} of {fraction(tolerance):<6}"


def _verdict(parity: Parity) -> list[str]:
    first = parity.first_apart
    if first is not None:
        return [
            f"  apart from {first.name} ({first.type}) on: given the same inputs its outputs "
            f"differ by "
            f"{fraction(first.error)}, and {fraction(first.tolerance)} can be explained"
        ]
    apart = next((step for step in parity.steps if not step.is_within), None)
    if apart is None:
        return ["  within the precision's tolerance"]
    if not apart.loss_error <= apart.loss_tolerance:
        return [f"  apart in step {apart.number}, in the loss: the layers before it agree"]
    if not apart.gradient_error <= apart.gradient_tolerance:
        return [
            f"  apart in step {apart.number}, in the gradients: the furthest is that of "
            f"{apart.worst_gradient}, by {fraction(apart.worst_gradient_error)}"
        ]
    return [f"  apart in step {apart.number}, in what the optimizer makes of the gradients"]


def fraction(value: float) -> str:
    """A relative difference in percent, two digits of it."""
    if not math.isfinite(value):
        return "not finite"
    return f"{100 * value:.2g} %" if value < 10 else f"{value:.1e} x"
