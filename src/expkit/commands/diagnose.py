"""expkit diagnose: what is wrong with runs, from their records alone; and which change cures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expkit.diagnosis.across_runs import find_across
from expkit.diagnosis.coverage import not_looked
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.finding import Finding
from expkit.errors import UserError, refuse_watched
from expkit.records.find_runs import find_runs
from expkit.records.run.reader import Run
from expkit.reports.run.findings import listing, not_looked_lines
from expkit.terminal.arguments import Parser, add_json, count
from expkit.terminal.json_output import print_document

EXIT_FATAL = 1


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit diagnose",
        description="Findings on runs, computed anew from their records, without torch. "
        "Exit code 1 where one is fatal.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        default=["last"],
        metavar="RUN",
        help="a path, a unique part of a run's name, last, or a folder of runs (a sweep)",
    )
    add_json(parser)
    parser.add_argument(
        "--try",
        action="store_true",
        dest="tries",
        help="train a few epochs with each proposed change, beside the unchanged run",
    )
    parser.add_argument(
        "--epochs", type=count, default=None, help="with --try: of each trial (default: 10)"
    )
    parser.add_argument(
        "--trust", action="append", default=[], help="with --try: a package whose code may run"
    )
    arguments = parser.parse_args(words)
    runs = name_runs(find_runs(arguments.runs))
    evidences = {name: Evidence.of(run) for name, run in runs.items()}
    findings = {name: examine(each, load_rules()) for name, each in evidences.items()}
    across = find_across(evidences, load_rules()) if len(runs) > 1 else []
    if arguments.tries:
        if len(runs) != 1 or arguments.json:
            raise UserError(
                "--try is for one run, and prints a table",
                where=" ".join(words),
                fix="expkit diagnose RUN --try",
            )
        from expkit.runner.remedy_trials import try_remedies

        ((name, run),) = runs.items()
        if run.is_watched:
            raise refuse_watched(str(run.path / "config.yaml"))
        if run.exported is not None:
            raise run.exported.refuse("it is not trained", "expkit diagnose RUN --try")
        return try_remedies(run, findings[name], arguments.epochs, arguments.trust)
    if arguments.json:
        from expkit.reports.json.diagnosis import diagnosis_document

        print_document(diagnosis_document(runs, findings, across))
    else:
        _print(runs, findings, across)
    everything = [*across, *(finding for each in findings.values() for finding in each)]
    return EXIT_FATAL if any(finding.severity == "fatal" for finding in everything) else 0


def name_runs(runs: Sequence[Run]) -> dict[str, Run]:
    """Each run once: by its name, or by its path where another has the same name."""
    each_once = list({run.path.resolve(): run for run in runs}.values())
    names = [run.name for run in each_once]
    return {
        name if names.count(name) == 1 else str(run.path): run
        for name, run in zip(names, each_once, strict=True)
    }


def _print(
    runs: Mapping[str, Run], findings: Mapping[str, list[Finding]], across: list[Finding]
) -> None:
    for name, run in runs.items():
        unlooked = not_looked_lines(not_looked(Evidence.of(run), load_rules()))
        print("\n".join([f"{name} ({run.status})", listing(findings[name]), *unlooked, ""]))
    if len(runs) > 1:
        print(f"across the {len(runs)} runs\n{listing(across)}")
