"""Rules on the machine of a run: what it used, was asked to use, and could have used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.across_runs import CrossRule, Evidences, repetitions
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import minutes, seconds_per_epoch
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_probes import is_deterministic, unrepeated_steps
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


def machine_of(evidence: Evidence) -> Record:
    """The machine that the run found; empty where it was not written down."""
    machine: Record = {}
    for record in evidence.of_kind("machine"):
        machine |= record
    return machine


@dataclass(frozen=True, kw_only=True)
class DeviceNotAsAsked(Rule):
    """The run is on the processor, and an accelerator stands beside it."""

    small_parameters: Annotated[int, Ge(1)] = 100_000

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        machine = machine_of(evidence)
        if machine.get("used") != "cpu":
            return
        usable = [name for name in machine.get("available") or () if name != "cpu"]
        unusable = list(machine.get("unusable_accelerators") or ())
        size, duration = _num_parameters(evidence), _duration(evidence)
        if usable:
            is_small = size is not None and size < self.small_parameters
            yield self.finding(
                "unused",
                _seen(machine, size),
                severity="info" if is_small else "warning",
                parts={"duration": bool(duration)},
                asked=machine.get("asked"),
                device=usable[0],
                **duration,
            )
        elif unusable and machine.get("asked") == "auto":
            yield self.finding(
                "unusable",
                {**_seen(machine, size), "seen": unusable},
                parts={"duration": bool(duration)},
                accelerators=", ".join(unusable),
                **duration,
            )


def _seen(machine: Record, size: int | None) -> dict[str, Any]:
    names = ("asked", "used", "available", "precision", "cores")
    seen = {name: machine[name] for name in names if name in machine}
    return {**seen, **({} if size is None else {"parameters": size})}


def _num_parameters(evidence: Evidence) -> int | None:
    models = evidence.of_kind("model")
    return sum(int(each["size"]) for each in models[-1]["parameters"]) if models else None


def _duration(evidence: Evidence) -> dict[str, Any]:
    """The last training stage and the minutes that it takes, as soon as an epoch was timed."""
    for stage in evidence.trainings[-1:]:
        records = evidence.epochs(stage)
        if len(records) > 1:
            seconds = seconds_per_epoch(records) * int(evidence.stage_config(stage)["max_epochs"])
            return {"training": stage, "minutes": minutes(seconds)}
    return {}


@dataclass(frozen=True, kw_only=True)
class MemoryNearLimit(Rule):
    """A little more, and the run ends for want of memory."""

    max_fraction: Annotated[float, Gt(0), Le(1)] = 0.9

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in reversed(evidence.trainings):
            found = [
                (each, each["memory_bytes"])
                for each in evidence.of_kind("epoch", stage)
                if each.get("memory_bytes") and each["memory_bytes"].get("total")
            ]
            full = [
                pair for pair in found if pair[1]["used"] > self.max_fraction * pair[1]["total"]
            ]
            if full:
                record, memory = full[-1]
                given = evidence.stage_config(stage)
                size, collected = int(given["batch_size"]), int(given.get("batches_per_step", 1))
                yield self.finding(
                    "nearly_full",
                    {**memory, "fraction": memory["used"] / memory["total"]},
                    remedies=None if size > 1 else [],
                    stage=stage,
                    epoch=int(record["epoch"]),
                    used_gb=memory["used"] / 1e9,
                    total_gb=memory["total"] / 1e9,
                    half_batch=size // 2,
                    twice_the_batches=2 * collected,
                )
                return


@dataclass(frozen=True, kw_only=True)
class NotDeterministic(CrossRule):
    """Determinism was asked for, and the same work gave two results."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        differing = unrepeated_steps(evidence)
        if differing:
            yield self.finding(
                "same_step",
                {"device.deterministic": True, "repeats": False},
                stage=str(differing[0]["stage"]),
            )

    def compare(self, evidences: Evidences) -> Iterable[Finding]:
        """The findings on runs of one config, seed and machine that have other figures."""
        for group in repetitions(evidences):
            asked = {name: each for name, each in group.items() if is_deterministic(each)}
            by_place: dict[str, dict[str, Evidence]] = {}
            for name, each in asked.items():
                where = {key: each.environment.get(key) for key in ("device", "versions", "host")}
                by_place.setdefault(repr(where), {})[name] = each
            for runs in by_place.values():
                yield from self._differing(runs)

    def _differing(self, runs: Evidences) -> Iterable[Finding]:
        """The finding of the first epoch in which two runs part."""
        (first, ours), *others = runs.items()
        for name, theirs in others:
            for one, other in zip(ours.history, theirs.history, strict=False):
                stage, epoch = one["stage"], one["epoch"]
                if (stage, epoch) != (other["stage"], other["epoch"]):
                    break
                figures = [k for k in one if "/" in k and repr(one[k]) != repr(other.get(k))]
                if figures:
                    key = figures[0]
                    value, others_value = one[key], other.get(key)
                    yield self.finding(
                        "two_runs",
                        {first: value, name: others_value, "figure": key, "epoch": epoch},
                        runs=f"{first} and {name}",
                        parting=f"epoch {epoch} of {stage}",
                        values=f"{value!r} and {others_value!r}",
                    )
                    return
