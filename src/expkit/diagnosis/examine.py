"""Asking every rule, and leaving out what another finding explains."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from expkit.config.paths import builtin_conf, conf_folders, list_choices
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import SEVERITIES, Finding
from expkit.diagnosis.next_command import advice_for_loop, train_again
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.stage_keys import with_keys_of_stage
from expkit.errors import UserError, nearest_of
from expkit.safe_yaml import load_yaml

GROUP = "diagnosis"
CASE_KEYS = {"severity", "sentence", "cause", "command", "otherwise", "parts", "remedies"}
FAILED = "rule_failed"  # what a rule that raises is reported as
Rules = Mapping[str, Rule]


def load_rules() -> Rules:
    """Every rule of conf/diagnosis/, the user's own among them: a rule is a YAML and a class.

    They are those of today, and not those of a run's time: a run can be asked what nobody
    thought of then.
    """
    return _load(tuple(conf_folders()))


@functools.cache
def _load(folders: tuple[Path, ...]) -> Rules:
    rules = {}
    choices = list_choices(GROUP, list(folders))
    for name, path in choices.items():
        try:
            rules[name] = _build(name, path)
            _check_explained(rules[name], path, choices)
        except UserError as error:
            if path.is_relative_to(builtin_conf()):
                raise
            rules.pop(name, None)
            _warn(name, path, error)
    return rules


forget_rules = _load.cache_clear  # in a process that goes on while somebody edits them


def _check_explained(rule: Rule, path: Path, names: Iterable[str]) -> None:
    """Refuse a rule that explains what nobody finds: it would explain nothing, and not say so."""
    unknown = [each for each in rule.explains if each not in names]
    if unknown:
        nearest = nearest_of(str(unknown[0]), names)
        raise UserError(
            f"it explains '{unknown[0]}', which is no rule"
            + (f" (nearest: {nearest})" if nearest else ""),
            where=f"{path}: explains",
            nearest=nearest,
        )


def _warn(name: str, path: Path, error: UserError) -> None:
    """A rule of a user's own that cannot be asked costs its findings, and no training."""
    where = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    reason = error.what.splitlines()[0]
    print(f"warning the rule '{name}' is left out: {reason}\n        {where}", file=sys.stderr)


def _build(name: str, path: Path) -> Rule:
    """A rule from its YAML, without Hydra: a page that tells findings should not wait for it."""
    node = _read(path)
    if not path.is_relative_to(builtin_conf()):
        from expkit.config.targets.check import check_part

        check_part(node, f"{GROUP}/{name}")
        node = _shipped_cases(name, node) | node
    module, _, kind = str(node.pop("_target_")).rpartition(".")
    try:
        rule = getattr(import_module(module), kind)(**node)
    except Exception as error:
        raise UserError(f"the rule '{name}' cannot be built: {error}", where=str(path)) from error
    if not isinstance(rule, Rule):
        raise UserError(
            f"'{kind}' is no rule of diagnosis",
            where=f"{path}: _target_",
            allowed="a class that derives from expkit.diagnosis.rule.Rule",
        )
    _check_cases(rule, path)
    return rule


def _check_cases(rule: Rule, path: Path) -> None:
    """Refuse a case that would fail only once something is found."""
    for name, given in rule.cases.items():
        case = given if isinstance(given, Mapping) else {}
        texts = [case.get(key, "") for key in ("sentence", "cause", "command", "otherwise")]
        remedies, parts = case.get("remedies", []), case.get("parts", {})
        is_sound = (
            case.keys() <= CASE_KEYS
            and case.get("severity") in SEVERITIES
            and all(isinstance(text, str) for text in [*texts, *parts.values()])
            and all(isinstance(group, list) for group in remedies)
            and all(isinstance(word, str) for group in remedies for word in group)
        )
        if not is_sound:
            raise UserError(
                f"the case '{name}' of the rule '{path.stem}' is not whole",
                where=f"{path}: cases.{name}",
                allowed=f"severity ({', '.join(SEVERITIES)}), sentence, cause; perhaps command, "
                "otherwise, parts (a mapping of texts), remedies (a list of lists of overrides)",
            )


def _shipped_cases(name: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a rule of ours, for a YAML that changes its thresholds alone."""
    path = builtin_conf() / GROUP / f"{name}.yaml"
    if not path.exists():
        return {}
    shipped = _read(path)
    has_cases = shipped["_target_"] == node["_target_"] and "cases" in shipped
    return {"cases": shipped["cases"]} if has_cases else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        node = load_yaml(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"'{path.name}' is no YAML: {error}", where=str(path)) from error
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(
            f"'{path.name}' holds no rule",
            where=str(path),
            allowed="_target_: a class that derives from expkit.diagnosis.rule.Rule, and its "
            "arguments",
        )
    return node


def examine(evidence: Evidence, rules: Rules) -> list[Finding]:
    """The findings on a run, worst first, one for each cause."""
    ignored = evidence.config.get(GROUP, {}).get("ignore", ())
    findings = [
        finding
        for name, rule in rules.items()
        if name not in ignored
        for finding in ask(name, rule, evidence)
    ]
    return sort(keep_roots(findings, rules))


def ask(name: str, rule: Rule, evidence: Evidence) -> list[Finding]:
    """The findings of one rule; a fault of the rule itself is one of them, and never ends a run."""
    try:
        return [complete(each, name, evidence) for each in _find(rule, evidence)]
    except (Exception, SystemExit) as error:
        told = {"rule": name, "error": f"{type(error).__name__}: {error}"}
        cause = "a fault in the rule, or records that it does not know"
        failed = Finding("info", f"the rule {name} could not be asked", told, cause)
        return [complete(failed, FAILED, evidence)]


def _find(rule: Rule, evidence: Evidence) -> list[Finding]:
    """Ask a rule; of a stage with own optimizer, schedule or loss by the values of these."""
    own = evidence.stages_with_own_parts
    found = [each for each in rule.find(evidence) if each.stage not in own]
    of_run = {each.sentence for each in found}
    for stage in own:
        for each in rule.find(evidence.of_stage(stage)):
            if each.stage == stage:
                found.append(each)
            elif not each.stage and each.sentence not in of_run:  # on settings, such as momentum
                found.append(replace(each, stage=stage))
    return found


def complete(finding: Finding, rule: str, evidence: Evidence) -> Finding:
    """With its rule's name, plain numbers, and a command where the rule left it to the remedy.

    The keys that it names are those of the stage: its own optimizer's, where it has one.
    """
    assert isinstance(finding, Finding), f"a rule yields findings, and not {type(finding).__name__}"
    finding = with_keys_of_stage(finding, evidence)
    command = finding.command
    if not command and finding.remedies:
        command = train_again(evidence.overrides, finding.remedies[0])
    if evidence.is_watched:
        command = advice_for_loop(command, finding.remedies, evidence.trainings)
    return replace(
        finding,
        rule=rule,
        unit="step" if finding.stage in evidence.gates else "epoch",
        command=command,
        evidence=plain(finding.evidence),
        remedies=plain(finding.remedies),
    )


def plain(value: Any) -> Any:
    """Make plain JSON: numbers of numpy become Python's, and those not finite become words."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    is_plain = value is None or isinstance(value, str | bool | int)
    return value if is_plain or (isinstance(value, float) and math.isfinite(value)) else str(value)


def keep_roots(findings: Iterable[Finding], rules: Rules) -> list[Finding]:
    """Without those that another one explains, itself or through others.

    Of two that explain each other the first stays. A root is as severe as what it explains.
    """
    given = list(findings)
    reached = [_reach(i, given, rules) for i in range(len(given))]
    kept = []
    for i, finding in enumerate(given):
        above = [j for j in range(len(given)) if i in reached[j]]
        if all(j in reached[i] and i < j for j in above):
            worst = max((finding, *(given[j] for j in reached[i])), key=severity_of)
            kept.append(replace(finding, severity=worst.severity))
    return kept


def _reach(start: int, findings: Sequence[Finding], rules: Rules) -> set[int]:
    """The places of the findings that one explains; an info explains no fault."""
    reached: set[int] = set()
    waiting = [start]
    while waiting:
        here = findings[waiting.pop()]
        names = rules[here.rule].explains if here.rule != FAILED else ()
        found = {
            j
            for j, each in enumerate(findings)
            if each.rule in names and (here.severity != "info" or each.severity == "info")
        }
        waiting += found - reached
        reached |= found
    return reached - {start}


def severity_of(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def sort(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, then in the order of the epochs."""
    return sorted(findings, key=lambda each: (-severity_of(each), each.epoch or 0))
