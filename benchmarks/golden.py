"""Golden runs: seeded runs of every kind, made by two versions of the code and held together.

    python benchmarks/golden.py record FOLDER [NAME ...]
    python benchmarks/golden.py compare OLD NEW

`make golden BASE=COMMIT` does both: a refactor shows with it that it changed nothing. All must be
equal to the last bit but for times, memory, dates and sentences: weights, history, signals,
predictions, metrics, findings, exit codes, and the names of the files. IMAGES=FOLDER adds a run
on your own images, which lie there as CLASS/*.jpg.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

SMALL_PUZZLE = "dataset=puzzle dataset.rows=3 dataset.columns=4 dataset.piece_size=16"
DIGITS = "dataset=digits dataset.limit=40"
FEW = "procedure.train.max_epochs=4"
RUNS = {
    "puzzle_cell": f"train {SMALL_PUZZLE} procedure.train.max_epochs=12 seed=3",
    "puzzle_position": f"train {SMALL_PUZZLE} dataset.target=position loss=mse "
    f"criteria=regression {FEW} seed=1",
    "puzzle_rotation": f"train {SMALL_PUZZLE} dataset.target=rotation {FEW} seed=1",
    "deep_head": f"train {SMALL_PUZZLE} model=deep_head dataset.normalize=none "
    "procedure.overfit_10.max_steps=60 seed=0",
    "digits": f"train {DIGITS} model.norm=batch model.dropout=0.2 augment=light optimizer=adamw "
    f"schedule=cosine procedure.train.max_gradient_norm=1 procedure.train.ema_decay=0.9 {FEW}",
    "digits_bf16": f"train {DIGITS} device.precision=bf16 procedure.train.batches_per_step=2 "
    f"augment=mixup {FEW}",
    "folder": f"train dataset=image_folder dataset.root=images dataset.size=24 "
    f"loss.class_weights=balanced augment=cherry procedure.train.patience=2 {FEW}",
    "balanced": "train dataset=image_folder dataset.root=images dataset.size=24 "
    f"procedure.train.balanced_sampling=true optimizer=sgd {FEW}",
    "scan_lines": "train dataset=scan_lines dataset.num_samples=60 dataset.size=32 "
    "model=vit_scanline model.layers=2 model.width=32 model.heads=2 model.feed_forward=64 "
    "procedure=full procedure.train.max_epochs=2",
    "frozen_then_full": f"train {DIGITS} procedure=frozen_then_full procedure.head.max_epochs=2 "
    "procedure.full.max_epochs=2",
    "two_stage": f"train {DIGITS} procedure=two_stage procedure.binary.max_epochs=3 "
    "procedure.three_way.max_epochs=2",
    "timm": "train dataset=image_folder dataset.root=images dataset.size=32 model=timm "
    "model.name=resnet10t procedure=full procedure.train.max_epochs=1",
    "high_lr": f"train {DIGITS} optimizer=sgd optimizer.lr=30 procedure=full {FEW}",
    "seeds": f"train -m {DIGITS} procedure=full {FEW} seed=0,1,2 launcher.jobs=1",
    "stacked": f"train -m {DIGITS} procedure=full {FEW} seed=0,1,2 launcher=stacked",
    "ablation": f"train -m {DIGITS} procedure=full procedure.train.max_epochs=2 "
    "+ablation.changes={slow:{optimizer.lr:1e-5},batch:{model.norm:batch}} "
    "+ablation.seeds=[0,1] launcher.jobs=1",
}
ALL_ALIKE = "device=cpu device.threads=1"

# of these neither value nor presence is compared: they are of the moment and the machine
VOLATILE = re.compile(
    r"seconds|_at$|^at$|memory|per_second|^speed|^host|^pid|_mb$|^gb|commit|^code|^command"
    r"|^environ|^sources|^packages|^versions|^python|^path$|^folder|^started|^ended|^run$|^id$|^job"
    r"|digest|sha256|date|hash|_dir$|^time|^load|_gb$|minutes|^format_version"
)
TEXT = re.compile(r"[a-z].*\s", re.IGNORECASE | re.DOTALL)  # a sentence, which may be worded anew
# it goes as far as a second of this machine carries it
RANGE_TESTS = ("rates", "lr_range_test")
# what findings called their numbers, and runs their folder of images, before the field's words
EVIDENCE = {
    "pictures": "images",
    "answers": "predictions",
    "answers_rms": "outputs_rms",
    "share_left": "fraction_left",
    "weighted_to_class_shares": "weighted_to_class_fractions",
}
IGNORED_FILES = {"log.txt", ".lock", "digests.jsonl", "environment.json", "digest.json"}
JOB = re.compile(r"\b[0-9a-f]{16}\b")  # a hash of its config, of the names in it too
DATED = re.compile(r"\d{8}_\d{6}_(\d+_)?|(?<=\D)_\d+$")


def write_images(folder: Path) -> None:
    """Digits as a folder of images: three classes in unequal numbers."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for name, number in {"one": 60, "seven": 30, "eight": 12}.items():
        label = {"one": 1, "seven": 7, "eight": 8}[name]
        (folder / name).mkdir(parents=True)
        for index, pixels in enumerate(digits.images[digits.target == label][:number]):
            image = Image.fromarray((pixels * 15).astype(np.uint8)).resize((24, 24))
            image.convert("RGB").save(folder / name / f"{index:03}.png")


def record(folder: Path, chosen: list[str]) -> None:
    """Make the runs with the code that this interpreter imports."""
    runs = dict(RUNS)
    if images := os.environ.get("IMAGES"):
        runs["own_images"] = (
            f"train dataset=image_folder dataset.root={Path(images).resolve()} dataset.size=48 "
            f"dataset.limit=24 loss.class_weights=balanced model=larger_backbone {FEW}"
        )
    for name, words in runs.items():
        if chosen and name not in chosen:
            continue
        place = folder / name
        place.mkdir(parents=True)
        if "dataset.root=images" in words:
            write_images(place / "images")
        program = [sys.executable, "-c", "from expkit.cli import main; main()"]
        done = subprocess.run(
            [*program, *words.split(), *ALL_ALIKE.split()],
            cwd=place,
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(place / "cache")},
            check=False,
        )
        (place / "exit_code.json").write_text(json.dumps(done.returncode))
        (place / "screen.txt").write_text(done.stdout + done.stderr)
        print(f"{name:<18} exit {done.returncode}", flush=True)
        if done.returncode not in (0, 1):
            sys.exit(done.stdout + done.stderr)


def compare(old: Path, new: Path) -> int:
    """Print every difference; 1 where there is one."""
    former = former_names()
    found = 0
    for place in sorted(old.iterdir()):
        before, after = read_all(place, former), read_all(new / place.name, {})
        changed = sorted(k for k in before if k not in after or before[k] != after[k])
        differing = [*changed, *sorted(after.keys() - before.keys())]  # what is new comes last
        found += len(differing)
        told = f", {len(changed)} changed, {len(differing) - len(changed)} new" if differing else ""
        print(f"{'OTHER' if differing else 'equal'}  {place.name:<18} {len(before)} values{told}")
        for key in differing[:12]:
            print(f"    {key}: {shorten(before.get(key))} -> {shorten(after.get(key))}")
        if len(differing) > 12:
            print(f"    and {len(differing) - 12} more")
    print("golden runs are equal" if not found else f"{found} values differ")
    return 1 if found else 0


def former_names() -> Mapping[str, str]:
    """The names that parts and recorded fields had, with those that they have now."""
    try:
        table = import_module("expkit.records.former_names")
    except ModuleNotFoundError:
        return {}
    keys_and_rules = {**getattr(table, "KEYS", {}), **getattr(table, "RULES", {})}
    return {**table.MODULES, **table.FIELDS, **keys_and_rules, **EVIDENCE}


def read_all(place: Path, former: Mapping[str, str]) -> dict[str, Any]:
    """Everything that a run left, as one flat table."""
    values: dict[str, Any] = {}
    paths = sorted(p for p in place.rglob("*") if p.is_file())
    dated = sorted({part for path in paths for part in path.parts if DATED.match(part)})
    plans = [path.read_text() for path in paths if path.name == "plan.jsonl"]
    jobs = [json.loads(line)["job"] for plan in plans for line in plan.splitlines()]
    for path in paths:
        relative = path.relative_to(place)
        is_ours = relative.parts[0] == "images" or "cache" in relative.parts
        if is_ours or path.name in IGNORED_FILES:
            continue
        # the runs of a sweep in the order in which they began, its jobs in that of its plan
        parts = [
            f"{dated.index(p)}_{DATED.sub('', p)}" if p in dated else p for p in relative.parts
        ]
        name = JOB.sub(lambda found: f"job_{jobs.index(found[0])}", "/".join(parts))
        name = rename(name, former)
        if path.name != "screen.txt":
            values[name] = "is there"
        for key, value in read_file(path):
            present = rename(value, former) if isinstance(value, str) else value
            values[f"{name}: {rename(key, former)}"] = present
    return values


def rename(text: str, former: Mapping[str, str]) -> str:
    """Put present names for former ones: of a word, or of a class by its module."""

    def present(word: re.Match[str]) -> str:
        module, _, name = word[0].rpartition(".")
        if "." in module and module in former:
            return f"{former[module]}.{name}"
        return ".".join(former.get(part, part) for part in word[0].split("."))

    return re.sub(r"[A-Za-z_][\w.]*", present, text)


def read_file(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".json":
        yield from flatten(json.loads(path.read_text()))
    elif path.suffix == ".jsonl":
        for number, line in enumerate(path.read_text().splitlines()):
            signal = json.loads(line)
            if signal.get("kind") not in RANGE_TESTS:
                place = [signal.get(key, "") for key in ("stage", "kind", "epoch", "step", "name")]
                yield from flatten(
                    signal, "-".join(map(str, place if "kind" in signal else [number]))
                )
    elif path.suffix == ".yaml":
        yield from flatten(yaml.safe_load(path.read_text()))
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file)):
                yield from flatten(row, str(number))
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for name, array in arrays.items():
                yield name, array.tobytes()
    elif path.suffix == ".safetensors":
        from safetensors.numpy import load

        for name, array in load(path.read_bytes()).items():
            yield name, array.tobytes()


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers, names and truths within; sentences, times and places are left out."""
    if isinstance(value, dict):
        for name, each in value.items():
            if not VOLATILE.search(str(name)):
                yield from flatten(each, f"{key}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from flatten(each, f"{key}.{index}")
    elif not isinstance(value, str):
        yield key, repr(value)
    elif not TEXT.search(value) and "/" not in value and not DATED.search(value):
        yield key, value


def shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", folder, *names]:
            record(Path(folder).resolve(), names)
        case ["compare", old, new]:
            sys.exit(compare(Path(old), Path(new)))
        case _:
            sys.exit(__doc__)
