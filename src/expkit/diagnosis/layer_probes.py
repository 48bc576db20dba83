"""Figures of the layers in a record, by which several rules judge features and gradients."""

from __future__ import annotations

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.model_probes import is_at_chance
from expkit.records.files import Record

LINEAR = ("Linear", "Conv1d", "Conv2d", "Conv3d")
DIED_OUT = 1e-4  # of the inputs' size
NEVER = 1e-6  # of the outputs' size: what rounding makes of equal ones


def output_std(record: Record) -> float:
    """The std of the outputs across samples, relative to their size."""
    outputs = record["outputs"]
    std: float = outputs["std_across_samples"]
    return std / outputs["rms"] if outputs["rms"] > 0 else 0.0


def gain_of(weight: Record, num_outputs: int) -> float:
    """The factor on the size of a layer's inputs: the weight's rms x the root of their number."""
    return float(weight["weight_rms"]) * float((weight["size"] / num_outputs) ** 0.5)


def is_failing(evidence: Evidence, record: Record) -> bool:
    """Tell whether a probe followed a lost gate, or an epoch has learnt next to nothing."""
    if record["kind"] == "model":
        return bool(record["epoch"])
    return is_at_chance(evidence, record)


def is_start(record: Record) -> bool:
    return record["kind"] == "model" and not record["epoch"]


def lost_gate(evidence: Evidence, record: Record) -> bool:
    """Tell whether a probe followed a lost gate of several samples, which have to be told apart."""
    config = evidence.config["procedure"].get(record["stage"]) or {}
    is_probe = record["kind"] == "model" and bool(record["epoch"])
    return is_probe and int(config.get("num_samples", 1)) > 1


def start_before(evidence: Evidence, record: Record) -> Record | None:
    """The probe of the weights as they were drawn that a later record goes back to."""
    starts = [each for each in evidence.of_kind("model") if not each["epoch"]]
    own = [each for each in starts if each["stage"] == record["stage"]]
    return next(iter([*own, *starts]), None)


def hidden_size(record: Record) -> float | None:
    """The size (rms) of what the last layer is given, of inputs of size 1."""
    inputs = record.get("inputs", {}).get("std") or 0.0
    layers = record.get("layers", ())
    size = layers[-2].get("rms") if len(layers) > 1 else None
    return None if size is None else float(size) / max(1.0, inputs)


def dies_out(record: Record) -> bool:
    """Tell whether next to nothing of the inputs' size is left before the last layer.

    torch's own start leaves a few hundredths, which its biases hold up. Exactly nothing is left by
    dead units alone.
    """
    size = hidden_size(record)
    return size is not None and 0 < size < DIED_OUT


def is_blocked(record: Record) -> bool:
    """Tell whether all outputs are equal, and some layer gets a gradient of exactly zero."""
    gradients = [row["gradient_rms"] for row in record.get("parameters", ())]
    return 0.0 in gradients and output_std(record) <= NEVER and record["outputs"]["rms"] > 0


def output_multiplier(record: Record) -> float:
    """The factor on the outputs of the last layer; 1 where the model does not multiply them."""
    layers = record.get("layers")
    last = layers[-1].get("rms") if layers else None
    if not last or record.get("last_operation") not in ("Div", "Mul"):
        return 1.0
    return float(record["outputs"]["rms"] / last)
