"""The exported models on a page of the notebook: what each predicts, costs and takes."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.records.exported import ExportedFolder
from expkit.records.run.reader import Run
from expkit.records.verification import Verification, num_equal, read_verification
from expkit.reports import formatting, markdown
from expkit.reports.formatting import percent
from expkit.reports.tables import Table

HEADER = (
    *("exported as", "equal predictions", "largest difference", "accuracy", "less the run's", "p"),
    *("one image", "95 % within", "in torch", "size", "in torch"),
)


def exports_section(runs: Sequence[Run]) -> list[str]:
    """A row for each exported model among the runs; nothing where there is none."""
    found = [(run.exported, read_verification(run.exported.path)) for run in runs if run.exported]
    if not found:
        return []
    table = Table(HEADER, [_row(folder, proof) for folder, proof in found])
    return ["## Exported", table.markdown(), _measured([proof for _, proof in found])]


def _row(folder: ExportedFolder, proof: Verification) -> tuple[str, ...]:
    equal, total = num_equal(proof), proof["num_samples"]
    agreement = formatting.interval("accuracy", proof["agreement_interval"])
    difference = proof["largest_difference"]
    good = "" if proof["passed"] else ": NOT GOOD"
    return (
        f"{markdown.plain(folder.title)}{good}",
        f"{equal:,} of {total:,}, {percent(proof['agreement'])} ({agreement})",
        "not a number" if difference is None else f"{difference:.2g}",
        *_accuracy(proof),
        *_speed(proof),
    )


def _accuracy(proof: Verification) -> tuple[str, str, str]:
    found = proof["accuracy"]
    if found is None:
        return "-", "-", "-"
    low, high = (f"{100 * end:+.2f}" for end in found["difference"])
    points = f"{100 * (found['exported'] - found['run']):+.2f} points ({low} to {high})"
    return percent(found["exported"]), points, f"{found['p']:.2g}"


def _speed(proof: Verification) -> tuple[str, ...]:
    found = proof["speed"]
    if found is None:
        return ("-",) * 5
    ours, torch = found["exported"], found["torch"]
    return (
        *(f"{each:.2f} ms" for each in (ours["median_ms"], ours["p95_ms"], torch["median_ms"])),
        *(f"{found[size] / 1e6:.1f} MB" for size in ("exported_bytes", "torch_bytes")),
    )


def _measured(proofs: Sequence[Verification]) -> str:
    samples = dict.fromkeys(f"{p['num_samples']:,} samples of {p['split']}" for p in proofs)
    sizes = dict.fromkeys(size for proof in proofs for size in proof["batch_sizes"])
    threads = {proof["speed"]["threads"] for proof in proofs if proof["speed"]}
    timed = f"; one image timed in turns with torch, threads: {', '.join(map(str, threads))}"
    return markdown.plain(
        f"Each file by its own runtime, on {', '.join(samples)}, at batch sizes "
        f"{', '.join(sizes)}; the differences of accuracy are by McNemar's exact test, with 95 % "
        f"intervals{timed if threads else ''}."
    )
