"""From logits to probabilities: the temperature that a run keeps, and views that are averaged."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from expkit.errors import UserError
from expkit.records.exported import ExportedFolder
from expkit.records.run.kept_temperature import temperature_of
from expkit.records.run.reader import Run
from expkit.runner.unsuitable_views import refuse_unsuitable
from expkit.sanitize import one_line
from expkit.training.arguments import View, num_passes


@dataclass(frozen=True)
class Manner:
    """The way in which a run's logits become probabilities."""

    temperature: float
    views: Sequence[View]
    remark: str  # on the temperature
    of_file: float = 1.0  # the temperature at which an exported file has its softmax already

    @classmethod
    def of(cls, run: Run, tta: Sequence[View], *, is_plain: bool = False) -> Manner:
        """The manner that a command asks for; `is_plain` is without the temperature kept."""
        exported = run.trained.exported
        if exported is not None:
            return cls._of_exported(exported, tta, is_plain=is_plain)
        refuse_unsuitable(tta, run.dataset, f"--tta {','.join(tta)}")
        has_none = is_plain or run.dataset.class_names is None
        temperature, remark = (1.0, "") if has_none else temperature_of(run)
        return cls(temperature, tta, remark)

    @classmethod
    def _of_exported(
        cls, exported: ExportedFolder, tta: Sequence[View], *, is_plain: bool
    ) -> Manner:
        """The manner that is in the file; another one is its run's."""
        temperature, run = exported.temperature, shlex.quote(one_line(exported.record.run))
        if tta:
            raise UserError(
                "an exported file predicts each image once, as it is deployed: no views are in it",
                where=f"--tta {','.join(tta)}",
                fix=f"ask its run: {run}",
            )
        if is_plain and temperature != 1:
            raise UserError(
                f"the temperature, {temperature:.4g}, is in the exported file: its softmax has no "
                "other",
                where="--no-calibration",
                fix=f"ask its run: {run}",
            )
        remark = f"probabilities at temperature {temperature:.4g} (in the file)"
        return cls(1.0, (), "" if temperature == 1 else remark, temperature)

    @property
    def cost(self) -> str:
        """The passes of an image, where they are several."""
        passes = num_passes(self.views)
        return f"{passes} passes an image, averaged ({self._views})" if self.views else ""

    def to_stage(self) -> dict[str, Any]:
        """The arguments of an evaluation that predicts in this way; none of a plain one."""
        temperature = {} if self.temperature == 1 else {"temperature": self.temperature}
        return {**temperature, **({"tta": list(self.views)} if self.views else {})}

    @property
    def _views(self) -> str:
        return "plain, " + ", ".join(self.views)

    def __str__(self) -> str:
        """The cell of the table: empty of a plain softmax."""
        temperature = self.temperature * self.of_file
        at = "" if temperature == 1 else f"temperature {temperature:.4g}"
        return "; ".join(filter(None, [at, f"mean of {self._views}" if self.views else ""]))
