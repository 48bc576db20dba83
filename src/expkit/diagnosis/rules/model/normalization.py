"""Rules on batch norm: batches too small for it, and the wrong mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_probes import (
    chance_loss,
    epoch_of,
    is_pretrained,
    listed,
    lower_lr,
    models,
    probe_epochs,
    start_of,
    starts_from,
)
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class BatchNormSmallBatch(Rule):
    """Batch norm that learns over so few samples that their mean is mostly chance.

    Two samples tell of a channel at most their mean and their difference. Larger batches are
    judged by what comes of them: the same samples, predicted in eval mode, must be much worse.
    """

    too_few: Annotated[int, Ge(1)] = 2
    few: Annotated[int, Ge(1)] = 8
    worse: Annotated[float, Gt(1)] = (
        2.0  # times the training loss, at each of two probe epochs in a row
    )

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings:
            start = start_of(evidence, stage)
            batch_size = evidence.stage_config(stage)["batch_size"]
            if start is None or not start.get("batch_norms") or batch_size > self.few:
                continue
            if not any(p["kind"] == "norm" and p["trainable"] for p in start["parameters"]):
                continue  # frozen norms stand on the statistics that they came with
            gaps = lasting_gaps(evidence, stage, self.worse)
            if batch_size <= self.too_few or gaps:
                yield self._finding(start, stage, batch_size, gaps)
                return

    def _finding(self, start: Record, stage: str, batch_size: int, gaps: list[Record]) -> Finding:
        numbers = {"batch_size": batch_size, "batch_norms": start["batch_norms"]}
        if gaps:
            probe_epoch = gaps[-1]
            numbers |= {
                "train_loss": probe_epoch["train/loss"],
                "eval_mode_loss": probe_epoch["probe_loss"],
            }
        return Finding(
            severity="warning",
            sentence=f"{start['batch_norms']} batch norms take their mean and std from "
            f"{batch_size} sample(s) at a time",
            evidence=numbers,
            cause="statistics of so few samples are mostly chance: what is learnt by them does "
            "not fit the running averages that outputs are made with",
            remedies=[[f"procedure.{stage}.batch_size=32"], [f"procedure.{stage}.batch_size=16"]],
            stage=stage,
            epoch=gaps[-1]["epoch"] if gaps else None,
        )


def lasting_gaps(evidence: Evidence, stage: str, worse: float) -> list[Record]:
    """The last two looks, where at both the training samples are predicted much worse in eval mode.

    The mean of weights (ema_decay) lags by itself: it is no sign.
    """
    if evidence.stage_config(stage).get("ema_decay"):
        return []
    measured = [
        probe_epoch for probe_epoch in probe_epochs(evidence) if probe_epoch["stage"] == stage
    ][-2:]
    # after a few steps running averages still hold what they started from
    settled = [probe_epoch for probe_epoch in measured if probe_epoch["step"] >= 100]
    gaps = [
        probe_epoch
        for probe_epoch in settled
        if probe_epoch["probe_loss"] > worse * probe_epoch["train/loss"]
    ]
    return gaps if len(gaps) == 2 and gaps[0]["epoch"] >= 2 else []


@dataclass(frozen=True, kw_only=True)
class BatchNormMode(Rule):
    """Norms that stand in eval mode while they should learn, or in training mode in evaluation.

    Norms that the run froze on purpose are not recorded as such; those of trained weights may be
    kept still by the model itself.
    """

    worse: Annotated[float, Gt(1)] = 4.0  # eval-mode loss, times the training loss
    random: Annotated[float, Gt(0)] = 1e-3  # of the outputs' size: beyond what rounding does
    half: Annotated[float, Gt(0)] = 0.5  # of chance: learnt in one mode, and not in the other

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            if record.get("without_averages"):
                yield self._without_averages(record)
                return
            is_told = not record["not_evaluating"] and ignores_seed(evidence)
            if (record.get("repeat_gap") or 0.0) > self.random and not is_told:
                yield self._random(record)
                return
            trained_before = is_pretrained(evidence) or starts_from(evidence, record["stage"])
            norms = {each["name"] for each in record["layers"]}  # dropouts do not count as layers
            asleep = [name for name in record["not_training"] if name in norms]
            awake = [name for name in record["not_evaluating"] if name in norms]
            if awake or (asleep and not trained_before):
                yield self._wrong_mode(record, awake or asleep, is_awake=bool(awake))
                return
            if not trained_before and (found := _by_momentum(record)):
                yield found
                return
        yield from self._find_stale(evidence)

    def _wrong_mode(self, record: Record, names: list[str], *, is_awake: bool) -> Finding:
        mode, when = ("training", "evaluation") if is_awake else ("eval", "training")
        return Finding(
            severity="warning",
            sentence=f"{len(names)} of {record['batch_norms']} batch norms "
            f"{'stays' if len(names) == 1 else 'stay'} in {mode} mode in "
            f"{when}: {listed(names)}",
            evidence={"names": names[:20], "batch_norms": record["batch_norms"]},
            cause="the model overrides train() or eval(), or switches the layers itself: "
            + (
                "outputs then depend on the other samples of the batch"
                if is_awake
                else "they normalize by the statistics that they were made with"
            ),
            command="leave train() and eval() to torch, or freeze the norms by "
            "procedure.STAGE.frozen_up_to",
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _without_averages(self, record: Record) -> Finding:
        names = record["without_averages"]
        return Finding(
            severity="warning",
            sentence=f"{len(names)} of {record['batch_norms']} batch norms "
            f"{'has' if len(names) == 1 else 'have'} no averages but those of the batch, in "
            f"evaluation too: {listed(names)}",
            evidence={"names": names[:20], "batch_norms": record["batch_norms"]},
            cause="track_running_stats=False: outputs depend on the other samples of the batch",
            command="leave track_running_stats as it is, or take group or layer norm",
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _random(self, record: Record) -> Finding:
        gap, awake = record["repeat_gap"], record["not_evaluating"]
        return Finding(
            severity="warning",
            sentence=f"in eval mode two outputs to the same samples differ by {percent(gap, 1)} "
            f"of their size: the model draws at random in evaluation",
            evidence={"repeat_gap": gap, "not_evaluating": awake[:20]},
            cause=f"{listed(awake)} stay in training mode"
            if awake
            else "a functional dropout without training=self.training, or noise that forward "
            "adds in every mode",
            command="leave train() and eval() to torch"
            if awake
            else "write functional.dropout(x, p, training=self.training), or nn.Dropout",
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _find_stale(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings:
            start, chance = start_of(evidence, stage), chance_loss(evidence, stage)
            if start is None or not start.get("batch_norms") or chance is None:
                continue
            gaps = lasting_gaps(evidence, stage, self.worse)
            if not gaps or not all(
                each["train/loss"] < self.half * chance < each["probe_loss"] for each in gaps
            ):
                continue
            probe_epoch = gaps[-1]
            loss = probe_epoch["probe_loss"]
            yield Finding(
                severity="warning",
                sentence=f"in eval mode the loss on training samples is {loss:.3g}, "
                f"and in training mode {probe_epoch['train/loss']:.3g}",
                evidence={
                    "eval_mode_loss": probe_epoch["probe_loss"],
                    "train_loss": probe_epoch["train/loss"],
                },
                cause="the running averages of batch norm do not follow the batches: their "
                "momentum is too small, or the batches differ too much",
                remedies=[
                    [f"optimizer.lr={lower_lr(evidence):.3g}"],
                    [f"procedure.{stage}.batch_size=64"],
                ],
                stage=stage,
                epoch=probe_epoch["epoch"],
            )
            return


def ignores_seed(evidence: Evidence) -> bool:
    """Tell whether the same step under one seed gave two results, which not_deterministic tells."""
    records = [*evidence.of_kind("machine"), *evidence.of_kind("model")]
    is_asked = bool((evidence.config.get("device") or {}).get("deterministic"))
    return is_asked and any(each.get("repeats") is False for each in records)


def _by_momentum(record: Record) -> Finding | None:
    """Running averages that never move, or that are the last batch's alone."""
    momenta = record.get("norm_momenta") or [0.1]
    least, most = momenta[0], momenta[-1]
    if least > 0 and most < 1:
        return None
    does = "never move from 0 and 1" if least <= 0 else "are those of the last batch alone"
    return Finding(
        severity="warning",
        sentence=f"the running averages of batch norm {does}: its momentum is "
        f"{least if least <= 0 else most:g}",
        evidence={"least_momentum": least, "largest_momentum": most},
        cause="torch's momentum is the fraction of the new batch, and not of the old average"
        if most >= 1
        else "a momentum of 0 lets no batch into the averages that outputs are made with",
        command="give the batch norms torch's momentum of 0.1, or 1 less what other libraries "
        "call by that name",
        stage=record["stage"],
        epoch=epoch_of(record),
    )
