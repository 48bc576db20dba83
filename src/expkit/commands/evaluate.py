"""expkit evaluate: a run's model on any split or data that fits it, with records of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expkit.commands.arguments import Parser
from expkit.commands.interruption import stop_on_signals
from expkit.commands.running import build, carry_out, check_output, make_folder
from expkit.config.compose import change_parts
from expkit.config.validation import check_config
from expkit.records.run import Run, find_run

EVALUATION = "expkit.procedures.evaluation.Evaluation"
CHANGEABLE = ("dataset", "criteria", "device")
DESCRIPTION = (
    "Answer every sample of a dataset with a run's model; the answers become a run folder of "
    "their own. Without overrides it is the run's own data."
)


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit evaluate", description=DESCRIPTION)
    parser.add_argument("run", help="a path, a unique part of a run's name, or last")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="other data: dataset=puzzle dataset.image=other.jpg; other criteria: criteria=none",
    )
    parser.add_argument("--name", help="ends the new folder's name")
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    arguments = parser.parse_args(words)
    run = find_run(arguments.run)
    run.weights  # noqa: B018 - whether there are any is asked before anything is built
    plain = describe_evaluation(run, arguments.overrides)
    if arguments.name:
        plain["name"] = arguments.name
    command = ["expkit", "evaluate", *words]
    config = check_config(plain, trusted=arguments.trust)
    with stop_on_signals():
        check_output(Path(config.output_dir))
        parts = build(config)
        return carry_out(parts, make_folder(parts, config, arguments.overrides, command))


def describe_evaluation(run: Run, overrides: Sequence[str]) -> dict[str, Any]:
    """The run's config with other data, an evaluation for a procedure, and no claim."""
    from expkit.procedures.reading import without_downloads

    config = without_downloads(run.config)
    return {
        **config,
        **change_parts({name: config[name] for name in CHANGEABLE}, overrides),
        "name": f"{config['name']}_evaluated",
        "hypothesis": "",
        "compared_with": [],
        "reference": None,
        "evaluates": str(run.trained.path.resolve()),
        "procedure": {"evaluate": {"_target_": EVALUATION}},
    }
