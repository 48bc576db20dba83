"""expkit export: a run's model as a file of its own, and the proof that it predicts the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from expkit.commands.evaluate import describe_evaluation
from expkit.config.suggested_command import with_whole_command
from expkit.config.validation import check_config
from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.metrics.percentages import percent, points
from expkit.models.runtimes import NEEDED, refuse_missing
from expkit.records.exported import Format, Precision
from expkit.records.run.find_run import find_run
from expkit.records.run.kept_temperature import temperature_of
from expkit.records.run.reader import Run
from expkit.runner.exported_device import FILE_DEVICE
from expkit.runner.run import EXIT_FAILED, EXIT_PASSED, build, without_collector
from expkit.terminal.arguments import Parser, batch_of, fraction, place
from expkit.terminal.signals import stop_on_signals

if TYPE_CHECKING:
    from expkit.config.schema import Config
    from expkit.export.verification import Accuracies, Quantization, Verification
    from expkit.runner.components import Parts

DESCRIPTION = """\
Write a run's model, with its resize, normalization, temperature and softmax, as a file that needs
no expkit, then run that file by its own runtime on held-out samples and hold its predictions
against the run's. Exits with 1 where they agree less than is required."""
AGREEMENT = {"fp32": 0.999, "fp16": 0.99, "int8": 0.99}


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit export", description=DESCRIPTION)
    parser.add_argument("run", help="a path, a unique part of a run's name, or last")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="OVERRIDE",
        help="where the run's data lies now, to verify on: dataset.root=FOLDER",
    )
    parser.add_argument("--to", type=place, required=True, metavar="FOLDER", help="is made")
    parser.add_argument("--format", choices=tuple(NEEDED), default="onnx")
    parser.add_argument("--precision", choices=tuple(AGREEMENT), default="fp32")
    parser.add_argument(
        "--batch", type=batch_of, metavar="dynamic|N", help="images at once (default dynamic)"
    )
    parser.add_argument(
        "--agreement",
        type=fraction,
        metavar="FRACTION",
        help="of equal predictions, below which the file is not good (fp32 0.999, else 0.99)",
    )
    parser.add_argument(
        "--keep-float",
        type=keep_float,
        metavar="auto|none|NAME,...",
        help="of int8: layers to leave in float, as globs of their names; auto finds by measuring "
        "those that cost too much in 8 bits (default auto)",
    )
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    arguments = parser.parse_intermixed_args(words)
    run = find_run(arguments.run)
    refuse_unexportable(run, arguments.format, arguments.precision)
    if arguments.keep_float is not None and arguments.precision != "int8":
        raise UserError(
            f"--keep-float chooses what int8 leaves in float, and this is {arguments.precision}",
            where=f"--precision {arguments.precision}",
            fix="--precision int8",
        )
    run.weights  # noqa: B018 - whether there are any is asked before anything is built
    from expkit.export.target_folder import refuse_existing

    refuse_existing(arguments.to)
    try:
        plain = describe_evaluation(run, arguments.overrides, arguments.trust)
    except UserError as error:
        raise with_whole_command(error, words, ("expkit", "export")) from error
    plain["device"] = {**plain["device"], **FILE_DEVICE}
    temperature, remark = temperature_of(run) if run.dataset.class_names else (1.0, "")
    if remark:
        print(f"note    {remark}")
    config, parts = build_without_sealed(run, plain, arguments.trust)
    with without_collector():
        from expkit.export.export_run import Options, export
        from expkit.runner.restoring import restore

    restored = restore(
        run,
        trusted=arguments.trust,
        device={"name": "cpu", "precision": "fp32"},
        temperature=temperature,
    )
    options = Options(
        format=cast("Format", arguments.format),
        precision=cast("Precision", arguments.precision),
        batch=arguments.batch,
        required_agreement=AGREEMENT[arguments.precision]
        if arguments.agreement is None
        else arguments.agreement,
        keep_float="auto" if arguments.keep_float is None else arguments.keep_float,
    )
    with stop_on_signals():  # a scheduler's, too, leaves no half-made folder
        verification = export(
            restored, parts, config.to_plain(), options, temperature, arguments.to, list(words)
        )
    print(screen(verification, arguments.to))
    return EXIT_PASSED if verification.passed else EXIT_FAILED


def build_without_sealed(
    run: Run, plain: Mapping[str, Any], trusted: Sequence[str]
) -> tuple[Config, Parts]:
    """The parts of the proof, which does not look at a sealed test set: another split serves."""
    from expkit.runner.sealed_test import TEST, is_sealed

    config = check_config(plain, trusted=trusted)
    parts = build(config)
    dataset = parts.inputs.dataset
    if not is_sealed(dataset, run):
        return config, parts
    if dataset.splits.keys() == {TEST}:
        raise UserError(
            "the only samples to prove the file on are a sealed test set",
            where=f"dataset.root={config.dataset.get('root')}",
            fix="data with val or train beside it: dataset.root=FOLDER",
        )
    print("note    test is sealed: no export looks at it")
    config = check_config(
        {**plain, "dataset": {**plain["dataset"], "sealed": True}}, trusted=trusted
    )
    return config, build(config)


def keep_float(text: str) -> Literal["auto"] | tuple[str, ...]:
    """Globs of layers between commas, or `auto`, or `none`."""
    if text == "auto":
        return "auto"
    return () if text == "none" else tuple(filter(None, text.split(",")))


def refuse_unexportable(run: Run, file_format: str, precision: str) -> None:
    """Refuse what cannot be written, before torch is loaded."""
    if run.exported is not None:
        raise UserError(
            f"'{run.name}' is an exported model already",
            where=str(run.exported.path),
            fix=f"expkit export {run.exported.record.run} --to NEW_FOLDER",
        )
    refuse_missing(file_format)
    if precision == "int8":  # its quantizer is onnxruntime's, whatever the file becomes
        refuse_missing("onnx")
    if precision == "int8" and file_format == "torch_export":
        raise UserError(
            "int8 is written for onnxruntime and OpenVINO: torch's own quantization is being "
            "removed from it, and its successor follows torch's versions one by one",
            where="--format torch_export --precision int8",
            fix="--format onnx --precision int8",
        )


def screen(verification: Verification, folder: Path) -> str:
    """The proof in a few lines."""
    held_out = "" if verification.is_held_out else " (the training samples: none are held out)"
    verdict = "GOOD" if verification.passed else "NOT GOOD"
    equal, total = verification.num_equal, verification.num_samples
    lines = [
        f"{verdict}: {equal:,} of {total:,} predictions are the model's in torch, "
        f"{percent(equal / total)}; {percent(verification.required_agreement)} are required",
        f"  measured on {verification.split}{held_out}, at batch sizes "
        f"{', '.join(verification.batch_sizes)}; the largest difference of a probability is "
        f"{verification.largest_difference:.2g}",
    ]
    accuracy = verification.accuracy
    if accuracy is not None:
        lines += [f"  {line}" for line in _accuracy_lines(accuracy, "the file", "the run")]
    lines += [*_files_lines(verification), *_speed_lines(verification)]
    if verification.quantization is not None:
        lines += _int8_lines(verification.quantization)
    if verification.agreement < verification.required_agreement:
        lines.append(_first_difference_line(verification))
    return "\n".join([*lines, f"  folder   {folder}"])


def _accuracy_lines(accuracy: Accuracies, ours: str, theirs: str) -> list[str]:
    """Both accuracies with bounds of the difference, and the samples that only one has right."""
    low, high = accuracy.difference
    return [
        f"accuracy of {ours} {percent(accuracy.exported)}, of {theirs} {percent(accuracy.run)} "
        f"(difference {100 * low:+.2f} to {points(high)}):",
        f"  {counted(accuracy.only_exported, 'sample')} only {ours} has right, "
        f"{accuracy.only_run} only {theirs}",
    ]


def _int8_lines(quantization: Quantization) -> list[str]:
    kept, num_layers = quantization.kept_in_float, quantization.num_layers
    in_float = f"{len(kept)} of {num_layers} layers are in float: {', '.join(kept)}"
    lines = [f"  {in_float if kept else f'all {num_layers} layers are in 8 bits'}"]
    beside = quantization.beside_fp32
    if beside is None:
        return lines
    accuracy = beside.accuracy
    if accuracy is not None:
        lines += [f"  {line}" for line in _accuracy_lines(accuracy, "int8", "fp32")]
    lines.append(
        f"  one image takes {beside.latency_ms:.3g} ms here, in fp32 {beside.latency_fp32_ms:.3g} "
        f"ms ({beside.latency_fp32_ms / beside.latency_ms:.2g} x); the size is "
        f"{beside.bytes / 1e6:.3g} MB, in fp32 {beside.bytes_fp32 / 1e6:.3g} MB"
    )
    return lines


def _first_difference_line(verification: Verification) -> str:
    first = verification.first_difference
    if verification.not_compared:
        return f"  the first layer that differs was not found: {verification.not_compared}"
    if first is None:
        return (
            "  the first layer that differs cannot be told in this format: --format onnx tells it"
        )
    if first.is_beyond:
        return (
            f"  the first layer that differs is {first.layer} ({first.type}): given equal inputs, "
            f"its outputs differ by {percent(first.error)}"
        )
    return (
        f"  no layer alone differs by more than {percent(first.tolerance)}: roundings add up; the "
        f"largest error is that of {first.layer} ({first.type}), {percent(first.error)}"
    )


def _files_lines(verification: Verification) -> list[str]:
    """From files on the disk to predictions, by both ways."""
    files = verification.from_files
    if files is None:
        return []
    if not files.num_files:
        return [f"  files    not tried: {files.reason}"]
    return [
        f"  files    {files.num_equal} of {files.num_files} image files are predicted as expkit "
        f"predict does in fp32; the largest difference is {files.largest_difference:.2g}",
        *([f"           {files.reason}"] if files.reason else []),
    ]


def _speed_lines(verification: Verification) -> list[str]:
    """The file's time and size, with torch's own behind."""
    speed = verification.speed
    if speed is None:
        return []
    own, torch = speed.exported, speed.torch
    return [
        f"  latency  median {own.median_ms:.2f} ms, 95 % within {own.p95_ms:.2f}, 99 % within "
        f"{own.p99_ms:.2f} (torch {torch.median_ms:.2f}, {torch.p95_ms:.2f}, {torch.p99_ms:.2f}), "
        f"threads {speed.threads}",
        f"  size     {speed.exported_bytes / 1e6:.2f} MB (the weights in torch "
        f"{speed.torch_bytes / 1e6:.2f} MB)",
    ]
