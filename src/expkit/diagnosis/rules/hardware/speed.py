"""Time that goes to something else than learning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import minutes
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.hardware.machine import machine_of
from expkit.metrics.percentages import percent
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class DataBound(Rule):
    """The device waits for its batches."""

    max_fraction: Annotated[float, Gt(0), Lt(1)] = 0.5
    min_seconds: Annotated[float, Gt(0)] = 5.0  # spent waiting so far: less is nobody's trouble
    # a short trial tells what a long run will be like, where all but nothing goes to learning
    clear_fraction: Annotated[float, Gt(0), Lt(1)] = 0.9
    clear_seconds: Annotated[float, Gt(0)] = 1.0

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in reversed(evidence.trainings):
            # the first epoch reads files and chooses algorithms
            timed = [each for each in evidence.of_kind("epoch", stage)[1:] if each.get("seconds")]
            waiting = sum(float(each["seconds"].get("data") or 0.0) for each in timed)
            working = sum(float(each["seconds"].get("steps") or 0.0) for each in timed)
            fraction = waiting / max(waiting + working, 1e-9)
            is_costly = waiting >= self.min_seconds and fraction >= self.max_fraction
            if not is_costly and (waiting < self.clear_seconds or fraction < self.clear_fraction):
                continue
            yield self._tell(evidence, stage, timed, waiting, working)
            return

    def _tell(
        self,
        evidence: Evidence,
        stage: str,
        timed: Sequence[Record],
        waiting: float,
        working: float,
    ) -> Finding:
        fraction = waiting / (waiting + working)
        max_epochs = int(evidence.stage_config(stage)["max_epochs"])
        in_all = waiting / len(timed) * max_epochs
        augment = evidence.config["augment"]
        is_augmented = bool(augment.get("transforms"))
        return Finding(
            severity="warning",
            sentence=f"{percent(fraction, 0)} of training goes to waiting for batches: "
            f"{minutes(in_all)} of {max_epochs} epochs",
            evidence={
                "seconds waiting": waiting,
                "seconds working": working,
                "fraction": fraction,
                "epochs": len(timed),
                "transforms": list(augment.get("transforms") or ()),
            },
            cause="augmenting a batch takes longer than learning it"
            if is_augmented
            else "the images come from a slow place, or do not fit into memory and are read anew",
            command="try it without, to see what it costs: augment=none"
            if is_augmented
            else "smaller images (dataset.size), or the data on a faster disk",
            stage=stage,
            epoch=int(timed[-1]["epoch"]),
        )


@dataclass(frozen=True, kw_only=True)
class Denormals(Rule):
    """Numbers next to nothing, which a processor computes many times slower."""

    # a denormal costs many processors some 150 cycles, and a product less than one: of a
    # thousandth on, that is more than a tenth of the time
    max_fraction: Annotated[float, Gt(0), Lt(1)] = 0.001
    min_epochs: Annotated[int, Ge(1)] = 1

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        machine, device = machine_of(evidence), evidence.config["device"]
        flushes = machine.get("flush_denormals", device.get("flush_denormals", True))
        if flushes or machine.get("used", "cpu") != "cpu":
            return
        for stage in reversed(evidence.trainings):
            found = [each for each in evidence.probe_epochs(stage) if each.get("denormal_fraction")]
            slow = [each for each in found if each["denormal_fraction"] > self.max_fraction]
            if len(slow) >= self.min_epochs:
                fraction = float(slow[-1]["denormal_fraction"])
                yield Finding(
                    severity="warning",
                    sentence=f"{percent(fraction, 1)} of the weights are denormal, and the "
                    f"processor does not flush them: a step may take many times longer",
                    evidence={"denormal share": fraction, "device.flush_denormals": False},
                    cause="weights that a decay or a dead layer lets fade are kept down to 1e-45",
                    remedies=[["device.flush_denormals=true"]],
                    stage=stage,
                    epoch=int(slow[-1]["epoch"]),
                )
                return
