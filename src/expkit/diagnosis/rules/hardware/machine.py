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
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent
from expkit.records.files import Record


def machine_of(evidence: Evidence) -> Record:
    """Return what the run found its machine to be; empty where it was not written down."""
    machine: Record = {}
    for record in evidence.of_kind("machine"):
        machine |= record
    return machine


@dataclass(frozen=True, kw_only=True)
class DeviceNotAsAsked(Rule):
    """The run is on the processor, and an accelerator stands beside it."""

    small_parameters: Annotated[int, Ge(1)] = 100_000  # of a net that needs no accelerator

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        machine = machine_of(evidence)
        if machine.get("used") != "cpu":
            return
        usable = [name for name in machine.get("available") or () if name != "cpu"]
        unusable = list(machine.get("unusable_accelerators") or ())
        if usable:
            yield self._tell_unused(evidence, machine, usable)
        elif unusable and machine.get("asked") == "auto":
            yield self._tell_unusable(evidence, machine, unusable)

    def _tell_unused(self, evidence: Evidence, machine: Record, usable: list[str]) -> Finding:
        size = _num_parameters(evidence)
        is_small = size is not None and size < self.small_parameters
        return Finding(
            severity="info" if is_small else "warning",
            sentence=f"it runs on the processor, and {usable[0]} is there{_duration(evidence)}",
            evidence=_seen(machine, size),
            cause=f"device.name={machine.get('asked')} was asked for",
            remedies=[[f"device.name={usable[0]}"]],
        )

    def _tell_unusable(self, evidence: Evidence, machine: Record, unusable: list[str]) -> Finding:
        return Finding(
            severity="warning",
            sentence="it runs on the processor: the machine has an accelerator that torch cannot "
            f"use ({', '.join(unusable)}){_duration(evidence)}",
            evidence={**_seen(machine, _num_parameters(evidence)), "seen": unusable},
            cause="torch is a build for processors alone, its driver is too old, or the "
            "accelerator is hidden from it (CUDA_VISIBLE_DEVICES)",
            command="install the torch that fits the driver, and ask for the device by name, "
            "which refuses the processor: device=cuda or device=mps",
        )


def _seen(machine: Record, size: int | None) -> dict[str, Any]:
    names = ("asked", "used", "available", "precision", "cores")
    seen = {name: machine[name] for name in names if name in machine}
    return {**seen, **({} if size is None else {"parameters": size})}


def _num_parameters(evidence: Evidence) -> int | None:
    models = evidence.of_kind("model")
    return sum(int(each["size"]) for each in models[-1]["parameters"]) if models else None


def _duration(evidence: Evidence) -> str:
    """Return what it costs, as soon as an epoch was timed."""
    for stage in evidence.trainings[-1:]:
        records = evidence.epochs(stage)
        if len(records) > 1:
            seconds = seconds_per_epoch(records) * int(evidence.stage_config(stage)["max_epochs"])
            return f": all of {stage} takes {minutes(seconds)}"
    return ""


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
                halved = [f"procedure.{stage}.batch_size={size // 2}"]
                halved.append(f"procedure.{stage}.batches_per_step={2 * collected}")
                yield Finding(
                    severity="warning",
                    sentence=f"memory is {percent(memory['used'] / memory['total'], 0)} full: "
                    f"{memory['used'] / 1e9:.1f} of {memory['total'] / 1e9:.1f} GB",
                    evidence={**memory, "fraction": memory["used"] / memory["total"]},
                    cause="batch, images and net together nearly fill the device",
                    remedies=[halved] if size > 1 else [],
                    stage=stage,
                    epoch=int(record["epoch"]),
                )
                return


@dataclass(frozen=True, kw_only=True)
class NotDeterministic(CrossRule):
    """Determinism was asked for, and the same work gave two results."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        records = [*evidence.of_kind("machine"), *evidence.of_kind("model")]
        differing = [each for each in records if each.get("repeats") is False]
        if _is_asked(evidence) and differing:
            yield Finding(
                severity="warning",
                sentence="determinism was asked for, and the same step on the same samples gave "
                "two different results",
                evidence={"device.deterministic": True, "repeats": False},
                cause="a part of the model or the loss draws at random without the seed, keeps "
                "state from call to call, or sums in an order that changes",
                command="see which layer it is: expkit parity ... --steps 1",
                stage=str(differing[0]["stage"]),
            )

    def compare(self, evidences: Evidences) -> Iterable[Finding]:
        """Runs of one config and seed, on the same device and versions, with other figures."""
        for group in repetitions(evidences):
            asked = {name: each for name, each in group.items() if _is_asked(each)}
            by_place: dict[str, dict[str, Evidence]] = {}
            for name, each in asked.items():
                where = {key: each.environment.get(key) for key in ("device", "versions", "host")}
                by_place.setdefault(repr(where), {})[name] = each
            for runs in by_place.values():
                yield from _differing(runs)


def _is_asked(evidence: Evidence) -> bool:
    return bool(evidence.config["device"].get("deterministic"))


def _differing(runs: Evidences) -> Iterable[Finding]:
    """The first epoch in which two runs part."""
    (first, ours), *others = runs.items()
    for name, theirs in others:
        for one, other in zip(ours.history, theirs.history, strict=False):
            at = (one["stage"], one["epoch"])
            if at != (other["stage"], other["epoch"]):
                break
            figures = [key for key in one if "/" in key and repr(one[key]) != repr(other.get(key))]
            if figures:
                key = figures[0]
                yield Finding(
                    severity="warning",
                    sentence=f"determinism was asked for, and {first} and {name} part at epoch "
                    f"{at[1]} of {at[0]}: {key} {one[key]!r} and {other.get(key)!r}",
                    evidence={first: one[key], name: other.get(key), "figure": key, "epoch": at[1]},
                    cause="a part of the model, the data or the loss draws at random without the "
                    "seed, or sums in an order that changes",
                    command="see which layer it is: expkit parity ... --steps 1",
                )
                return
