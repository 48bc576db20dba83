"""Rules on pre-training without labels: embeddings that collapse, and features no better for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import is_adaptive
from expkit.metrics.mcnemar import McNemar
from expkit.records.files import Record

KIND = "representation"  # of the signals that a pre-training stage writes
METHODS = ("knn_accuracy", "linear_probe_accuracy")


@dataclass(frozen=True, kw_only=True)
class CollapsedEmbeddings(Rule):
    """A head that gives all images one embedding: the loss cannot fall below that of guessing.

    Untrained embeddings are nearly equal, too; so they must have come nearer to each other. Where
    they lie along one line, which takes longer to be sure of, most of what tells images is lost.
    """

    std: Annotated[float, Gt(0), Lt(1)] = 0.02
    of_untrained: Annotated[float, Gt(0), Lt(1)] = 0.5
    rank: Annotated[float, Ge(1)] = 1.2
    untrained_rank: Annotated[float, Gt(1)] = 2.0
    least_epochs: Annotated[int, Ge(1)] = 4
    sound_lr: Annotated[float, Gt(0)] = 0.001
    sound_lr_without_moments: Annotated[float, Gt(0)] = 0.03

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for first, last in pretrainings(evidence):
            for head, now in last["heads"].items():
                before = first["heads"].get(head, now)
                if case := self._judge(last["epoch"], before, now):
                    yield self._finding(evidence, last, head, before, case)
                    return

    def _judge(
        self, epoch: int, before: Mapping[str, float], now: Mapping[str, float]
    ) -> str | None:
        """The case that a head is in, by what it was before it was trained."""
        if now["std"] < min(self.std, self.of_untrained * before["std"]):
            return "collapsed"
        is_line = (
            now["effective_rank"] < self.rank and before["effective_rank"] > self.untrained_rank
        )
        return "one_direction" if is_line and epoch >= self.least_epochs else None

    def _finding(
        self, evidence: Evidence, last: Record, head: str, before: Mapping[str, float], case: str
    ) -> Finding:
        stage, now = last["stage"], last["heads"][head]
        own = evidence.stage_config(stage).get("optimizer") or {}
        config = {"optimizer": {**evidence.config["optimizer"], **own}}
        lr = float(config["optimizer"].get("lr") or 0.0)
        sound = self.sound_lr if is_adaptive(config) else self.sound_lr_without_moments
        key = f"procedure.{stage}.optimizer" if "lr" in own else "optimizer"
        remedies = [[f"{key}.lr={sound:g}"]] if lr > sound else []
        return self.finding(
            case,
            {
                "embedding_std": now["std"],
                "untrained_std": before["std"],
                "effective_rank": now["effective_rank"],
                "untrained_rank": before["effective_rank"],
                "lr": lr,
            },
            remedies=remedies,
            stage=stage,
            epoch=last["epoch"],
            head=head,
        )


@dataclass(frozen=True, kw_only=True)
class PretrainingGainedNothing(Rule):
    """Features that val finds no better than those which the backbone had before pre-training.

    Nearest neighbours and a linear probe, each by McNemar's exact test on the same samples.
    """

    level: Annotated[float, Gt(0), Lt(1)] = 0.05

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for _, last in pretrainings(evidence):
            stage = last["stage"]
            pairs = {name: _pairs(last, name) for name in METHODS if name in last}
            if not pairs or evidence.result(stage) is None:
                continue
            if any(each.p < self.level and each.num_more > 0 for each in pairs.values()):
                continue
            is_worse = all(each.p < self.level for each in pairs.values())
            figures = {name: last[name] for name in METHODS}
            untrained = {
                f"untrained_{name}": last[f"{name}_against_untrained"]["untrained"]
                for name in METHODS
            }
            yield self.finding(
                "worse" if is_worse else "no_better",
                {**figures, **untrained, "num_samples": last["num_samples"]},
                remedies=_longer(evidence, stage),
                stage=stage,
                epoch=last["epoch"],
            )


def pretrainings(evidence: Evidence) -> Iterator[tuple[Record, Record]]:
    """The first and the last look at each pre-training's embeddings that found numbers there."""
    by_stage: dict[str, list[Record]] = {}
    for record in evidence.of_kind(KIND):
        if record.get("heads"):
            by_stage.setdefault(record["stage"], []).append(record)
    for records in by_stage.values():
        yield records[0], records[-1]


def _longer(evidence: Evidence, stage: str) -> list[list[str]]:
    """The override that gives the stage four times the epochs."""
    max_epochs = int(evidence.stage_config(stage)["max_epochs"])
    return [[f"procedure.{stage}.max_epochs={4 * max_epochs}"]]


def _pairs(record: Mapping[str, Any], name: str) -> McNemar:
    against = record[f"{name}_against_untrained"]
    return McNemar(0, int(against["only_now"]), int(against["only_untrained"]), 0)
