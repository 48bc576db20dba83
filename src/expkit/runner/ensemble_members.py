"""Runs whose models are to be put together: refused where they do not belong together."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.metrics.disagreement import main_figure
from expkit.records.run.checkpoint_digests import refuse_damaged
from expkit.records.run.ensemble import SOUPS
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.reader import Run, is_run
from expkit.records.safe_open import is_file
from expkit.records.seed_groups import flatten
from expkit.runner.loaded_inputs import refuse_incomplete
from expkit.sanitize import one_line

ENSEMBLE = "expkit.models.ensemble.Ensemble"
COMBINATION = "expkit.runner.stages.combination.Combination"
# of a model, what decides where its weights begin, or is only of training
NOT_ARCHITECTURE = frozenset({"init", "dropout", "pretrained", "weights"})
NEEDED = ("name", "seed", "model", "dataset", "criteria", "device")
ORDER = "expkit ensemble RUN RUN ..."


def open_members(paths: Sequence[str], combine: str) -> list[Run]:
    """The runs at these paths, once they are known to belong together."""
    for path in paths:
        if not is_run(Path(path)):
            raise UserError(
                "a member of this ensemble is not there any more",
                where=path,
                fix=f"bring it back, or make the ensemble anew: {ORDER}",
            )
    runs = [Run(Path(path)) for path in paths]
    check_members(runs, combine)
    return runs


def check_members(runs: Sequence[Run], combine: str) -> None:
    """Refuse what cannot be put together, by the records alone: nothing is loaded or built."""
    for run in runs:
        if run.exported is not None:
            raise run.exported.refuse(
                "an ensemble is made of runs, and is then exported as one",
                f"name its run: {ORDER.replace('RUN RUN', 'RUN')}\n"
                "expkit export ENSEMBLE --to NEW_FOLDER",
            )
    _refuse_one_alone(runs)
    for run in runs:
        _check_alone(run)
    for run in runs[1:]:
        _check_beside(run, runs[0])
    _check_combine(runs, combine)


def _refuse_one_alone(runs: Sequence[Run]) -> None:
    seen: dict[Path, Run] = {}
    for run in runs:
        place = run.path.resolve()
        if place in seen:
            raise UserError(
                f"'{run.name}' is named twice: a model has nothing to add to itself",
                where=str(run.path),
                fix=f"name each run once: {ORDER}",
            )
        seen[place] = run
    if len(runs) < 2:
        raise UserError(
            "an ensemble has two members or more",
            where=", ".join(run.name for run in runs) or "no run was named",
            fix="train the same over several seeds, and name them all or their sweep:\n"
            "expkit train -m ... seed=0,1,2",
        )


def _check_alone(run: Run) -> None:
    refuse_incomplete(run, NEEDED)
    if run.config.get("evaluates") is not None:
        trained = run.trained
        raise UserError(
            f"'{run.name}' is an evaluation of '{trained.name}', and has no weights of its own",
            where=str(run.path),
            fix=f"name the run that was trained: {trained.path}",
        )
    if run.status != "finished":
        told = "has failed" if run.status == "failed" else f"is {run.status}"
        name = shlex.quote(str(run.path))
        ways = {"interrupted": f"expkit resume {name}", "failed": f"expkit diagnose {name}"}
        raise UserError(
            f"'{run.name}' {told}, and is no member for an ensemble",
            where=str(run.path),
            fix="\n".join([*([ways[run.status]] if run.status in ways else []), "or leave it out"]),
        )
    if run.config["model"].get("_target_") == ENSEMBLE:
        members = [] if run.ensemble is None else run.ensemble.members
        listed = shlex.join(one_line(each.path) for each in members) or "RUN RUN ..."
        raise UserError(
            f"'{run.name}' is an ensemble itself",
            where=str(run.path),
            allowed="runs of one model each, each of which counts alike",
            fix=f"name its members: expkit ensemble {listed}",
        )
    if run.labels is not None:
        raise UserError(
            f"'{run.name}' has learnt labels that a stage of its own gave: {run.path}/labels.json",
            allowed="runs that learnt the labels of their data",
        )
    refuse_damaged(run.weights, to_go_on=False)
    if not is_file(run.path / "predictions.csv") or not run.predictions:
        raise UserError(
            f"'{run.name}' was not evaluated: nothing says what it is worth alone",
            where=str(run.path / "predictions.csv"),
            fix="train it with an evaluation: procedure=full",
        )


def _check_beside(run: Run, first: Run) -> None:
    """Refuse other outputs, other images, and other samples than the first run's."""
    ours, theirs = run.dataset, first.dataset
    _check_outputs(run, first)
    _refuse_other(
        run, first, "images", _shape_of(ours), _shape_of(theirs), "images of the same preprocessing"
    )
    prints = [
        {name: split.fingerprint for name, split in each.splits.items()} for each in (ours, theirs)
    ]
    if prints[0] != prints[1]:
        raise _other_samples(run, first, prints[0], prints[1])
    _refuse_other(
        run,
        first,
        "normalizers",
        flatten(ours.preprocessing.get("normalizer") or {}),
        flatten(theirs.preprocessing.get("normalizer") or {}),
        "images that are normalized alike",
    )


def _check_outputs(run: Run, first: Run) -> None:
    ours, theirs = (each.class_names or each.target_names or () for each in _both(run, first))
    is_same_task = run.dataset.task == first.dataset.task
    if ours == theirs and is_same_task:
        return
    noun = "classes" if run.dataset.class_names and first.dataset.class_names else "outputs"
    order = ", in another order" if set(ours) == set(theirs) and is_same_task else ""
    raise UserError(
        f"the {noun} of '{run.name}' are not those of '{first.name}'{order}",
        where=f"{run.name}: {_listed(ours)}",
        allowed=f"{first.name}: {_listed(theirs)}",
        fix="leave it out, or train it on the same data",
    )


def _both(run: Run, first: Run) -> tuple[DatasetMetadata, DatasetMetadata]:
    return run.dataset, first.dataset


def _shape_of(metadata: DatasetMetadata) -> dict[str, Any]:
    decoding = metadata.preprocessing.get("decoding") or {}
    return {"channels, height, width": list(metadata.image_shape), **flatten(decoding)}


def _refuse_other(
    run: Run,
    first: Run,
    noun: str,
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    allowed: str,
) -> None:
    """Refuse other preparation of images, key by key."""
    # as JSON has it, a tuple is a list
    differing = [
        key
        for key in dict.fromkeys([*theirs, *ours])
        if _plain(ours.get(key)) != _plain(theirs.get(key))
    ]
    if differing:
        told = [f"{key}: {ours.get(key)}, not {theirs.get(key)}" for key in differing]
        raise UserError(
            f"the {noun} of '{run.name}' are not those of '{first.name}': no batch suits both",
            where="\n".join(told),
            allowed=allowed,
            fix="leave it out, or train it with the same dataset settings",
        )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _other_samples(
    run: Run, first: Run, ours: Mapping[str, str | None], theirs: Mapping[str, str | None]
) -> UserError:
    """Say which splits differ, and where one learnt what the other is judged by."""
    names = [name for name in dict.fromkeys([*theirs, *ours]) if ours.get(name) != theirs.get(name)]
    leaks = [
        f"{count} {name} samples of {judged.name} are training samples of {learnt.name}"
        for judged, learnt in ((first, run), (run, first))
        for name in ("val", "test")
        if (count := _count_shared(judged, name, learnt))
    ]
    where = f"they differ in {', '.join(names)}"
    if not leaks:
        return UserError(
            f"'{run.name}' and '{first.name}' have other samples: no figure would be of both",
            where=where,
            allowed="runs with the same train, val and test samples",
            fix="leave it out, or train it with the same dataset settings",
        )
    return UserError(
        f"'{run.name}' and '{first.name}' hold out other samples: an ensemble of both would be "
        "judged by what one of them has learnt",
        where="\n".join([where, *leaks]),
        allowed="runs with the same train, val and test samples; folds have none to judge them all",
        fix="train the members on one split: expkit train -m ... seed=0,1,2",
    )


def _count_shared(judged: Run, split: str, learnt: Run) -> int:
    """Count the samples of a held-out split that another run was trained on, by their names."""
    if split not in judged.predictions or "train" not in learnt.predictions:
        return 0
    return len({*judged.predictions[split].samples} & {*learnt.predictions["train"].samples})


def _check_combine(runs: Sequence[Run], combine: str) -> None:
    first = runs[0]
    if combine == "probabilities" and first.dataset.task == "regression":
        raise UserError(
            "these models predict numbers, which are no probabilities",
            where="--combine probabilities",
            fix="--combine logits   (the mean of what they predict)",
        )
    if combine == "greedy_soup" and "val" not in first.predictions:
        raise UserError(
            "a greedy soup needs val to choose its members by, and these runs have none",
            where=f"{first.name}: {', '.join(first.predictions)}",
            fix="--combine soup   (of all of them)",
        )
    if combine in SOUPS:
        for run in runs[1:]:
            _refuse_other_architecture(run, first)


def _refuse_other_architecture(run: Run, first: Run) -> None:
    """Refuse weights of another model: their mean would be the weights of none."""
    ours, theirs = (_architecture(each) for each in (run, first))
    differing = [key for key in dict.fromkeys([*theirs, *ours]) if ours.get(key) != theirs.get(key)]
    if differing:
        told = [f"model.{key}: {ours.get(key)}, not {theirs.get(key)}" for key in differing[:5]]
        raise UserError(
            f"the model of '{run.name}' is not that of '{first.name}': "
            "weights of different models have no mean",
            where="\n".join(told),
            fix="--combine probabilities   (any models go together)",
        )


def _architecture(run: Run) -> dict[str, Any]:
    flat = flatten(run.config["model"])
    return {key: value for key, value in flat.items() if key not in NOT_ARCHITECTURE}


def have_common_start(runs: Sequence[Run]) -> bool:
    """Tell whether all began from the same weights: a seed, a file, or timm's pretrained ones."""
    models = [run.config["model"] for run in runs]
    if all(model.get("pretrained") or model.get("weights") for model in models):
        return len({str(model.get("weights")) for model in models}) == 1
    return len({run.config.get("seed") for run in runs}) == 1


def choosing_split(run: Run) -> str:
    """The split that ranks members: val, or what they are judged by where there is none."""
    return "val" if "val" in run.predictions else run.dataset.judged_split


def figures_of(runs: Sequence[Run]) -> list[float]:
    """Return each run's main figure on the split that ranks them."""
    return [main_figure(run.predictions[choosing_split(run)]) for run in runs]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12]) or "none"
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
