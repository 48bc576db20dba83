"""Rules on how a net is put together: what learns, what mixes, and what adds nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.layer_probes import LINEAR
from expkit.diagnosis.model_probes import (
    epoch_of,
    is_pretrained,
    models,
    starts_from,
    training_of,
)
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


def fraction_of(record: Record, chosen: Sequence[Record]) -> float:
    total = sum(each["size"] for each in record["parameters"])
    return sum(each["size"] for each in chosen) / total if total else 0.0


@dataclass(frozen=True, kw_only=True)
class DetachedParameters(Rule):
    """Parameters that are to learn and that no gradient reaches, in layers that are used.

    A gradient of zero has arrived: biases before a norm, and what stands behind a last layer that
    starts at zero, are no such case. Layers that are never called are only reported as unused.
    """

    fatal_fraction: Annotated[float, Gt(0), Le(1)] = 0.5  # the rest cannot stand for the model
    least_unused: Annotated[float, Ge(0), Le(1)] = 0.05  # less is a token for pre-training

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
            if fraction_of(record, cut) > self.least_unused:
                yield self._unused(record, cut)
                return

    def _detached(
        self, record: Record, waiting: Sequence[Record], cut: Sequence[Record]
    ) -> Finding:
        names = [each["name"] for each in cut]
        fraction = fraction_of(record, cut)
        return self.finding(
            "detached",
            {"names": names[:20], "tensors": len(cut), "fraction": fraction},
            severity="fatal" if fraction > self.fatal_fraction else "warning",
            stage=record["stage"],
            epoch=epoch_of(record),
            num_waiting=len(waiting),
            parameters=listed(names),
            module=names[-1].rpartition(".")[0],
        )

    def _unused(self, record: Record, cut: Sequence[Record]) -> Finding:
        names = [each["name"] for each in cut]
        return self.finding(
            "unused",
            {"names": names[:20], "fraction": fraction_of(record, cut)},
            stage=record["stage"],
            epoch=epoch_of(record),
            parameters=listed(names),
        )


def _loss_pulls(evidence: Evidence, record: Record) -> bool:
    losses = evidence.of_kind("loss", record["stage"])
    return all(each.get("has_gradient", True) for each in losses)


@dataclass(frozen=True, kw_only=True)
class FrozenParameters(Rule):
    """Weights that stand still as they were drawn at random: features of nothing.

    Frozen weights that were trained before, here or elsewhere, are a sound choice; so is a first
    stage that trains the head alone where a later stage goes on from it with all; and so is what
    comes out the same under another seed, as a bank of filters or a table of positions does.
    """

    smallest: Annotated[float, Gt(0), Le(1)] = 0.05  # positions may be fixed

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
        thaws = bool(config.get("unfreeze"))
        stays = config.get("trainable", "all") != "all" or bool(config.get("frozen_up_to"))
        by_config = thaws or stays
        goes_on = any(
            starts_from(evidence, other) == stage for other in evidence.config["procedure"]
        )
        names = [each["name"] for each in frozen]
        return self.finding(
            "thaws" if thaws else "by_config" if by_config else "by_the_model",
            {"names": names[:20], "tensors": len(names), "fraction": fraction},
            severity="info" if goes_on and by_config else "warning",
            stage=record["stage"],
            epoch=epoch_of(record),
            training=stage,
            parameters=listed(names),
        )


@dataclass(frozen=True, kw_only=True)
class OptimizerMissesParameters(Rule):
    """Parameters that get gradients and that no optimizer moves."""

    fatal_fraction: Annotated[float, Gt(0), Le(1)] = 0.5  # the rest cannot stand for the model

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            trainable = [p for p in record["parameters"] if p["trainable"]]
            missed = [p for p in trainable if not p["optimised"]]
            strangers = record.get("optimizer_strangers", 0)
            if not missed and not strangers:
                continue
            names = [each["name"] for each in missed]
            fraction = fraction_of(record, missed)
            mixed = "misses_some_and_moves_others" if missed else "moves_others"
            yield self.finding(
                mixed if strangers else "misses_some",
                {"names": names[:20], "fraction": fraction, "strangers": strangers},
                severity="fatal" if fraction > self.fatal_fraction else "warning",
                stage=record["stage"],
                epoch=epoch_of(record),
            )
            return


@dataclass(frozen=True, kw_only=True)
class SamplesMixed(Rule):
    """An output that depends on the other samples of its batch, in eval mode.

    In a sound net that fraction is exactly zero; the bound leaves room for rounding alone.
    """

    largest: Annotated[float, Gt(0)] = 1e-3

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            mixed = record.get("cross_sample_gradient")
            if mixed is None or not mixed > self.largest:
                continue
            yield self.finding(
                "mixed",
                {"cross_sample_gradient": mixed},
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
    """Two layers in a row that are one linear map, and neither low rank nor groups on purpose."""

    affine: Annotated[float, Gt(0)] = 1e-3

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
            yield self.finding(
                "whole_net" if is_affine else "some_layers",
                {"pairs": pairs[:20], "affine_error": error},
                stage=record["stage"],
                epoch=epoch_of(record),
                layers=listed(pairs),
                first=chains[0][0],
            )
            return
