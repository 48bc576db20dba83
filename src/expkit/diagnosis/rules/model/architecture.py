"""Rules on how a net is put together: what learns, what mixes, and what adds nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from annotated_types import Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_probes import (
    epoch_of,
    is_pretrained,
    listed,
    models,
    starts_from,
    training_of,
)
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent
from expkit.records.files import Record

LINEAR = ("Linear", "Conv1d", "Conv2d", "Conv3d")
MOST = 0.5  # of the parameters: what is left cannot stand for the model


def fraction_of(record: Record, chosen: Sequence[Record]) -> float:
    total = sum(each["size"] for each in record["parameters"])
    return sum(each["size"] for each in chosen) / total if total else 0.0


@dataclass(frozen=True, kw_only=True)
class DetachedParameters(Rule):
    """Parameters that are to learn and that no gradient reaches, in layers that are used.

    A gradient of zero has arrived: biases before a norm, and what stands behind a last layer that
    starts at zero, are no such case. Layers that are never called are only told as unused.
    """

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            if evidence.metadata.task == "classification" and not _loss_pulls(evidence, record):
                continue  # no parameter could get a gradient
            waiting = [p for p in record["parameters"] if p["trainable"] and p["optimised"]]
            cut = [p for p in waiting if p["gradient_rms"] is None]
            called = {layer["name"].split(" (call")[0] for layer in record["layers"]}
            in_use = [p for p in cut if p["name"].rpartition(".")[0] in called]
            if in_use:
                yield self._detached(record, waiting, in_use)
                return
            if fraction_of(record, cut) > 0.05:  # less is a token that only pre-training uses
                yield self._unused(record, cut)
                return

    def _detached(
        self, record: Record, waiting: Sequence[Record], cut: Sequence[Record]
    ) -> Finding:
        names = [each["name"] for each in cut]
        fraction = fraction_of(record, cut)
        return Finding(
            severity="fatal" if fraction > MOST else "warning",
            sentence=f"no gradient reaches {len(cut)} of {len(waiting)} tensors that are to learn "
            f"({percent(fraction, 1)} of all parameters): {listed(names)}",
            evidence={"names": names[:20], "tensors": len(cut), "fraction": fraction},
            cause="the forward pass is cut behind them: by detach(), no_grad(), .data, a "
            "conversion to numpy, an operation without a derivative, or an output that is dropped",
            command=f"look at what the forward pass does with the output of {_last_module(names)}",
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _unused(self, record: Record, cut: Sequence[Record]) -> Finding:
        names = [each["name"] for each in cut]
        return Finding(
            severity="info",
            sentence=f"{percent(fraction_of(record, cut), 1)} of the parameters stand in layers "
            f"that the forward pass does not use: {listed(names)}",
            evidence={"names": names[:20], "fraction": fraction_of(record, cut)},
            cause="these layers are made and never called, or their output is dropped",
            command="call them, or take them out of the model",
            stage=record["stage"],
            epoch=epoch_of(record),
        )


def _loss_pulls(evidence: Evidence, record: Record) -> bool:
    losses = evidence.of_kind("loss", record["stage"])
    return all(each.get("has_gradient", True) for each in losses)


def _last_module(names: Sequence[str]) -> str:
    return names[-1].rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class FrozenParameters(Rule):
    """Weights that stand still as they were drawn at random: features of nothing.

    Frozen weights that were trained before, here or elsewhere, are a sound choice; so is a first
    stage that trains the head alone where a later stage goes on from it with all; and so is what
    comes out the same under another seed, as a bank of filters or a table of positions does.
    """

    smallest: Annotated[float, Gt(0), Le(1)] = 0.05  # of the parameters; positions may be fixed

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if is_pretrained(evidence):
            return
        for record in models(evidence):
            if starts_from(evidence, training_of(evidence, record["stage"])):
                continue
            frozen = [
                p for p in record["parameters"] if not p["trainable"] and p["kind"] == "weight"
            ]
            drawn = record.get("frozen_drawn")  # None in older runs
            frozen = [p for p in frozen if drawn is None or p["name"] in drawn]
            fraction = fraction_of(record, frozen)
            if fraction >= self.smallest:
                yield self._finding(evidence, record, frozen, fraction)
                return

    def _finding(
        self, evidence: Evidence, record: Record, frozen: Sequence[Record], fraction: float
    ) -> Finding:
        stage = training_of(evidence, record["stage"])
        config = evidence.config["procedure"].get(stage) or {}
        by_config = config.get("trainable", "all") != "all" or bool(config.get("frozen_up_to"))
        goes_on = any(
            starts_from(evidence, other) == stage for other in evidence.config["procedure"]
        )
        names = [each["name"] for each in frozen]
        remedy = [f"procedure.{stage}.trainable=all", f"procedure.{stage}.frozen_up_to=null"]
        return Finding(
            severity="info" if goes_on and by_config else "warning",
            sentence=f"{percent(fraction, 1)} of the parameters are frozen as they were drawn at "
            f"random: {listed(names)}",
            evidence={"names": names[:20], "tensors": len(names), "fraction": fraction},
            cause=f"procedure.{stage} trains only a part of a model that has no trained weights"
            if by_config
            else "the model itself turns off the gradient of these weights",
            remedies=[remedy] if by_config else (),
            command="" if by_config else "look for requires_grad in the model's code",
            stage=record["stage"],
            epoch=epoch_of(record),
        )


@dataclass(frozen=True, kw_only=True)
class OptimizerMissesParameters(Rule):
    """Parameters that get gradients and that no optimizer moves."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            trainable = [p for p in record["parameters"] if p["trainable"]]
            missed = [p for p in trainable if not p["optimised"]]
            strangers = record.get("optimizer_strangers", 0)
            if not missed and not strangers:
                continue
            names = [each["name"] for each in missed]
            fraction = fraction_of(record, missed)
            what = f"misses {percent(fraction, 1)} of the parameters" if missed else "misses none"
            of_others = f", and moves {strangers} tensors that are not the model's"
            yield Finding(
                severity="fatal" if fraction > MOST else "warning",
                sentence=f"the optimizer {what}{of_others if strangers else ''}",
                evidence={"names": names[:20], "fraction": fraction, "strangers": strangers},
                cause="the optimizer was given the parameters of another model"
                if strangers
                else "the optimizer was given only a part of the model's parameters",
                command="give the optimizer what it is called with: all parameters of this model",
                stage=record["stage"],
                epoch=epoch_of(record),
            )
            return


@dataclass(frozen=True, kw_only=True)
class SamplesMixed(Rule):
    """An output that depends on the other samples of its batch, in eval mode.

    In a sound net that share is exactly zero; the bound leaves room for rounding alone.
    """

    largest: Annotated[float, Gt(0)] = 1e-3

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            mixed = record.get("cross_sample_gradient")
            if mixed is None or not mixed > self.largest:
                continue
            yield Finding(
                severity="fatal",
                sentence="the output to a sample depends on the other samples of its batch: "
                f"by {mixed:.2g} times as much as on itself",
                evidence={"cross_sample_gradient": mixed},
                cause="an operation runs along the batch: a mean, norm or softmax over dimension "
                "0, a reshape or permute that carries samples into each other, or attention whose "
                "batch does not come first",
                command="check each dim=, view and permute in the model's forward: dimension 0 "
                "is the batch",
                stage=record["stage"],
                epoch=epoch_of(record),
            )
            return


def stacked(record: Record) -> list[list[str]]:
    """The learning linear layers of a net that is one linear map, each with the next.

    None where there is but one, nor where one is narrower than the output: that is low rank.
    """
    learning = {p["name"] for p in record["parameters"] if p["trainable"]}
    layers = [
        each
        for each in record["layers"]
        if each["type"] in LINEAR and f"{each['name']}.weight" in learning
    ]
    if not layers or min(each["units"] for each in layers) < layers[-1]["units"]:
        return []
    return [[a["name"], b["name"]] for a, b in pairwise(layers)]


@dataclass(frozen=True, kw_only=True)
class MissingActivation(Rule):
    """Two layers in a row that are one linear map: told from what low rank and groups are for."""

    affine: Annotated[float, Gt(0)] = 1e-3  # departure of a whole net from an affine map, in fp32

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            chains: list[list[str]] = record["linear_chains"]
            error = record.get("affine_error")
            is_affine = error is not None and error < self.affine
            if not chains and is_affine:
                chains = stacked(record)
            if not chains:
                continue
            pairs = [" -> ".join(chain) for chain in chains]
            whole = "the whole net is one linear map: " if is_affine else ""
            yield Finding(
                severity="warning",
                sentence=f"{whole}no activation stands between {listed(pairs)}",
                evidence={"pairs": pairs[:20], "affine_error": error},
                cause="two linear layers in a row can do no more than one: an activation between "
                "them was left out",
                command=f"put an activation, such as nn.ReLU(), behind {chains[0][0]}",
                stage=record["stage"],
                epoch=epoch_of(record),
            )
            return
