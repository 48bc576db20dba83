"""Short trials of the changes that findings propose, beside the unchanged run."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expkit.config.compose import change_parts
from expkit.config.plain_config import with_own_cache
from expkit.config.schema import PARTS, Config
from expkit.config.stage_parts import config_of_stage
from expkit.config.validation import check_config
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.next_command import train_again
from expkit.errors import UserError
from expkit.records.files import Record, write_json
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run, explain_damage
from expkit.records.safe_open import is_file, make_inside, refuse_links
from expkit.reports.run.run_screen import handle
from expkit.reports.run.trial_table import TrialResult, best_cure, trial_table
from expkit.runner.run import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PASSED,
    build,
    make_folder,
    refuse_other_data,
)
from expkit.terminal.signals import raise_if_interrupted, stop_on_signals

MOST_TRIALS = 8
NUM_EPOCHS = 10  # of a trial, or as many as the whole training has
TRAINING = "expkit.runner.stages.training.Training"
# what would end one trial before the others, or draw images that nobody probe epochs at
UNDISTURBED = {"stop_at": None, "patience": None, "swa_epochs": None, "snapshot_every": None}


def try_remedies(
    run: Run, findings: Sequence[Finding], num_epochs: int | None, trusted: Sequence[str]
) -> int:
    """Run the trials and say which change cures it; exit code 0 where one does."""
    refuse_links(run.path / "trials", run.path)
    listed = list_remedies(findings)
    with explain_damage(run.path / "config.yaml"):
        base = shorten(run, num_epochs, later_phase(run, listed))
    left_out = set(run.stage_names) - set(base["procedure"])
    remedies = {words: rules for words, rules in listed.items() if not _are_of(words, left_out)}
    untried = [words for words in listed if words not in remedies]
    if not remedies:
        raise UserError(
            f"no finding on '{run.name}' proposes a change that could be tried"
            + (": those proposed are of a stage that no short trial begins with" * bool(untried)),
            where=", ".join(map(shlex.join, untried))
            or ", ".join(finding.rule for finding in findings)
            or "nothing was found",
            fix=f"expkit diagnose {handle(run.path)}",
        )
    for words in untried:
        print(f"note    not tried, as trials train {[*base['procedure']][-1]}: {shlex.join(words)}")
    results: list[TrialResult] = []
    is_interrupted = False
    try:
        with stop_on_signals():
            for words in [(), *remedies]:
                results.append(_try(run, base, words, trusted))
                label, outcome = results[-1].label, results[-1].outcome(results[0])
                print(f"tried {label}: {outcome}", flush=True)
    except KeyboardInterrupt:
        is_interrupted = True
    if not results:
        return EXIT_INTERRUPTED
    folder = run.path / "trials"
    make_inside(folder, run.path)
    write_json(folder / "trials.json", {"trials": [result.to_json() for result in results]})
    print(f"\n{trial_table(results)}\n")
    if is_interrupted:
        return EXIT_INTERRUPTED
    cure = best_cure(results, remedies)
    if cure is None:
        print(f"none of these cures it; the trials are in {folder}")
        return EXIT_FAILED
    command = train_again(run.overrides, cure.words)
    print(f"cured by {cure.label}: {cure.outcome(results[0])}\nnext     {command}")
    return EXIT_PASSED


def list_remedies(findings: Sequence[Finding]) -> dict[tuple[str, ...], set[str]]:
    """List the remedies to try, each with its findings: of each finding the likeliest first."""
    ranked = [
        (rank, tuple(words), finding.rule)
        for finding in findings
        if finding.severity != "info"
        for rank, words in enumerate(finding.remedies)
    ]
    remedies: dict[tuple[str, ...], set[str]] = {}
    for _, words, rule in sorted(ranked, key=lambda each: each[0]):
        if words in remedies or len(remedies) < MOST_TRIALS:
            remedies.setdefault(words, set()).add(rule)
    return remedies


def later_phase(run: Run, remedies: Collection[tuple[str, ...]]) -> str | None:
    """The phase that all changes are of, where it goes on from weights that the run has kept."""
    stages = run.config["procedure"]
    phases = [name for name in stages if any(_are_of(words, [name]) for words in remedies)]
    if len(phases) != 1 or not all(_are_of(words, phases) for words in remedies):
        return None
    (phase,) = phases
    stage = stages[phase]
    is_later = stage["_target_"] == TRAINING and not _begins(run, stage)
    if not is_later or stage.get("labels_from"):
        return None
    return phase if is_file(run.checkpoint(stage["start_from"], "best"), run.path) else None


def shorten(run: Run, num_epochs: int | None, phase: str | None = None) -> dict[str, Any]:
    """The run's config as a trial: the gates that failed, and a few epochs of its training.

    With a later phase it is that phase alone, from the weights that the run's own began with.
    """
    failed = {result.stage for result in run.stages if not result.passed}
    procedure: dict[str, Any] = {}
    for name, stage in run.config["procedure"].items():
        is_first = phase is None and stage["_target_"] == TRAINING and _begins(run, stage)
        if is_first or name == phase:
            procedure[name] = _shortened(run, name, stage, num_epochs)
            break
        if name in failed:
            procedure[name] = stage
    if not procedure:
        raise UserError(
            f"no stage of '{run.name}' trains with labels: there is nothing to try",
            where=f"procedure: {', '.join(run.stage_names)}",
            fix=f"expkit diagnose {shlex.quote(run.name)}   (each finding says what to run)",
        )
    return {
        **with_own_cache(run.config),
        "output_dir": str(run.path / "trials"),
        "procedure": procedure,
        "hypothesis": "",
        "compared_with": [],
        "reference": None,
        "diagnosis": {**run.config.get("diagnosis", {}), "stop_on": "never"},
    }


def _shortened(
    run: Run, name: str, stage: Mapping[str, Any], num_epochs: int | None
) -> dict[str, Any]:
    schedule = config_of_stage(run.config, name).get("schedule") or {}
    warmup = schedule.get("warmup_epochs") or 0
    epochs = min(num_epochs or max(NUM_EPOCHS, 2 * math.ceil(warmup)), stage["max_epochs"])
    start, start_run = stage.get("start_from"), stage.get("start_from_run")
    if start_run is None and _begins(run, stage):
        start = None
    elif start_run is None:
        start_run = str(run.path.resolve())
    short = {"max_epochs": epochs, "start_from": start, "start_from_run": start_run}
    if stage.get("unfreeze"):
        thaws = {at: globs for at, globs in stage["unfreeze"].items() if int(at) <= epochs}
        short["unfreeze"] = thaws
    return {**stage, **UNDISTURBED, **short}


def _are_of(words: Sequence[str], stages: Collection[str]) -> bool:
    """Tell whether a change is one of stages that no trial runs."""
    return any(word.startswith(f"procedure.{stage}.") for word in words for stage in stages)


def _begins(run: Run, stage: Mapping[str, Any]) -> bool:
    """Tell whether a training goes on from no other: what was pre-trained is left out of trials."""
    start = stage.get("start_from")
    return not start or bool(stage.get("start_from_run")) or run.is_pretraining(start)


def _try(
    run: Run, base: Mapping[str, Any], words: Sequence[str], trusted: Sequence[str]
) -> TrialResult:
    """One trial; a change that this run cannot have is reported, and the others go on."""
    changeable = (*PARTS, "procedure")
    try:
        changed = change_parts({name: base[name] for name in changeable}, words)
        name = "_".join(word.partition("=")[0].rpartition(".")[2] for word in words) or "unchanged"
        config = check_config({**base, **changed, "name": name[:60]}, trusted=trusted)
        return _train(run, config, words)
    except UserError as error:
        if not words:  # what the run itself cannot do, no trial can
            raise
        return TrialResult(list(words), failed=error.what)
    except Exception as error:  # too large for the memory, for one
        if not words:
            raise
        return TrialResult(list(words), failed=f"{type(error).__name__}: {error}")


def _train(run: Run, config: Config, words: Sequence[str]) -> TrialResult:
    from expkit.runner.procedure import run_stages
    from expkit.runner.session import Session

    parts = build(config)
    if not words:
        refuse_other_data(run, parts.metadata)
    command = ["expkit", "diagnose", run.name, "--try"]
    folder = make_folder(parts, config, [*run.overrides, *words], command)
    with contextlib.closing(folder):
        run_stages(Session(parts, folder, Silent()))
    evidence = Evidence.of(Run(folder.path))
    return TrialResult.of(words, evidence, examine(evidence, load_rules()))


@dataclass(frozen=True)
class Silent:
    """Watches a trial, whose table comes at the end."""

    def stage_started(self, stage: str, max_epochs: int) -> None: ...

    def epoch_done(self, record: Record) -> None:
        raise_if_interrupted()

    def stage_finished(self, result: StageResult) -> None: ...

    def found(self, finding: Finding) -> None: ...

    def say(self, text: str) -> None: ...
