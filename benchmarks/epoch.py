"""An epoch of larger_backbone on the puzzle: expkit's loop, a bare one, and the usual one.

Command         python benchmarks/epoch.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it: threads that wait for each other
                while others hold the cores make an epoch ten times longer, and no two alike)
Compares        expkit's `train_epochs` with (1) a loop written by hand for this one case: the same
                model, batches of 128, uint8 images resident on the device, channels last, bf16
                where the hardware has it, fused Adam; and (2) what most projects do: the same 950
                pieces as PNG files, ImageFolder, DataLoader with 2 workers, fp32, NCHW, Adam, in
                a process of its own. Pairs run in turns, the first changing from round to round;
                a figure is the median of the rounds' ratios
Figures         at most 1.03 x the bare loop's seconds; at least 4 x faster than the usual loop
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

from bounds import Bounds, inform, parse_arguments, say_load
from loops import time_in_turns, train_barely, train_by_expkit
from usual_loop import make_model, train_as_usual, write_pieces

from expkit.data.datasets.puzzle import Puzzle
from expkit.data.store.progress import silent
from expkit.training.device import DeviceChoice

MODEL, BATCH_SIZE, NUM_CLASSES = "larger_backbone", 128, 950


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=41)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    gc.disable()
    device = DeviceChoice().open()
    print(device.reason)
    dataset = Puzzle().read(silent)
    expkit = train_by_expkit(make_model(MODEL, NUM_CLASSES), dataset, device, BATCH_SIZE)

    rounds = time_in_turns(
        expkit,
        train_barely(make_model(MODEL, NUM_CLASSES), dataset, device, BATCH_SIZE),
        arguments.repeats,
    )
    inform("epoch by expkit", [ours for ours, _ in rounds], "s")
    inform("epoch of the bare loop", [bare for _, bare in rounds], "s")
    bounds.hold("expkit / bare loop", [ours / bare for ours, bare in rounds], "x", bound=1.03)

    with tempfile.TemporaryDirectory() as folder:
        write_pieces(dataset.splits["train"], Path(folder))
        images = dataset.splits["train"].images / 255
        usual_loop = train_as_usual(
            MODEL,
            NUM_CLASSES,
            Path(folder),
            batch_size=BATCH_SIZE,
            mean=images.mean((0, 1, 2)).tolist(),
            spread=images.std((0, 1, 2)).tolist(),
        )
        rounds = time_in_turns(expkit, usual_loop, max(3, arguments.repeats // 4))
    inform("epoch of the usual loop", [usual for _, usual in rounds], "s")
    faster = [usual / ours for ours, usual in rounds]
    bounds.hold("usual loop / expkit", faster, "x", bound=4, least=True)
    bounds.finish()


if __name__ == "__main__":
    main()
