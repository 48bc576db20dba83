"""A run as Python has it: its records as plain values and DataFrames, its plots, its model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.api.frames import (
    cleaned,
    criteria_frame,
    metrics_frame,
    predictions_frame,
    records_frame,
)
from expkit.api.screens import one_screen, with_trust_argument
from expkit.diagnosis.finding import Finding
from expkit.errors import UserError, nearest_of
from expkit.records.run.find_run import find_run
from expkit.records.run.reader import Run as Records
from expkit.records.run.reader import Status
from expkit.reports.run.run_screen import closing_screen, handle
from expkit.reports.run.summary import all_passed, recall
from expkit.sanitize import one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from expkit.api.images import Images
    from expkit.runner.restoring import Restored

# a run under way is read anew when one of these has grown
GROWING = ("history.jsonl", "signals.jsonl", "stages.jsonl", "predictions.csv", "summary.json")


@one_screen
def load_run(run: str | Path | Run = "last") -> Run:
    """Open a run: its path, a unique part of its name, `last`, or an exported model's folder.

    Nothing of it is run, and torch is loaded for `predict`, `preprocess` and `model` alone.
    """
    return run if isinstance(run, Run) else Run(find_run(str(run)).path)


class Run:
    """One run, read from its folder when asked; of a run under way, as far as it is recorded."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._read: tuple[object, Records] = (None, Records(self.path))
        self._restored: dict[tuple[object, ...], Restored] = {}

    @property
    def _records(self) -> Records:
        """The records as they stand on the disk now."""
        sizes = tuple(_size_of(self.path / name) for name in GROWING)
        if self._read[0] != sizes:
            self._read = (sizes, Records(self.path))
        return self._read[1]

    @property
    def _summary(self) -> Mapping[str, Any]:
        return recall(self._records)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self._records.name

    @property
    def status(self) -> Status:
        """`running`, `interrupted`, `failed` (a stage did not pass) or `finished`."""
        return self._records.status

    @property
    def verdict(self) -> str:
        """`met`, `not met` or `not judged`, by the criteria that were stated before."""
        return str(self._summary["verdict"])

    @property
    def passed(self) -> bool:
        """Tell whether all stages passed and all criteria are met: exit code 0 of the command."""
        return all_passed(self._summary)

    @property
    def config(self) -> dict[str, Any]:
        """The whole config, as a plain dictionary of one's own."""
        return copy.deepcopy(dict(self._records.config))

    @property
    def class_names(self) -> list[str] | None:
        """The classes in the order of the model's outputs; None where it predicts numbers."""
        names = self._records.dataset.class_names
        return None if names is None else [one_line(name) for name in names]

    @property
    def judged_split(self) -> str:
        """The split by which the run is judged: `test`, else `val`, else `train`."""
        return self._records.dataset.judged_split

    @property
    def metrics(self) -> pd.DataFrame:
        """Figures with their 95 % intervals, by split and metric; empty before an evaluation."""
        return metrics_frame(self._summary)

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch, or a step of a gate, of each stage."""
        return records_frame(self._records.history)

    @property
    def signals(self) -> pd.DataFrame:
        """What was measured for the rules of diagnosis: a row a measurement, of many kinds."""
        return records_frame(self._records.signals)

    @property
    def findings(self) -> list[Finding]:
        """What the rules of diagnosis found, the worst first."""
        return [Finding.from_json(cleaned(record)) for record in self._summary["findings"]]

    @property
    def criteria(self) -> pd.DataFrame:
        """A row a criterion: its bound, the value with its interval, and whether it is met."""
        return criteria_frame(self._summary)

    def predictions(self, split: str | None = None) -> pd.DataFrame:
        """Recorded predictions of a split (the judged one): a row a sample."""
        found = self._records.predictions
        wanted = self.judged_split if split is None else split
        if wanted in found:
            return predictions_frame(found[wanted])
        if found:
            raise UserError(
                f"'{self.name}' has no predictions of a split '{wanted}'",
                where=f"predictions({wanted!r:.80})",
                nearest=nearest_of(str(wanted), found),
                allowed=", ".join(found),
            )
        raise self._without_predictions()

    def _without_predictions(self) -> UserError:
        """Say why there are none, and which command makes some."""
        word, status = handle(self.path), self.status
        failed = next((each for each in self._records.stages if not each.passed), None)
        if status == "running":
            reason, fix = "it is running, and not evaluated yet", f"expkit show {word}"
        elif status == "interrupted":
            reason, fix = "it was cut off before its evaluation", f"expkit resume {word}"
        elif failed is not None:
            reason, fix = f"{failed.stage} failed: {failed.reason}", f"expkit diagnose {word}"
        else:
            reason, fix = "its procedure has no evaluation", f"expkit evaluate {word}"
        return UserError(
            f"'{self.name}' has no predictions: {reason}", where=str(self.path), fix=fix
        )

    def plot(self, name: str = "curves") -> Figure:
        """Draw a plot by the name that its file in `plots/` has; nothing is written.

        Of several, as `curves_overfit_1` and `curves_train` for `curves`, the last.
        """
        from expkit.reports.plots.gallery import find_figure

        return find_figure(self._records, str(name))

    def predict(
        self,
        images: Images,
        *,
        device: str | None = None,
        trust: Sequence[str] = (),
        batch_size: int = 64,
    ) -> pd.DataFrame:
        """Predict images as `expkit predict` does: paths, a folder, PIL images or uint8 arrays.

        A row an image, in the columns of the command's CSV; probabilities are in
        `probability[CLASS]`. What cannot be read has a reason under `error`.
        """
        from expkit.api.prediction import predict_images

        return predict_images(self._records, images, self._restore, device, trust, batch_size)

    def model(self, *, device: str | None = None, trust: Sequence[str] = ()) -> nn.Module:
        """Return the trained model in eval mode, with the weights that stand for the run.

        It takes what `preprocess` returns. Its softmax is the run's probabilities at
        temperature 1; `predict` also uses the temperature that was calibrated.
        """
        exported = self._records.trained.exported
        if exported is not None:
            raise exported.refuse(
                "its runtime predicts, and it has no torch module", "expkit.load_run(RUN).model()"
            )
        return self._restore(device, trust).model

    def preprocess(
        self, images: Images, *, device: str | None = None, trust: Sequence[str] = ()
    ) -> Tensor:
        """Return images as a batch (B x C x H x W) for `model()`, sized and normalized as its own.

        The images are as `predict` takes them; one that cannot be read is refused.
        """
        from expkit.api.prediction import preprocess_images

        self.model(device=device, trust=trust)  # an exported file prepares images by itself
        return preprocess_images(images, self._restore(device, trust))

    def _restore(
        self, device: str | None, trust: Sequence[str], temperature: float = 1.0
    ) -> Restored:
        """Build the model once for each device and temperature."""
        weights = self._records.weights  # whether there are any is asked before torch is loaded
        key = (device, tuple(trust), temperature, weights, _size_of(weights))
        if key not in self._restored:
            from expkit.runner.run import without_collector

            with without_collector():
                from expkit.runner.restoring import restore
                from expkit.runner.torch_state import torch_left_as_it_was
            try:
                with torch_left_as_it_was():
                    self._restored[key] = restore(
                        self._records,
                        trusted=trust,
                        device={} if device is None else {"name": device},
                        temperature=temperature,
                    )
            except UserError as error:
                raise with_trust_argument(error) from error
        return self._restored[key]

    def __str__(self) -> str:
        """Return the screen of `expkit show`."""
        return closing_screen(self._summary, self.path)

    def __repr__(self) -> str:
        from expkit.api.run_html import headline

        try:
            return f"<Run {self.name}: {headline(self._summary)}>"
        except UserError as error:
            return f"<Run {one_line(self.path.name)}: {one_line(error.what)}>"

    def _repr_html_(self) -> str:
        from expkit.api.html import refused
        from expkit.api.run_html import run_html

        try:
            return run_html(self._summary, self.path)
        except UserError as error:
            return refused(error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __reduce__(self) -> tuple[type[Run], tuple[Path]]:
        return Run, (self.path,)


def _size_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
