"""The keys that a finding names, as they are for its stage: advice must change what is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from expkit.config.stage_parts import OWN_PARTS, own_parts
from expkit.config.suggestions import BASE
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding

KEY = re.compile(rf"(?<![\w./@])({'|'.join(OWN_PARTS)})(?:\.(\w+)|(?==\S))")


def with_keys_of_stage(finding: Finding, evidence: Evidence) -> Finding:
    """The finding, in whose texts `optimizer.lr` is `procedure.sam.optimizer.lr` of such a stage.

    One on the whole run speaks of the last stage that has trained; gates have the run's parts.
    """
    stage = finding.stage or next(reversed(evidence.trainings), "")
    config = evidence.run_config or evidence.config
    own = own_parts(config, stage)
    parts = {group: own.get(group, config.get(group) or {}) for group in OWN_PARTS}
    if not own and not any(isinstance(part.get(BASE), Mapping) for part in parts.values()):
        return finding

    def in_stage(found: re.Match[str]) -> str:
        group, name = found[1], found[2]
        path = f"procedure.{stage}.{group}" if group in own else group
        base: Any = parts[group].get(BASE)
        if isinstance(base, Mapping) and name in base and name not in parts[group]:
            path = f"{path}.{BASE}"
        return f"{path}.{name}" if name else path

    def rewrite(text: str) -> str:
        return KEY.sub(in_stage, text)

    return replace(
        finding,
        sentence=rewrite(finding.sentence),
        cause=rewrite(finding.cause),
        command=rewrite(finding.command),
        remedies=[[rewrite(word) for word in group] for group in finding.remedies],
    )
