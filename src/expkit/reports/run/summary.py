"""The summary of a run: each stage's verdict, metric and criterion, from the records."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from expkit.diagnosis.coverage import not_looked
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.metrics.baselines import chance_levels, constant_levels
from expkit.metrics.classification import decisive_sample
from expkit.metrics.criteria import Criterion, parse_criterion
from expkit.metrics.selective_prediction import Sure, risk_coverages
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.reader import Run
from expkit.reports.formatting import asked, percent
from expkit.reports.run.asked_figures import asked_levels, details_of, look_up, with_asked
from expkit.reports.run.ensemble import measure_ensemble, to_json
from expkit.reports.run.evaluation_manner import manner_of
from expkit.reports.run.figures import Figure, Measured
from expkit.reports.run.stored_summary import is_sound

Summary = dict[str, Any]


def recall(run: Run) -> Summary:
    """The stored summary of a run that ended, without reading its predictions; else a new one.

    One of another shape, as from before figures had intervals, is computed anew.
    """
    stored = run.summary
    if stored is None or not is_sound(stored):
        return summarize(run)
    if stored["status"] == run.status in ("finished", "failed"):
        return stored
    return summarize(run)


def summarize(run: Run) -> Summary:
    """The content of summary.json; a number that is not finite becomes null, as JSON has none."""
    metadata = run.dataset
    stated = criteria_of(run)
    look = run.test_look
    measured = {
        split: Measured.of(predictions, look.level)
        if look is not None and split == look.split
        else Measured.of(predictions)
        for split, predictions in run.predictions.items()
    }
    measured = with_asked(run, measured, stated)
    metrics = {split: found.figures for split, found in measured.items()}
    stages = _stages(run)
    criteria = [_judge(criterion, run, measured) for criterion in stated]
    verdict, reason = _verdict(run, stages, criteria, metrics)
    training = [stage for stage in stages if stage["kind"] == "Training"]
    evaluated = [stage for stage in stages if stage["kind"] == "Evaluation"]
    return {
        "run": run.name,
        "status": run.status,
        "verdict": verdict,
        "verdict_reason": reason,
        "judged_split": metadata.judged_split,
        "judged_on": metadata.judged_on(epoch_chosen=_is_epoch_chosen(run)),
        "num_judged": metadata.splits[metadata.judged_split].num_samples,
        "chance_accuracy": metadata.chance_accuracy,
        "majority_accuracy": metadata.majority_accuracy(metadata.judged_split),
        "chance_loss": metadata.chance_loss,
        "stages": stages,
        "progress": _progress(run),
        "levels": _levels(run, stated),
        "metrics": {split: _finite(values) for split, values in metrics.items()},
        "intervals": {
            split: {name: list(ends) for name, ends in found.intervals.items()}
            for split, found in measured.items()
        },
        "classes": {split: found.class_rows() for split, found in measured.items()},
        "decisive_samples": {
            split: asdict(found)
            for split, predictions in run.predictions.items()
            if (found := decisive_sample(predictions)) is not None
        },
        "sure": _sure(run),
        "selective": {
            split: {name: curve.to_json() for name, curve in risk_coverages(predictions).items()}
            for split, predictions in run.predictions.items()
        },
        **_sealed(run),
        **manner_of(run),
        **_ensemble(run),
        **_extensions(run),
        "criteria": criteria,
        "findings": [finding.to_json() for finding in examine(Evidence.of(run), load_rules())],
        **({"not_looked": not_looked(Evidence.of(run), load_rules())} if run.is_watched else {}),
        "held_out_gap": _held_out_gap(metadata, metrics),
        "best_epoch": (evaluated or training or [{}])[-1].get("best_epoch"),
        "wall_seconds": sum(stage["seconds"] for stage in stages),
        "samples_per_second": training[-1]["samples_per_second"] if training else None,
        "peak_memory_bytes": max((stage["peak_memory_bytes"] for stage in stages), default=0),
    }


def _levels(run: Run, stated: Sequence[Criterion]) -> dict[str, dict[str, float | None]]:
    """The figures of nets that know nothing, on the judged split."""
    judged = run.predictions.get(run.dataset.judged_split)
    if judged is None:
        return {"chance": {}, "constant": {}}
    chance, constant = asked_levels(run, stated)
    return {
        "chance": _finite({**chance_levels(judged), **chance}),
        "constant": _finite({**constant_levels(judged), **constant}),
    }


def _sealed(run: Run) -> dict[str, Any]:
    """What is known of a sealed test set: that it waits, or the how-manieth look this is."""
    sealed, look = run.dataset.sealed, run.test_look
    waiting = {} if sealed is None else {"sealed": {"num_samples": sealed.num_samples}}
    return waiting if look is None else {**waiting, "test_look": asdict(look)}


def _ensemble(run: Run) -> dict[str, Any]:
    """An ensemble's figures beside its members'; nothing of a run that trained."""
    found = measure_ensemble(run)
    return {} if found is None else {"ensemble": to_json(found)}


def _extensions(run: Run) -> dict[str, Any]:
    """The trainings that went on beyond their end; nothing of a run that has none."""
    told = [
        {"stage": each.stage, "at": each.at, "num_epochs": each.num_epochs, "words": each.words}
        for each in run.extensions
    ]
    return {"extensions": told} if told else {}


def _sure(run: Run) -> dict[str, dict[str, object]]:
    """Measure by split, where a stage has taught the model to say maybe; else empty."""
    if run.labels is None:
        return {}
    label = run.labels.class_names[-1]
    found = {split: Sure.of(predictions, label) for split, predictions in run.predictions.items()}
    return {split: sure.to_json() for split, sure in found.items() if sure is not None}


def _is_epoch_chosen(run: Run) -> bool:
    """Tell whether the last evaluation is of the best epoch, and not of the last one."""
    stages = [stage or {} for stage in run.config["procedure"].values()]
    weights = [stage["weights"] for stage in stages if "weights" in stage]
    return weights[-1:] != ["last"]


def all_passed(summary: Mapping[str, Any]) -> bool:
    """Tell whether a run may exit with 0: every stage passed, which an unfinished run's have not.

    Criteria that nothing could measure do not count against a procedure without an evaluation,
    nor those on a sealed test set; else a criterion left open is no success.
    """
    open_is_fine = not summary["metrics"]
    criteria = [c for c in summary["criteria"] if not waits_for_test(c, summary)]
    return all(stage["passed"] for stage in summary["stages"]) and all(
        c["met"] or (c["met"] is None and open_is_fine) for c in criteria
    )


def waits_for_test(criterion: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Tell whether a criterion is judged once its test set is unsealed."""
    return criterion["split"] == "test" and bool(summary.get("sealed"))


def _finite(figures: Mapping[str, float] | None) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in (figures or {}).items()}


def _progress(run: Run) -> dict[str, Any] | None:
    """The last line of the history: where the run is, or where it was cut off."""
    if not run.history:
        return None
    last = run.history[-1]
    figures = {k: v for k, v in last.items() if "/" in k and isinstance(v, int | float)}
    unit = "step" if is_gate(run, last["stage"]) else "epoch"
    return {
        "stage": last["stage"],
        "unit": unit,
        "epoch": last["epoch"],
        "figures": _finite(figures),
    }


def is_gate(run: Run, stage: str) -> bool:
    """A gate is a stage with a bound on its loss; its history has a line a step."""
    return gate_bound(run, stage) is not None


def gate_bound(run: Run, stage: str) -> float | None:
    """The loss that a gate must get under."""
    key = "max_loss" if run.dataset.task == "classification" else "max_regression_loss"
    bound = (run.config["procedure"].get(stage) or {}).get(key)
    return None if bound is None else float(bound)


def _stages(run: Run) -> list[dict[str, Any]]:
    """Every stage that was asked for, those not finished with a verdict of None."""
    done = {result.stage: result for result in run.stages}
    names = [*run.stage_names, *(name for name in done if name not in run.stage_names)]
    stages = []
    for name in names:
        if name in done:
            record = done[name].to_json()
            stages.append({**record, "figures": _finite(record["figures"])})
        else:
            stages.append(_open_stage(run, name))
    return stages


def _open_stage(run: Run, name: str) -> dict[str, Any]:
    progress = _progress(run)
    reason = "not reached"
    if progress is not None and progress["stage"] == name:
        at = f"{progress['unit']} {progress['epoch']}"
        reason = f"running, {at}" if run.status == "running" else f"cut off after {at}"
    lines = [record for record in run.history if record["stage"] == name]
    return {
        "stage": name,
        "passed": None,
        "reason": reason,
        "kind": None,
        "num_epochs": len(lines),
        "best_epoch": None,
        "seconds": sum(record.get("seconds", 0.0) for record in lines),
        "samples_per_second": lines[-1].get("samples_per_second", 0.0) if lines else 0.0,
        "peak_memory_bytes": 0,
        "figures": _finite(progress["figures"]) if progress and reason != "not reached" else {},
    }


def criteria_of(run: Run) -> list[Criterion]:
    """The criteria that were stated for a run; refused where they cannot be read."""
    stated: Mapping[str, object] = run.config.get("criteria") or {}
    return [parse_criterion(name, condition) for name, condition in stated.items()]


def _judge(criterion: Criterion, run: Run, measured: Mapping[str, Measured]) -> dict[str, Any]:
    split = criterion.split(run.dataset.judged_split)
    found = look_up(measured[split], criterion) if split in measured else Figure()
    value, interval = found.value, found.interval
    return {
        "criterion": str(criterion),
        "metric": criterion.metric,
        "relation": criterion.relation,
        "bound": criterion.bound,
        "split": split,
        "value": value if value is not None and math.isfinite(value) else None,
        "met": None if value is None else criterion.is_met(value),
        "interval": None if interval is None else list(interval),
        "num_samples": found.num_samples,
        **details_of(criterion, found, run),
    }


def _verdict(
    run: Run,
    stages: list[dict[str, Any]],
    criteria: list[dict[str, Any]],
    metrics: Mapping[str, Mapping[str, float]],
) -> tuple[str, str]:
    """Met or not only where the run ended and every criterion has its number."""
    evaluated = bool(metrics)
    failed = next((stage for stage in stages if stage["passed"] is False), None)
    if failed is not None and not evaluated:
        return "not judged", f"{failed['stage']} failed, so nothing after it ran"
    if run.status in ("running", "interrupted"):
        return "not judged", f"the run is {run.status}"
    if not criteria:
        return "not judged", _nothing_stated(run.dataset, metrics)
    if not evaluated:
        return "not judged", "criteria not measured: the procedure has no evaluation"
    open_ = [asked(c) for c in criteria if c["met"] is None]
    if open_:
        waits = run.dataset.sealed is not None
        why = f"; test is sealed: expkit unseal {shlex.quote(run.name)}" if waits else ""
        return "not judged", f"not measured: {', '.join(open_)}{why}"
    num_met = sum(c["met"] for c in criteria)
    verdict = "met" if num_met == len(criteria) and failed is None else "not met"
    return verdict, f"{num_met} of {len(criteria)} criteria met"


def _nothing_stated(metadata: DatasetMetadata, metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The words of a run without criteria, with what its accuracy is to be held against."""
    reason = "no criteria were stated"
    accuracy = metrics.get(metadata.judged_split, {}).get("accuracy")
    majority, chance = metadata.majority_accuracy(metadata.judged_split), metadata.chance_accuracy
    if accuracy is None or majority is None or chance is None:
        return reason
    return (
        f"{reason}; accuracy {percent(accuracy)}, always the largest class {percent(majority)}, "
        f"chance {percent(chance)}"
    )


def _held_out_gap(
    metadata: DatasetMetadata, metrics: Mapping[str, Mapping[str, float]]
) -> dict[str, Any] | None:
    """Return how much worse the held-out samples do than those trained on; None without both."""
    judged = metadata.judged_split
    if not metadata.has_training_samples:
        return None
    if judged == "train" or not {"train", judged} <= metrics.keys():
        return None
    metric, sign = ("accuracy", 1) if "accuracy" in metrics[judged] else ("rmse", -1)
    gap = sign * (metrics["train"][metric] - metrics[judged][metric])
    return {"metric": metric, "split": judged, "gap": gap if math.isfinite(gap) else None}
