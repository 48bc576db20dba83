"""Time that goes to something else than learning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import minutes
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.hardware.machine import machine_of


@dataclass(frozen=True, kw_only=True)
class DataBound(Rule):
    """The device waits for its batches."""

    max_fraction: Annotated[float, Gt(0), Lt(1)] = 0.5
    min_seconds: Annotated[float, Gt(0)] = 5.0
    # a short trial shows what a long run will be like, where all but nothing goes to learning
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
            is_clear = waiting >= self.clear_seconds and fraction >= self.clear_fraction
            if not is_costly and not is_clear:
                continue
            transforms = list(evidence.config["augment"].get("transforms") or ())
            max_epochs = int(evidence.stage_config(stage)["max_epochs"])
            yield self.finding(
                "augmented" if transforms else "slow_data",
                {
                    "seconds waiting": waiting,
                    "seconds working": working,
                    "fraction": waiting / (waiting + working),
                    "epochs": len(timed),
                    "transforms": transforms,
                },
                stage=stage,
                epoch=int(timed[-1]["epoch"]),
                duration=minutes(waiting / len(timed) * max_epochs),
                max_epochs=max_epochs,
            )
            return


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
                yield self.finding(
                    "not_flushed",
                    {"denormal share": fraction, "device.flush_denormals": False},
                    stage=stage,
                    epoch=int(slow[-1]["epoch"]),
                )
                return
