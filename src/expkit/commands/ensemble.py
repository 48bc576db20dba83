"""expkit ensemble: several runs' models as one, in a run folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.config.compose import change_parts, compose_output_dir
from expkit.config.plain_config import with_own_cache
from expkit.config.suggested_command import with_whole_command
from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.find_runs import find_runs
from expkit.records.run.ensemble import SOUPS
from expkit.records.run.reader import Run
from expkit.runner.ensemble_members import (
    COMBINATION,
    ENSEMBLE,
    check_members,
    have_common_start,
)
from expkit.runner.loaded_inputs import without_downloads
from expkit.runner.run import build, check_output, make_folder, run_experiment
from expkit.terminal.arguments import Parser
from expkit.terminal.signals import stop_on_signals

EVALUATION = "expkit.runner.stages.evaluation.Evaluation"
CHANGEABLE = ("dataset", "criteria", "device")
WAYS = ("probabilities", "logits", "soup", "greedy_soup")
DESCRIPTION = """\
Put the models of several runs together, as a run that evaluate, predict and compare take as any
other; say what it gains over its best member, and whether the members disagree enough for that."""
OTHER_STARTS = "these runs began from different weights, whose mean is seldom a good model"


def main(words: Sequence[str]) -> int:
    arguments = _parser().parse_intermixed_args(words)
    given = [word for word in arguments.words if not _is_override(word)]
    overrides = [word for word in arguments.words if _is_override(word)]
    runs, remarks = choose_members(given)
    combine = arguments.combine or _usual_way(runs)
    check_members(runs, combine)
    places = [word for word in overrides if word.startswith("output_dir=")]
    try:
        changed = [word for word in overrides if word not in places]
        plain = describe_ensemble(runs, combine, changed)
    except UserError as error:
        raise with_whole_command(error, words, ("expkit", "ensemble")) from error
    plain["output_dir"] = compose_output_dir(places)
    if arguments.name:
        plain["name"] = arguments.name
    if combine in SOUPS and not have_common_start(runs):
        remarks = [*remarks, OTHER_STARTS]
    command = ["expkit", "ensemble", *words]
    config = check_config(plain, trusted=arguments.trust)
    with stop_on_signals():
        check_output(Path(config.output_dir))
        parts = build(config)
        for remark in remarks:
            print(f"note    {remark}")
        return run_experiment(parts, make_folder(parts, config, overrides, command))


def _parser() -> Parser:
    parser = Parser("expkit ensemble", description=DESCRIPTION)
    parser.add_argument(
        "words",
        nargs="+",
        metavar="RUN|OVERRIDE",
        help="a path, a part of a run's name, a sweep, a folder of runs, or a glob of these; "
        "where its data lies now: dataset.root=FOLDER; other criteria: criteria=none; where the "
        "records go: output_dir=FOLDER",
    )
    parser.add_argument(
        "--combine",
        choices=WAYS,
        help="the mean of probabilities (the default), of logits (the default where numbers are "
        "predicted), or of weights: of all (soup), or of those that do not make val worse "
        "(greedy_soup)",
    )
    parser.add_argument("--name", help="ends the new folder's name")
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    return parser


def _is_override(word: str) -> bool:
    """Tell an override from the path of a run, which may have an = in it."""
    return "=" in word and not Path(word).exists()


def choose_members(words: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs that these words name, and remarks on those of a sweep that are left out.

    A run that is named by itself is not left out: what is wrong with it is for `check_members`.
    """
    runs: list[Run] = []
    remarks = []
    for word in words:
        found = find_runs([word])
        if len(found) < 2:
            runs += found
            continue
        for run in found:
            if run.status == "finished":
                runs.append(run)
            else:
                remarks.append(f"left out: {run.name} ({run.status})")
    return runs, remarks


def _usual_way(runs: Sequence[Run]) -> str:
    is_regression = bool(runs) and runs[0].dataset.task == "regression"
    return "logits" if is_regression else "probabilities"


def describe_ensemble(
    runs: Sequence[Run], combine: str, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """The first run's config, with all their models for a model, and no claim."""
    first = runs[0]
    config = with_own_cache(without_downloads(first.config))
    changed = change_parts({name: config[name] for name in CHANGEABLE}, overrides)
    is_soup = combine in SOUPS
    names = {run.config["name"] for run in runs}
    ending = combine if is_soup else "ensemble"
    return {
        **config,
        **changed,
        "name": f"{config['name']}_{ending}" if len(names) == 1 else ending,
        "hypothesis": "",
        "compared_with": [],
        "reference": None,
        "mirror": {},
        "logger": {},
        "model": config["model"] if is_soup else _model_of(runs, combine),
        "procedure": {
            "combine": {
                "_target_": COMBINATION,
                "members": [str(run.path.resolve()) for run in runs],
                "combine": combine,
            },
            "evaluate": {"_target_": EVALUATION},
        },
    }


def _model_of(runs: Sequence[Run], combine: str) -> Mapping[str, Any]:
    return {
        "_target_": ENSEMBLE,
        "_partial_": True,
        "combine": combine,
        "members": [without_downloads(run.config)["model"] for run in runs],
    }
