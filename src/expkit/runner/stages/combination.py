"""Several runs' models put together: side by side, or as one with averaged weights."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.metrics.disagreement import find_best, main_figure, main_metric
from expkit.metrics.names import is_lower_better
from expkit.models.uncertainty import predicts_uncertainty
from expkit.records.run.ensemble import SOUPS, EnsembleRecord, Member
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run
from expkit.runner.components import Parts, Stage
from expkit.runner.ensemble_members import choosing_split, figures_of, open_members
from expkit.runner.run import refuse_other_data
from expkit.runner.session import Session
from expkit.runner.stages import arguments
from expkit.training.checkpoint import load_weights, read_weights
from expkit.training.inference import predict
from expkit.training.latency import time_models
from expkit.training.soup import choose_greedily, fill_with_soup

TOLD = {
    "probabilities": "the mean of the probabilities of",
    "logits": "the mean of the outputs of",
    "soup": "the mean of the weights of",
    "greedy_soup": "the mean of the weights of",
}
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Combination(arguments.Combination):
    """Makes one model of the weights that stand for several runs, as an evaluation finds it."""

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """The runs must belong together, and their weights must fit the model."""
        runs = open_members(self.members, self.combine)
        refuse_other_data(runs[0], parts.metadata)
        digests: dict[str, Run] = {}
        with parts.trial_model() as model:
            for place, run in enumerate(runs):
                load_weights(run.weights, self._member_of(model, place))
                digest = digest_of(read_weights(run.weights)[0])
                if digest in digests:
                    raise UserError(
                        f"'{run.name}' and '{digests[digest].name}' have the very same weights: "
                        "they are one model, which would count twice",
                        where=str(run.weights),
                        fix="leave one of them out, or train it with another seed",
                    )
                digests[digest] = run

    def _member_of(self, model: nn.Module, place: int) -> nn.Module:
        """The net that takes a member's weights: the whole model where it is a soup."""
        return model if self.combine in SOUPS else model.get_submodule(f"members.{place}")

    def run(self, session: Session) -> StageResult:
        started = time.perf_counter()
        session.display.stage_started(session.stage, 1)
        runs = open_members(self.members, self.combine)
        model = session.new_model()
        loaded = [read_weights(run.weights) for run in runs]
        weights = [each for each, _ in loaded]
        used = self._fill(session, model, runs, weights)
        session.save_model(model)
        for place, run in enumerate(runs):
            session.folder.write_member(place, list(run.predictions.values()))
        figures, chosen_on = figures_of(runs), choosing_split(runs[0])
        best = find_best([run.predictions[chosen_on] for run in runs])
        EnsembleRecord(
            combine=self.combine,
            members=[
                Member(
                    run=run.name,
                    path=str(run.path.resolve()),
                    epoch=int(metadata["epoch"]),
                    weights_digest=digest_of(own),
                    num_parameters=count_parameters(self._member_of(model, place)),
                    figure=figures[place],
                    is_used=place in used,
                    overrides=run.overrides,
                )
                for place, (run, (own, metadata)) in enumerate(zip(runs, loaded, strict=True))
            ],
            best=best,
            chosen_on=chosen_on,
            num_parameters=count_parameters(model),
            latency_ms=self._time(session, model, best),
        ).write(session.folder.path)
        count = counted(len(used), "model")
        of = f"{count}, of {len(runs)} tried on val" if self.combine == "greedy_soup" else count
        reason = f"{TOLD[self.combine]} {of}"
        if self.combine not in SOUPS:  # which have one architecture
            reason += lack_of_uncertainty([self._member_of(model, i) for i in range(len(runs))])
        return StageResult(
            stage=session.stage,
            kind="Combination",
            passed=True,
            reason=reason,
            seconds=time.perf_counter() - started,
            peak_memory_bytes=session.parts.device.peak_memory_bytes(),
        )

    def _fill(
        self, session: Session, model: nn.Module, runs: Sequence[Run], weights: Sequence[Weights]
    ) -> Sequence[int]:
        """Put the members' weights into the model; the places of those that it has."""
        places: Sequence[int] = range(len(runs))
        if self.combine == "greedy_soup":
            places = self._choose(session, model, runs, weights)
        if self.combine in SOUPS:
            self._cook(session, model, weights, places)
        else:
            for place, own in enumerate(weights):
                self._member_of(model, place).load_state_dict(own)
        return places

    def _choose(
        self, session: Session, model: nn.Module, runs: Sequence[Run], weights: Sequence[Weights]
    ) -> list[int]:
        """Choose the members that do not make val worse, by its accuracy or error."""
        parts = session.parts
        names = parts.metadata.target_names or ()
        sign = -1 if is_lower_better(main_metric(runs[0].predictions["val"])) else 1

        def score(places: Sequence[int]) -> float:
            self._cook(session, model, weights, places)
            found = predict(model, parts.splits["val"], parts.device, self.batch_size, names)
            return sign * main_figure(found)

        return choose_greedily([sign * figure for figure in figures_of(runs)], score)

    def _cook(
        self, session: Session, model: nn.Module, weights: Sequence[Weights], places: Sequence[int]
    ) -> None:
        """Give the model the mean of these members' weights."""

        def batches() -> Iterator[Tensor]:
            # drawn: of samples that lie by class, each batch would vary less than all do
            generator = torch.Generator().manual_seed(session.seed)
            drawn = session.train_split.batches(self.batch_size, shuffle=True, generator=generator)
            return (images_BCHW for images_BCHW, _ in drawn)

        fill_with_soup(model, [weights[place] for place in places], batches, session.parts.device)

    def _time(self, session: Session, model: nn.Module, best: int) -> tuple[float, float]:
        """Milliseconds for one image: of the whole, and of its best member."""
        images_BCHW, _ = next(session.train_split.batches(1))
        member = self._member_of(model, best)
        models = [model.eval()] if member is model else [model.eval(), member]
        times = time_models(models, session.parts.device, images_BCHW, self.latency_seconds)
        return times[0], times[-1]


def lack_of_uncertainty(members: Sequence[nn.Module]) -> str:
    """Say why none is recorded where some of the members, and not all, predict their own."""
    lacking = sum(not predicts_uncertainty(member) for member in members)
    if lacking in (0, len(members)):
        return ""
    verb = "predicts" if lacking == 1 else "predict"
    return f"; no uncertainty is recorded: {lacking} of them {verb} none"


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def digest_of(weights: Weights) -> str:
    """The SHA-256 of tensors by name: the same weights have it in whatever file they lie."""
    content = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        content.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()
