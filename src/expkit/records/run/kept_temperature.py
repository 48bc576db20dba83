"""The temperature that was fitted for a run's weights, and on what it was confirmed."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from expkit.errors import UserError
from expkit.metrics.temperature import HIGHEST, LOWEST
from expkit.records.files import read_json, write_json
from expkit.records.run.checkpoint_digests import digest_of
from expkit.records.run.reader import Run
from expkit.records.safe_open import is_file
from expkit.records.typed_values import Count, Finite, check_shape

FILE = "calibration.json"
VERSION = 1


@dataclass(frozen=True)
class RecordedChange:
    """A figure of the confirming half: at temperature 1, at this one, and 95 % of the change."""

    before: Finite
    after: Finite
    interval: tuple[Finite, Finite] | None


@dataclass(frozen=True)
class KeptTemperature:
    """One temperature, by which the logits of a run's weights are divided."""

    temperature: Annotated[float, Ge(LOWEST), Le(HIGHEST)]
    weights_sha256: str  # of the weights that it is for: it is of no use to others
    split: Literal["val"]  # whose halves fitted and confirmed it
    seed: Count  # of the halves
    num_fitted: Count
    num_confirmed: Count
    log_loss: RecordedChange  # on the half that confirms
    calibration_error: RecordedChange  # over 15 bins of equal width, as everywhere
    accuracy: Finite  # of that half, which no temperature changes
    helps: bool  # the interval of the change in log loss lies below 0
    version: Count = VERSION


def keep_temperature(calibration: KeptTemperature, run_path: Path) -> None:
    """Write it into the run's folder, in the place of an earlier one."""
    write_json(run_path / FILE, asdict(calibration))


def read_temperature(run_path: Path) -> KeptTemperature | None:
    """The temperature that a run keeps, whether its weights are still those or not."""
    path = run_path / FILE
    if not is_file(path):
        return None
    try:
        record = read_json(path)
        check_shape(record, KeptTemperature)
        if record["version"] != VERSION:
            raise ValueError("it is of another version")
        changes = {
            name: RecordedChange(**record[name]) for name in ("log_loss", "calibration_error")
        }
        return KeptTemperature(**{**record, **changes})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"'{path}' holds no temperature that this version can read",
            where=str(path),
            fix=f"remove it, then: expkit calibrate {shlex.quote(str(run_path))}",
        ) from error


def temperature_of(run: Run) -> tuple[float, str]:
    """The temperature that holds for the weights of a run, 1 without one; and a remark on it."""
    calibration = read_temperature(run.trained.path)
    if calibration is None:
        return 1.0, ""
    if digest_of(run.weights) != calibration.weights_sha256:
        return 1.0, (
            f"not used: the temperature in {FILE}, which is of other weights than the run has "
            f"now; fit it anew: expkit calibrate {shlex.quote(str(run.trained.path))}"
        )
    doubt = "" if calibration.helps else ", which did not help where it was tried: --force kept it"
    return calibration.temperature, (
        f"probabilities at temperature {calibration.temperature:.4g} (expkit calibrate{doubt})"
    )
