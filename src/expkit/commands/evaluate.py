"""expkit evaluate: a run's model on any split or data that fits it, with records of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.config.compose import change_parts, compose_output_dir
from expkit.config.plain_config import with_own_cache
from expkit.config.suggested_command import with_whole_command
from expkit.config.targets.check import signature_of
from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.exported import ExportedFolder
from expkit.records.run.find_run import find_run
from expkit.records.run.reader import Run
from expkit.runner.exported_device import FILE_DEVICE, refuse_other_device
from expkit.runner.prediction_manner import Manner
from expkit.runner.run import build, check_output, make_folder, run_experiment
from expkit.terminal.arguments import Parser, add_json, add_manner
from expkit.terminal.json_output import print_document
from expkit.terminal.signals import stop_on_signals

EVALUATION = "expkit.runner.stages.evaluation.Evaluation"
CHANGEABLE = ("dataset", "criteria", "device")
# fields of a dataset that choose among its samples, or say how they are read
SPLITTING = frozenset({"val_fraction", "test_fraction", "fraction", "fold", "num_folds"})
READING = frozenset({"normalize", "cache_dir", "memory_fraction", "on_error", "allow_missing"})
DECODING = frozenset({"size", "crop_fraction", "resize", "interpolation", "channels"})
OF_THE_SAME_DATA = SPLITTING | READING | DECODING | {"split_seed", "limit", "sealed"}
EXPORTED_MODEL = "expkit.models.exported.ExportedModel"
DESCRIPTION = (
    "Predict every sample of a dataset with a run's model; the predictions become a run folder of "
    "their own. Without overrides it is the run's own data."
)


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit evaluate", description=DESCRIPTION)
    parser.add_argument(
        "run", help="a path, a unique part of a run's name, or last; an exported folder"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="OVERRIDE",
        help="other data: dataset=puzzle dataset.image=other.jpg; other criteria: criteria=none; "
        "where the records go: output_dir=FOLDER",
    )
    parser.add_argument(
        "--known-classes-only",
        action="store_true",
        help="leave out samples of classes that the run does not know",
    )
    add_manner(parser)
    parser.add_argument("--name", help="ends the new folder's name")
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    add_json(parser)
    arguments = parser.parse_intermixed_args(words)
    run = find_run(arguments.run)
    run.weights  # noqa: B018 - whether there are any is asked before anything is built
    places = [word for word in arguments.overrides if word.startswith("output_dir=")]
    words_of_parts = [word for word in arguments.overrides if word not in places]
    try:
        plain = describe_evaluation(run, words_of_parts, arguments.trust)
    except UserError as error:
        raise with_whole_command(error, words, ("expkit", "evaluate")) from error
    # the run may be a stranger's, who has no say in where the user's files go
    plain["output_dir"] = compose_output_dir(places)
    if arguments.known_classes_only:
        plain["procedure"]["evaluate"]["unknown_classes"] = "leave_out"
    manner = Manner.of(run, arguments.tta, is_plain=arguments.no_calibration)
    if manner.remark:
        print(f"note    {manner.remark}")
    plain["procedure"]["evaluate"] |= manner.to_stage()
    if arguments.name:
        plain["name"] = arguments.name
    command = ["expkit", "evaluate", *words]
    config = check_config(plain, trusted=arguments.trust)
    with stop_on_signals():
        check_output(Path(config.output_dir))
        parts = build(config)
        folder = make_folder(parts, config, arguments.overrides, command)
        code = run_experiment(parts, folder)
        if arguments.json:
            from expkit.reports.json.run import run_document

            print_document(run_document(Run(folder.path)))
        return code


def describe_evaluation(
    run: Run, overrides: Sequence[str], trusted: Sequence[str] = ()
) -> dict[str, Any]:
    """The run's config with other data, an evaluation for a procedure, and no claim."""
    from expkit.runner.loaded_inputs import refuse_incomplete, without_downloads

    refuse_incomplete(run, ("name", "model", *CHANGEABLE))
    config = with_own_cache(without_downloads(run.config))
    changed = change_parts({name: config[name] for name in CHANGEABLE}, overrides)
    changed["dataset"] = _as_other_data(run, changed["dataset"], overrides, trusted)
    return {
        **config,
        **changed,
        "name": f"{config['name']}_evaluated",
        "hypothesis": "",
        "compared_with": [],
        "reference": None,
        "mirror": {},
        "logger": {},
        "evaluates": str(run.trained.path.resolve()),
        "procedure": {"evaluate": {"_target_": EVALUATION}},
        **_of_file(run.trained.exported, changed["device"], overrides),
    }


def _of_file(
    exported: ExportedFolder | None, device: Mapping[str, Any], overrides: Sequence[str]
) -> dict[str, Any]:
    """The model and the device of an exported file: nothing of its run's is built."""
    if exported is None:
        return {}
    words = [word.lstrip("+").partition("=") for word in overrides]
    typed = {key.removeprefix("device.") for key, _, _ in words if key.startswith("device.")}
    if any(key == "device" for key, _, _ in words):
        typed |= {"name", *typed}
    refuse_other_device(exported, {key: device[key] for key in typed if key in device})
    record = exported.record
    model = {
        "_target_": EXPORTED_MODEL,
        "_partial_": True,
        "format": record.format,
        "precision": record.precision,
        "batch": record.batch,
    }
    return {"model": model, "device": {**device, **FILE_DEVICE}}


def _as_other_data(
    run: Run, dataset: dict[str, Any], overrides: Sequence[str], trusted: Sequence[str] = ()
) -> dict[str, Any]:
    """Evaluate other data whole, decoded as the run's own was, where no word says else."""
    from expkit.runner.evaluation_data import decoding_of

    own = run.config["dataset"]
    if all(dataset.get(key) == own.get(key) for key in {*dataset, *own} - OF_THE_SAME_DATA):
        return dataset
    signature = signature_of(str(dataset.get("_target_")), "dataset", "dataset", trusted)
    known = {} if signature is None else signature.parameters
    typed = {word.lstrip("+~").partition("=")[0].removeprefix("dataset.") for word in overrides}
    given: dict[str, Any] = {"evaluate_only": not typed & SPLITTING}
    # they were chosen for the training
    given |= {"fold": None, "fraction": 1.0, "limit": None, "sealed": False}
    if known.keys() & DECODING and run.dataset_as_read.image_shape[0] in (1, 3):
        given |= decoding_of(run.dataset_as_read).to_json()
    return {**dataset, **{k: v for k, v in given.items() if k in known and k not in typed}}
