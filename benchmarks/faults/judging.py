"""From a run's records to a row: what was found, whether that is right, and whether it learnt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from case import Case, Control, Fault

REFUSED = 2


@dataclass(frozen=True)
class Row:
    """What became of a case."""

    case_name: str
    kind: str
    part: str
    is_control: bool
    detected: bool  # of a control: falsely
    named: bool
    is_fatal: bool
    rules: Sequence[str]  # of warnings and worse, the worst first
    remarks: Sequence[str]  # rules that only inform
    epoch: int | None  # that showed the first; None before training, or of the run as a whole
    score: float | None  # the best that was reached on the monitored split
    learnt: bool
    seconds: float
    note: str = ""

    @classmethod
    def of_failure(cls, case: Case, note: str, seconds: float) -> Row:
        """A case that says nothing of expkit's judgement, and counts against it."""
        is_control = isinstance(case, Control)
        return cls(
            case.name, case.kind, case.part, is_control, detected=is_control, named=False,
            is_fatal=is_control, rules=(), remarks=(), epoch=None, score=None, learnt=False,
            seconds=seconds, note=note,
        )  # fmt: skip


def judge(case: Case, folder: Path, code: int, output: str, seconds: float) -> Row:
    """Compare what the run said with what the case is."""
    runs = sorted((folder / "outputs").glob("2*"))
    if code == REFUSED or not runs:
        return judge_refusal(case, code, output, seconds)
    summary = json.loads((runs[-1] / "summary.json").read_text())
    findings = summary.get("findings", [])
    counted = ["warning", "fatal", case.at_least if isinstance(case, Fault) else "warning"]
    grave = [each for each in findings if each["severity"] in counted]
    rules = [each["rule"] for each in grave]
    score, learnt = measure(case, runs[-1])
    return Row(
        case.name,
        case.kind,
        case.part,
        is_control=isinstance(case, Control),
        detected=bool(grave),
        named=isinstance(case, Fault) and bool(rules) and rules[0] in case.expected,
        is_fatal=any(each["severity"] == "fatal" for each in grave),
        rules=rules,
        remarks=[each["rule"] for each in findings if each not in grave],
        epoch=min((each["epoch"] or 0 for each in grave), default=None),
        score=score,
        learnt=learnt,
        seconds=seconds,
        note="; ".join(f"{each['rule']}: {each['sentence']}" for each in grave),
    )


def judge_refusal(case: Case, code: int, output: str, seconds: float) -> Row:
    """A refusal is right where it is a fault's and says so."""
    if not isinstance(case, Fault) or code != REFUSED:
        return Row.of_failure(case, f"exit code {code}: {output[-600:]}", seconds)
    message = output[output.rfind("expkit:") :]
    named = bool(case.refusal) and case.refusal in message
    return Row(
        case.name, case.kind, case.part, is_control=False, detected=True, named=named,
        is_fatal=True, rules=["refused"], remarks=(), epoch=0, score=None, learnt=False,
        seconds=seconds, note=" ".join(message.split())[:200],
    )  # fmt: skip


def measure(case: Case, run: Path) -> tuple[float | None, bool]:
    """The best figure on the monitored split, and whether a control has reached what it must."""
    lines = (run / "history.jsonl").read_text().splitlines()
    records: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    trained = [each for each in records if not str(each["stage"]).startswith("overfit")]
    if not trained and isinstance(case, Fault):
        return None, False  # a gate has failed
    trained = trained or records
    if isinstance(case, Control) and case.most_loss is not None:
        losses = [min(each.get("val/loss", each["train/loss"]) for each in trained)]
        return losses[0], losses[0] <= case.most_loss
    accuracies = [each.get("val/accuracy", each.get("train/accuracy", 0.0)) for each in trained]
    best = max(accuracies, default=0.0)
    return best, not isinstance(case, Control) or best >= case.least
