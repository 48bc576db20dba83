"""expkit latency: how long a run's model takes to predict, and how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expkit.records.files import write_json
from expkit.records.run.reader import find_run
from expkit.records.run.writer import explain_disk_errors
from expkit.runner.run import without_collector
from expkit.terminal.arguments import Parser, count, duration, threads

DESCRIPTION = (
    "Time a run's model after warm-up: median and tails of one batch, prepared images to "
    "outputs. The figures go to latency.json in the run's folder too."
)


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit latency", description=DESCRIPTION)
    parser.add_argument(
        "run", help="a path, a unique part of a run's name, or last; an exported folder"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="not the run's")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument("--batch", type=count, default=1, help="images at once (default 1)")
    parser.add_argument("--threads", type=threads, help="CPU threads (default: torch's choice)")
    parser.add_argument("--seconds", type=duration, default=5.0, help="to measure for (default 5)")
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    arguments = parser.parse_args(words)
    run = find_run(arguments.run)
    weights, exported = run.weights, run.trained.exported
    with without_collector():
        from expkit.runner.restoring import restore
        from expkit.training.latency import measure_latency

    changes: dict[str, Any] = {"precision": arguments.precision, "threads": arguments.threads}
    changes |= {"name": arguments.device} if arguments.device else {}
    restored = restore(run, trusted=arguments.trust, device=changes)
    shape = (arguments.batch, *run.dataset.image_shape)
    figures = {
        "device": restored.device.reason,
        **measure_latency(restored.model, restored.device, shape, arguments.seconds),
        "file_bytes": exported.num_bytes if exported else weights.stat().st_size,
    }
    if exported is not None:  # its runtime does not tell
        figures = {k: v for k, v in figures.items() if k not in ("parameters", "macs")}
    with explain_disk_errors(run.path):
        write_json(run.path / "latency.json", figures)
    print(screen(run.name, figures))
    return 0


def screen(name: str, figures: dict[str, Any]) -> str:
    """The figures in units that a reader compares."""
    batch, *shape = figures["shape"]
    wide = "1 image" if batch == 1 else f"{batch} images"
    lines = [
        f"{name}: {wide} of {' x '.join(map(str, shape))} at once",
        f"  device   {figures['device']}",
        f"  latency  median {figures['median_ms']:.2f} ms, 95 % within {figures['p95_ms']:.2f} ms, "
        f"99 % within {figures['p99_ms']:.2f} ms, worst {figures['max_ms']:.2f} ms "
        f"({figures['num_runs']} runs)",
        f"  speed    {figures['samples_per_second']:,.0f} images/s at the median",
        f"  size     {_size(figures)}",
    ]
    return "\n".join(lines)


def _size(figures: dict[str, Any]) -> str:
    on_disk = f"{figures['file_bytes'] / 1e6:.1f} MB on disk"
    if "parameters" not in figures:
        return on_disk
    macs = f"{figures['macs'] / 1e6:,.1f} million multiply-adds an image"
    return f"{figures['parameters']:,} parameters, {on_disk}, {macs}"
