"""The default sweeper: Hydra's own, but for what expkit's launchers do anyway."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn

from expkit.config.multirun.ablation import Ablation, refuse_several
from expkit.config.multirun.sweep_size import refuse_endless
from expkit.config.stage_parts import as_typed


class ExpkitSweeper(BasicSweeper):
    """Each combination of the values given, composed once, and no folder before all are right."""

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        assert self.hydra_context is not None
        assert self.launcher is not None
        assert self.config is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(as_typed([*self._parse_config(), *arguments]))
        refuse_several(overrides)
        refuse_endless(overrides)
        ablation = Ablation.of(self.config)
        if ablation is not None:
            overrides += parser.parse_overrides(ablation.seed_words(overrides))
        (jobs,) = self.split_arguments(overrides, None)
        if ablation is not None:
            swept = {o.get_key_element() for o in overrides if o.is_sweep_override()}
            jobs = ablation.expand(jobs, swept)
        returns: list[Sequence[JobReturn]] = []
        number = 0
        for batch in self.split_overrides_to_chunks(jobs, self.max_batch_size):
            returns.append(self.launcher.launch(batch, initial_job_idx=number))
            number += len(batch)
        return returns
